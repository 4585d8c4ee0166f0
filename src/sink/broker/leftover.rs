//! What an earlier run, or an earlier connection, stored without our hearing of it: each of its
//! events comes again, and is then left out.
//!
//! Others may publish to the same stream, whose events never come to us: so the rest is forgotten
//! once every event that could be meant must have come.

use std::collections::HashSet;

use super::message::MessageId;
use super::outbox::Outbox;
use crate::position::dedup_window::MAX_EVENTS;

/// Identities that are waited for. While there are any, the outbox keeps its ends back.
#[derive(Debug, Default)]
pub struct Leftover {
    ids: HashSet<MessageId>,
    /// How many more messages may pass before the rest is forgotten.
    patience: u64,
}

impl Leftover {
    /// Waits for these. They were published one behind the other, and come again in the same
    /// order, or that of another server, which differs within the window that is remembered.
    pub fn new(ids: HashSet<MessageId>, outbox: &Outbox) -> Self {
        outbox.hold(!ids.is_empty());
        Self { patience: ids.len() as u64 + MAX_EVENTS, ids }
    }

    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether a message is there already. Asked once for each.
    pub fn meet(&mut self, id: MessageId, outbox: &Outbox) -> bool {
        if self.ids.is_empty() {
            return false;
        }
        let is_there = self.ids.remove(&id);
        self.patience = self.patience.saturating_sub(1);
        if self.patience == 0 {
            self.ids = HashSet::new();
        }
        if self.ids.is_empty() {
            outbox.hold(false);
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
        let outbox = Outbox::default();
        let mut leftover = Leftover::new(HashSet::from([id(1), id(2)]), &outbox);
        assert!(outbox.is_held());
        assert!(leftover.meet(id(2), &outbox));
        assert!(!leftover.meet(id(3), &outbox));
        assert!(outbox.is_held());
        assert!(leftover.meet(id(1), &outbox));
        assert!(!outbox.is_held());
        assert!(!leftover.meet(id(1), &outbox));
    }

    #[test]
    fn what_others_published_is_forgotten_in_time() {
        let outbox = Outbox::default();
        let mut leftover = Leftover::new(HashSet::from([id(1)]), &outbox);
        for _ in 0..MAX_EVENTS {
            assert!(!leftover.meet(id(2), &outbox));
            assert!(outbox.is_held());
        }
        assert!(!leftover.meet(id(2), &outbox));
        assert!(!outbox.is_held() && leftover.is_empty());
    }
}
