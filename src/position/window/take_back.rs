//! Events that were written and settled, and yet have not happened: nobody read them.

use super::{Milestone, Window};
use crate::position::{Mark, TimeUs};

impl Window {
    /// Forgets the last `events` identities. What is left ends with the event at `before`, whose
    /// identity is told if this run wrote it, when `latest` was the latest event time. Call it
    /// once no more is entered. `false`, and nothing is forgotten, where nothing would be left to
    /// go on from.
    #[must_use]
    pub fn take_back(
        &mut self,
        events: usize,
        before: Mark,
        identity: Option<u64>,
        latest: TimeUs,
    ) -> bool {
        let Some(left) = self.ring.len().checked_sub(events) else {
            return self.begin_at(before, identity, latest);
        };
        let entered = self.evicted + left as u64;
        // Nothing that was written since the oldest milestone may be forgotten but those.
        if self.milestones.front().is_none_or(|oldest| oldest.index >= entered) {
            return self.begin_at(before, identity, latest);
        }
        self.keep(left);
        self.milestones.retain(|milestone| milestone.index < entered);
        self.end_at(before, latest);
        true
    }

    /// All that is known is the event at `before`. Only where so much was left out behind it, or
    /// so little was ever known, that [`Window::settle`] could not keep more.
    fn begin_at(&mut self, before: Mark, identity: Option<u64>, latest: TimeUs) -> bool {
        let Some(identity) = identity else { return false };
        self.ring.clear();
        self.held.clear();
        self.known.clear();
        self.milestones.clear();
        let index = self.evicted;
        self.milestones.push_back(Milestone {
            mark: before,
            clock: before.time.min(latest.minus_us(self.span_us)),
            index,
            keeps_from: index,
            events: self.events,
        });
        self.insert(identity);
        self.end_at(before, latest);
        true
    }

    fn end_at(&mut self, before: Mark, latest: TimeUs) {
        self.clock.set(latest);
        self.numbers.set(before.seq);
        self.pending = None;
        self.oldest = 0;
        self.passed = self.passed.filter(|passed| passed.seq <= before.seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Seq;

    fn mark(time: u64) -> Mark {
        Mark { time: TimeUs(time), seq: Some(Seq(time + 1)) }
    }

    fn written(span_us: u64, times: impl Iterator<Item = u64>) -> Window {
        let mut window = Window::new(span_us);
        for time in times {
            window.advance(mark(time));
            window.insert(time);
            window.settle(None);
        }
        window
    }

    #[test]
    fn what_was_taken_back_is_unknown_and_a_replay_brings_it() {
        let mut window = written(1000, 0..5000);
        let before = window.rewind_to();
        assert!(window.take_back(100, mark(4899), Some(4899), TimeUs(4899)));
        assert_eq!(window.rewind_to(), before);
        assert!(window.contains(4899) && !window.contains(4900));
        assert_eq!(window.identities().last(), Some(&4899));
    }

    #[test]
    fn beyond_the_span_the_last_event_that_was_read_is_what_is_left() {
        let mut window = written(10, (0..10).map(|i| i * 1000));
        assert!(window.take_back(5, mark(4000), Some(4000), TimeUs(4000)));
        assert_eq!(window.rewind_to(), Some(mark(4000)));
        assert_eq!(window.identities(), [4000]);
        let mut window = written(10, (0..10).map(|i| i * 1000));
        assert!(!window.take_back(10, mark(7), None, TimeUs(7)));
        assert_eq!(window.rewind_to(), Some(mark(8000)));
    }

    #[test]
    fn what_may_be_taken_back_holds_back_what_is_let_go_of() {
        let mut window = Window::new(10);
        for time in (0..50).map(|i| i * 1000) {
            window.advance(mark(time));
            window.insert(time);
            let unread = (time / 1000).min(20);
            let first = time - 1000 * unread.saturating_sub(1);
            window.settle((unread > 0).then_some((unread as usize, TimeUs(first))));
        }
        // Not what a new connection asks for.
        assert_eq!(window.rewind_to(), Some(mark(48_000)));
        assert!(window.take_back(20, mark(29_000), None, TimeUs(29_000)));
        assert!(window.rewind_to().unwrap().time <= TimeUs(29_000));
        assert_eq!(window.identities().last(), Some(&29_000));
        assert!(window.identities().len() < 5);
    }

    #[test]
    fn what_was_passed_beyond_it_is_passed_no_more() {
        let mut window = written(1000, 0..100);
        window.pass(mark(99));
        assert!(window.take_back(10, mark(89), Some(89), TimeUs(89)));
        assert_eq!(window.rewind_to(), Some(mark(0)));
    }
}
