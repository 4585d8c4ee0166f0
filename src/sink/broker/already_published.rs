//! Messages that an earlier run, or an earlier connection, published without an acknowledgement:
//! their events come again and must not be published a second time.
//!
//! Other programs may publish to the same stream, and their events never come to us. So the
//! remaining ids are forgotten after every event of ours must have come again.

use std::collections::HashSet;

use super::in_flight::InFlight;
use super::message::MessageId;
use crate::position::dedup_window::MAX_EVENTS;

/// The ids that have not come again. While there are any, [`InFlight`] withholds its offsets.
#[derive(Debug, Default)]
pub struct AlreadyPublished {
    ids: HashSet<MessageId>,
    /// Number of messages after which the remaining ids are forgotten.
    patience: u64,
}

impl AlreadyPublished {
    /// Expects these ids. They were published one after another, and come again in the same order,
    /// or in that of another server, which differs only within the dedup window.
    pub fn new(ids: HashSet<MessageId>, in_flight: &InFlight) -> Self {
        in_flight.withhold_offsets(!ids.is_empty());
        Self { patience: ids.len() as u64 + MAX_EVENTS, ids }
    }

    /// Returns whether no id is left.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns whether the broker has this message already. Called once per message.
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
