//! What the window lets go of, and when.

use super::{MAX_EVENTS, Milestone, Window};
use crate::position::TimeUs;

impl Window {
    /// The sink has accepted everything: lets go of what is older than the span. `unread` are
    /// the last events, so many of them, that may have to be taken back, and the latest event
    /// time at the first of them: what was remembered then is kept.
    pub fn settle(&mut self, unread: Option<(usize, TimeUs)>) {
        while let Some(next) = self.milestones.get(self.oldest + 1)
            && (self.is_old(next, self.latest()) || self.is_far(next))
        {
            self.oldest += 1;
        }
        let (unread, latest) = unread.unwrap_or((0, self.latest()));
        let read = self.entered() - unread as u64;
        let is_done_with = |window: &Self, next: &Milestone| {
            let is_read = unread == 0 || next.index < read;
            (is_read && window.is_old(next, latest)) || window.is_far(next)
        };
        while self.oldest > 0
            && let Some(&next) = self.milestones.get(1)
            && is_done_with(self, &next)
        {
            self.milestones.pop_front();
            self.oldest -= 1;
            // Bounded memory comes before a server that repeats one old event for ever.
            let is_kept_long = self.entered() - next.keeps_from >= MAX_EVENTS;
            if let Some(oldest) = self.milestones.front_mut().filter(|_| is_kept_long) {
                oldest.keeps_from = oldest.index;
            }
        }
        self.evict();
    }

    /// Forgets the oldest identities beyond the memory bound, but none that a replay may bring.
    fn evict(&mut self) {
        let start = self.margin_start();
        // mutant: forgets-beyond-the-margin
        while self.ring.len() as u64 > MAX_EVENTS && self.evicted < start {
            if let Some(identity) = self.ring.pop_front() {
                self.known.remove(&identity);
            }
            self.held.pop_front();
            self.evicted += 1;
        }
    }

    /// Whether the span in front of `latest` begins at this milestone or behind it.
    fn is_old(&self, milestone: &Milestone, latest: TimeUs) -> bool {
        milestone.clock.plus_us(self.span_us) <= latest && !self.is_replaying
    }

    /// Whether as many events as may be remembered were seen since.
    pub(super) fn is_far(&self, milestone: &Milestone) -> bool {
        self.events - milestone.events >= MAX_EVENTS
    }
}
