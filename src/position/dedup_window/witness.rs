//! What the comparison with a second server asks of the window.

use super::DedupWindow;
use crate::position::TimeUs;

impl DedupWindow {
    /// Raises the bounds of `MAX_EVENTS` to `events`; never lowers them.
    pub fn keep_at_least(&mut self, events: u64) {
        self.max_events = self.max_events.max(events);
    }

    /// Keeps the keys of the span before this instant, as long as the bound of the memory allows,
    /// and a new connection rewinds there.
    pub fn hold_at(&mut self, instant: TimeUs) {
        self.held_at = instant;
    }

    /// Adds the key of an event that another server has sent, and that has no place among the
    /// events of this one.
    pub fn insert_foreign(&mut self, identity: u64) {
        let current = self.current.take();
        self.insert(identity);
        self.current = current;
    }
}
