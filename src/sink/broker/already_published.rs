//! What an earlier run, or an earlier connection, stored without our hearing of it: each of its
//! events comes again, and is then left out.
//!
//! Others may publish to the same stream, whose events never come to us: so the rest is forgotten
//! once every event that could be meant must have come.

use std::collections::HashSet;

use super::in_flight::InFlight;
use super::message::MessageId;
use crate::position::window::MAX_EVENTS;

/// Identities that are waited for. While there are any, the in_flight keeps its ends back.
#[derive(Debug, Default)]
pub struct AlreadyPublished {
    ids: HashSet<MessageId>,
    /// How many more messages may pass before the rest is forgotten.
    patience: u64,
}

impl AlreadyPublished {
    /// Waits for these. They were published one behind the other, and come again in the same
    /// order, or that of another server, which differs within the window that is remembered.
    pub fn new(ids: HashSet<MessageId>, in_flight: &InFlight) -> Self {
        in_flight.withhold_offsets(!ids.is_empty());
        Self { patience: ids.len() as u64 + MAX_EVENTS, ids }
    }

    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether a message is there already. Asked once for each.
    pub fn remove(&mut self, id: MessageId, in_flight: &InFlight) -> bool {
        if self.ids.is_empty() {
            return false;
        }
        let is_there = self.ids.remove(&id);
        self.patience = self.patience.saturating_sub(1);
        if self.patience == 0 {
            self.ids = HashSet::new();
        }
        if self.ids.is_empty() {
            in_flight.withhold_offsets(false);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> MessageId {
        MessageId::of_test(number)
    }

    #[test]
    fn what_is_met_is_left_out_once_and_the_ends_are_kept_back_until_all_is_met() {
        let in_flight = InFlight::default();
        let mut leftover = AlreadyPublished::new(HashSet::from([id(1), id(2)]), &in_flight);
        assert!(in_flight.offsets_withheld());
        assert!(leftover.remove(id(2), &in_flight));
        assert!(!leftover.remove(id(3), &in_flight));
        assert!(in_flight.offsets_withheld());
        assert!(leftover.remove(id(1), &in_flight));
        assert!(!in_flight.offsets_withheld());
        assert!(!leftover.remove(id(1), &in_flight));
    }

    #[test]
    fn what_others_published_is_forgotten_in_time() {
        let in_flight = InFlight::default();
        let mut leftover = AlreadyPublished::new(HashSet::from([id(1)]), &in_flight);
        for _ in 0..MAX_EVENTS {
            assert!(!leftover.remove(id(2), &in_flight));
            assert!(in_flight.offsets_withheld());
        }
        assert!(!leftover.remove(id(2), &in_flight));
        assert!(!in_flight.offsets_withheld() && leftover.is_empty());
    }
}
