//! What the window forgets, and when.

use super::{DedupWindow, MAX_EVENTS, RewindPoint};
use crate::position::TimeUs;

impl DedupWindow {
    /// Forgets what is older than the span, after the sink has accepted everything. `unread` is the
    /// number of newest events that a rollback may undo, and the latest event time at the first of
    /// them: the keys of that time are kept.
    pub fn settle(&mut self, unread: Option<(usize, TimeUs)>) {
        while let Some(next) = self.rewind_points.get(self.oldest + 1)
            && (self.is_old(next, self.latest()) || self.is_far(next))
        {
            self.oldest += 1;
        }
        let (unread, latest) = unread.unwrap_or((0, self.latest()));
        let read = self.inserted() - unread as u64;
        let is_obsolete = |window: &Self, next: &RewindPoint| {
            let is_read = unread == 0 || next.index < read;
            (is_read && window.is_old(next, latest)) || window.is_far(next)
        };
        while self.oldest > 0
            && let Some(&next) = self.rewind_points.get(1)
            && is_obsolete(self, &next)
        {
            self.rewind_points.pop_front();
            self.oldest -= 1;
            // The bound of the memory outweighs a server that repeats one old event forever.
            let is_kept_long = self.inserted() - next.retain_from >= self.max_events;
            if let Some(oldest) = self.rewind_points.front_mut().filter(|_| is_kept_long) {
                oldest.retain_from = oldest.index;
            }
        }
        self.evict();
    }

    /// Removes the oldest keys beyond the memory bound, except those that a replay may bring.
    fn evict(&mut self) {
        let start = self.margin_start();
        // mutant: forgets-beyond-the-margin
        while self.keys.len() as u64 > MAX_EVENTS && self.keys.evicted() < start {
            self.keys.pop_front();
            self.held.pop_front();
        }
    }

    /// Returns whether the span before `latest` begins at this rewind point or after it.
    fn is_old(&self, rewind_point: &RewindPoint, latest: TimeUs) -> bool {
        rewind_point.clock.plus_us(self.span_us) <= latest.min(self.held_at) && !self.is_replaying
    }

    /// Returns whether the maximum number of events came since.
    pub(super) fn is_far(&self, rewind_point: &RewindPoint) -> bool {
        self.events - rewind_point.events >= self.max_events
    }
}
