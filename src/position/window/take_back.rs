//! Events that were written and settled, and yet have not happened: nobody read them.

use super::{Milestone, Window};
use crate::position::Mark;

impl Window {
    /// Forgets the last `events` identities. What is left ends with the event at `before`, whose
    /// identity is told if this run wrote it. Call it once no more is entered. `false`, and
    /// nothing is forgotten, where nothing would be left to go on from.
    #[must_use]
    pub fn take_back(&mut self, events: usize, before: Mark, identity: Option<u64>) -> bool {
        let Some(left) = self.ring.len().checked_sub(events) else {
            return self.begin_at(before, identity);
        };
        let entered = self.evicted + left as u64;
        // Nothing that was written since the oldest milestone may be forgotten but those.
        if self.milestones.front().is_none_or(|oldest| oldest.index >= entered) {
            return self.begin_at(before, identity);
        }
        for identity in self.ring.drain(left..) {
            self.known.remove(&identity);
        }
        self.milestones.retain(|milestone| milestone.index < entered);
        self.forget_passed(before);
        true
    }

    /// All that is known is the event at `before`.
    fn begin_at(&mut self, before: Mark, identity: Option<u64>) -> bool {
        let Some(identity) = identity else { return false };
        self.ring.clear();
        self.known.clear();
        self.milestones.clear();
        let index = self.evicted;
        self.milestones.push_back(Milestone {
            mark: before,
            clock: before.time.min(self.latest.minus_us(self.span_us)),
            index,
            keeps_from: index,
            events: self.events,
        });
        self.insert(identity);
        self.forget_passed(before);
        true
    }

    fn forget_passed(&mut self, before: Mark) {
        self.passed = self.passed.filter(|passed| passed.seq <= before.seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Seq, TimeUs};

    fn mark(time: u64) -> Mark {
        Mark { time: TimeUs(time), seq: Some(Seq(time + 1)) }
    }

    fn written(span_us: u64, times: impl Iterator<Item = u64>) -> Window {
        let mut window = Window::new(span_us);
        for time in times {
            window.advance(mark(time));
            window.insert(time);
            window.settle();
        }
        window
    }

    #[test]
    fn what_was_taken_back_is_unknown_and_a_replay_brings_it() {
        let mut window = written(1000, 0..5000);
        let before = window.rewind_to();
        assert!(window.take_back(100, mark(4899), Some(4899)));
        assert_eq!(window.rewind_to(), before);
        assert!(window.contains(4899) && !window.contains(4900));
        assert_eq!(window.identities().last(), Some(&4899));
    }

    #[test]
    fn beyond_the_span_the_last_event_that_was_read_is_what_is_left() {
        let mut window = written(10, (0..10).map(|i| i * 1000));
        assert!(window.take_back(5, mark(4000), Some(4000)));
        assert_eq!(window.rewind_to(), Some(mark(4000)));
        assert_eq!(window.identities(), [4000]);
        let mut window = written(10, (0..10).map(|i| i * 1000));
        assert!(!window.take_back(10, mark(7), None));
        assert_eq!(window.rewind_to(), Some(mark(8000)));
    }

    #[test]
    fn what_was_passed_beyond_it_is_passed_no_more() {
        let mut window = written(1000, 0..100);
        window.pass(mark(99));
        assert!(window.take_back(10, mark(89), Some(89)));
        assert_eq!(window.rewind_to(), Some(mark(0)));
    }
}
