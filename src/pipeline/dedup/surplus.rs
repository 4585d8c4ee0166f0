//! Recognises the surplus that a server sends before the instant that it was asked for. Pure.

use crate::position::TimeUs;

/// A server that was asked for an instant sends up to an hour of surplus before it
/// (protocol/jetstream-v1.md §4.1). Events further back than this are imported ones.
const LONGEST_US: u64 = 2 * 3_600_000_000;

/// How many events of a surplus show where the server is; one event proves nothing.
const MIN_EVENTS: u32 = 3;

/// The state of one connection's surplus.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SurplusFilter {
    /// The newest event of the surplus, and the number of its events.
    newest: TimeUs,
    count: u32,
    /// The latest event at or after the instant, if no event of the surplus followed it.
    late: Option<TimeUs>,
}

/// How an event relates to the surplus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surplus {
    /// The event belongs to the surplus.
    Inside,
    /// The event does not belong to it, and more of it may follow.
    Outside,
    /// The event does not belong to it, and the surplus has ended.
    Ended,
}

/// Returns whether a time is too old for the surplus before `instant`.
pub(super) fn is_imported(time: TimeUs, instant: TimeUs) -> bool {
    time.plus_us(LONGEST_US) < instant
}

impl SurplusFilter {
    /// Classifies the next event of a connection that was asked for `instant`. A single event at
    /// or after the instant does not end the surplus; the second in a row does.
    pub(super) fn classify(&mut self, time: TimeUs, instant: TimeUs) -> Surplus {
        if time >= instant {
            let is_second = self.late.is_some_and(|late| late != time);
            self.late = Some(time);
            return if is_second { Surplus::Ended } else { Surplus::Outside };
        }
        if self.late.is_some() && is_imported(time, instant) {
            return Surplus::Outside;
        }
        self.late = None;
        self.newest = self.newest.max(time);
        self.count = self.count.saturating_add(1);
        Surplus::Inside
    }

    /// Returns the newest event of the surplus, while it lasts and enough of its events came.
    pub(super) fn newest(&self) -> Option<TimeUs> {
        (self.count >= MIN_EVENTS && self.late.is_none()).then_some(self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Surplus::{Ended, Inside, Outside};

    const H: u64 = 3_600_000_000;

    fn classes(times: &[u64]) -> Vec<Surplus> {
        let mut surplus = SurplusFilter::default();
        times.iter().map(|time| surplus.classify(TimeUs(*time), TimeUs(100 * H))).collect()
    }

    #[test]
    fn a_single_late_time_does_not_end_the_surplus() {
        let (early, late) = (99 * H, 900 * H);
        assert_eq!(
            classes(&[early, late, early, late, early]),
            [Inside, Outside, Inside, Outside, Inside]
        );
        assert_eq!(classes(&[early, late, late, early]), [Inside, Outside, Outside, Inside]);
    }

    #[test]
    fn two_late_times_end_it_and_an_imported_one_between_them_is_outside() {
        assert_eq!(classes(&[99 * H, 100 * H, H, 101 * H]), [Inside, Outside, Outside, Ended]);
    }

    #[test]
    fn a_late_first_event_may_be_false_too() {
        assert_eq!(classes(&[900 * H, 99 * H, 99 * H]), [Outside, Inside, Inside]);
        assert_eq!(classes(&[100 * H, 101 * H]), [Outside, Ended]);
    }

    #[test]
    fn a_single_early_event_does_not_show_where_the_server_is() {
        let mut surplus = SurplusFilter::default();
        for (i, expected) in [None, None, Some(TimeUs(9)), Some(TimeUs(9))].into_iter().enumerate()
        {
            surplus.classify(TimeUs(9), TimeUs(100));
            assert_eq!(surplus.newest(), expected, "{i}");
        }
        surplus.classify(TimeUs(100), TimeUs(100));
        assert_eq!(surplus.newest(), None);
    }
}
