//! Undoes written events that nothing has read from the output pipe.

use super::{DedupWindow, RewindPoint};
use crate::position::{EventPosition, TimeUs};

impl DedupWindow {
    /// Removes the last `events` keys. The window then ends with the event at `before`, with its
    /// key if this run wrote it, when `latest` was the latest event time. Call it after the last
    /// insert. Returns `false` and removes nothing if no event would be left to continue from.
    #[must_use]
    pub fn rollback(
        &mut self,
        events: usize,
        before: EventPosition,
        identity: Option<u64>,
        latest: TimeUs,
    ) -> bool {
        let Some(left) = self.keys.len().checked_sub(events) else {
            return self.begin_at(before, identity, latest);
        };
        let inserted = self.keys.evicted() + left as u64;
        // No other key since the oldest rewind point may be removed.
        if self.rewind_points.front().is_none_or(|oldest| oldest.index >= inserted) {
            return self.begin_at(before, identity, latest);
        }
        self.keep(left);
        self.rewind_points.retain(|rewind_point| rewind_point.index < inserted);
        self.end_at(before, latest);
        true
    }

    /// Starts again with the event at `before` as the only one. This is the case if so many events
    /// were unwanted after it, or so few were ever known, that [`DedupWindow::settle`] could not
    /// keep more.
    fn begin_at(&mut self, before: EventPosition, identity: Option<u64>, latest: TimeUs) -> bool {
        let Some(identity) = identity else { return false };
        self.keys.clear();
        self.held.clear();
        self.rewind_points.clear();
        let index = self.keys.evicted();
        self.rewind_points.push_back(RewindPoint {
            at: before,
            clock: before.time.min(latest.minus_us(self.span_us)),
            index,
            retain_from: index,
            events: self.events,
            is_late: false,
        });
        self.insert(identity);
        self.end_at(before, latest);
        true
    }

    fn end_at(&mut self, before: EventPosition, latest: TimeUs) {
        self.clock.set(latest);
        self.numbers.set(before.seq);
        self.pending = None;
        self.oldest = 0;
        self.watermark = self.watermark.filter(|watermark| watermark.seq <= before.seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Seq;

    fn mark(time: u64) -> EventPosition {
        EventPosition { time: TimeUs(time), seq: Some(Seq(time + 1)) }
    }

    fn written(span_us: u64, times: impl Iterator<Item = u64>) -> DedupWindow {
        let mut window = DedupWindow::new(span_us);
        for time in times {
            window.advance(mark(time));
            window.insert(time);
            window.settle(None);
        }
        window
    }

    #[test]
    fn removed_events_are_unknown_and_a_replay_brings_them() {
        let mut window = written(1000, 0..5000);
        let before = window.rewind_to();
        assert!(window.rollback(100, mark(4899), Some(4899), TimeUs(4899)));
        assert_eq!(window.rewind_to(), before);
        assert!(window.contains(4899) && !window.contains(4900));
        assert_eq!(window.identities().last(), Some(&4899));
    }

    #[test]
    fn a_rollback_past_the_span_leaves_the_last_event_that_was_read() {
        let mut window = written(10, (0..10).map(|i| i * 1000));
        assert!(window.rollback(5, mark(4000), Some(4000), TimeUs(4000)));
        assert_eq!(window.rewind_to(), Some(mark(4000)));
        assert_eq!(window.identities(), [4000]);
        let mut window = written(10, (0..10).map(|i| i * 1000));
        assert!(!window.rollback(10, mark(7), None, TimeUs(7)));
        assert_eq!(window.rewind_to(), Some(mark(7000)));
    }

    #[test]
    fn keys_stay_while_a_rollback_may_need_them() {
        let mut window = DedupWindow::new(10);
        for time in (0..50).map(|i| i * 1000) {
            window.advance(mark(time));
            window.insert(time);
            let unread = (time / 1000).min(20);
            let first = time - 1000 * unread.saturating_sub(1);
            window.settle((unread > 0).then_some((unread as usize, TimeUs(first))));
        }
        // The position that a new connection asks for does not change.
        assert_eq!(window.rewind_to(), Some(mark(47_000)));
        assert!(window.rollback(20, mark(29_000), None, TimeUs(29_000)));
        assert!(window.rewind_to().unwrap().time <= TimeUs(29_000));
        assert_eq!(window.identities().last(), Some(&29_000));
        assert!(window.identities().len() < 5);
    }

    #[test]
    fn a_rollback_removes_a_later_watermark() {
        let mut window = written(1000, 0..100);
        window.set_watermark(mark(99));
        assert!(window.rollback(10, mark(89), Some(89), TimeUs(89)));
        assert_eq!(window.rewind_to(), Some(mark(0)));
    }
}
