//! When one file ends and the next begins, by time or by size.

use crate::position::TimeUs;

/// `--rotate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotate {
    /// A file for each hour of event time (UTC).
    Hourly,
    /// A file for each day of event time (UTC).
    Daily,
    /// A new file after the event with which the last one reaches this many bytes on disk.
    Size(u64),
}

const HOUR_US: u64 = 3_600_000_000;
const DAY_US: u64 = 24 * HOUR_US;

impl Rotate {
    /// Returns the word in the state file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Size(_) => "size",
        }
    }

    /// Returns the precision, in microseconds, with which the times of events must be known. By
    /// size any event can be the first of a file, and its time is in the name.
    #[must_use]
    pub fn period_us(self) -> u64 {
        match self {
            Self::Hourly => HOUR_US,
            Self::Daily => DAY_US,
            Self::Size(_) => 1,
        }
    }

    /// Returns the instant in the name of an event's file: the start of its period, or the event's
    /// own time if it is the first of a file by size.
    #[must_use]
    pub fn start_of(self, time: TimeUs) -> TimeUs {
        TimeUs(time.0 - time.0 % self.period_us())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_at_its_first_microsecond_and_ends_before_the_next() {
        let ten = 494_722 * HOUR_US;
        for (time, start) in [(ten - 1, ten - HOUR_US), (ten, ten), (ten + HOUR_US - 1, ten)] {
            assert_eq!(Rotate::Hourly.start_of(TimeUs(time)), TimeUs(start));
        }
        assert_eq!(Rotate::Daily.start_of(TimeUs(DAY_US - 1)), TimeUs(0));
        assert_eq!(Rotate::Daily.start_of(TimeUs(DAY_US)), TimeUs(DAY_US));
        assert_eq!(Rotate::Size(9).start_of(TimeUs(12_345)), TimeUs(12_345));
    }
}
