//! The surplus in front of the instant that a server was asked for. Pure.

use crate::position::TimeUs;

/// A server that was asked for an instant sends up to an hour of surplus in front of it
/// (protocol/jetstream-v1.md §4.1). Events further back than that are imported ones.
const LONGEST_US: u64 = 2 * 3_600_000_000;

/// So many events in the surplus before it says anything about the server: one proves nothing.
const SAYS_SOMETHING: u32 = 3;

/// What has come of the surplus.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Early {
    /// The newest event of the surplus, and how many there were.
    newest: TimeUs,
    count: u32,
    /// The last event behind the instant, if it was the last of all.
    late: Option<TimeUs>,
}

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surplus {
    /// A part of the surplus.
    Early,
    /// None, but the surplus may go on behind it.
    Wanted,
    /// None, and with it the surplus is over.
    Over,
}

/// Returns whether a time is too old for the surplus in front of `instant`.
pub(super) fn is_imported(time: TimeUs, instant: TimeUs) -> bool {
    time.plus_us(LONGEST_US) < instant
}

impl Early {
    /// Looks at the next event of a connection that was asked for `instant`. A single event
    /// behind the instant does not end the surplus; the second in a row does.
    pub(super) fn look(&mut self, time: TimeUs, instant: TimeUs) -> Surplus {
        if time >= instant {
            let is_second = self.late.is_some_and(|late| late != time);
            self.late = Some(time);
            return if is_second { Surplus::Over } else { Surplus::Wanted };
        }
        if self.late.is_some() && is_imported(time, instant) {
            return Surplus::Wanted;
        }
        self.late = None;
        self.newest = self.newest.max(time);
        self.count = self.count.saturating_add(1);
        Surplus::Early
    }

    /// Returns the newest event of the surplus, while it lasts and says something.
    pub(super) fn newest(&self) -> Option<TimeUs> {
        (self.count >= SAYS_SOMETHING && self.late.is_none()).then_some(self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Surplus::{Early as Before, Over, Wanted};

    const H: u64 = 3_600_000_000;

    fn looks(times: &[u64]) -> Vec<Surplus> {
        let mut early = Early::default();
        times.iter().map(|time| early.look(TimeUs(*time), TimeUs(100 * H))).collect()
    }

    #[test]
    fn a_single_late_time_does_not_end_the_surplus() {
        let (before, lie) = (99 * H, 900 * H);
        assert_eq!(
            looks(&[before, lie, before, lie, before]),
            [Before, Wanted, Before, Wanted, Before]
        );
        assert_eq!(looks(&[before, lie, lie, before]), [Before, Wanted, Wanted, Before]);
    }

    #[test]
    fn two_late_ones_end_it_and_imported_ones_between_them_are_none_of_it() {
        assert_eq!(looks(&[99 * H, 100 * H, H, 101 * H]), [Before, Wanted, Wanted, Over]);
    }

    #[test]
    fn a_late_first_event_may_be_a_lie_too() {
        assert_eq!(looks(&[900 * H, 99 * H, 99 * H]), [Wanted, Before, Before]);
        assert_eq!(looks(&[100 * H, 101 * H]), [Wanted, Over]);
    }

    #[test]
    fn a_single_early_event_says_nothing_of_the_server() {
        let mut early = Early::default();
        for (i, expected) in [None, None, Some(TimeUs(9)), Some(TimeUs(9))].into_iter().enumerate()
        {
            early.look(TimeUs(9), TimeUs(100));
            assert_eq!(early.newest(), expected, "{i}");
        }
        early.look(TimeUs(100), TimeUs(100));
        assert_eq!(early.newest(), None);
    }
}
