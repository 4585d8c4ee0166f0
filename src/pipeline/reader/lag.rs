//! Whether a server lags behind the output: it was asked for an instant that its stream has
//! not reached, and sends what was written long ago. Pure: it is told the times.
//!
//! A v2 server starts up to an hour early by nature (protocol/jetstream-v1.md §4.1), but
//! brings that surplus as fast as the network allows. A server that lags brings it at the
//! pace of life, or not at all.

use std::time::{Duration, Instant};

use crate::position::TimeUs;

/// How long the surplus is watched before its pace is judged.
const WATCHED: Duration = Duration::from_secs(10);

/// A surplus that is not at least this many times faster than life will not end soon.
const FASTER_THAN_LIFE: u128 = 3;

/// The watch over one connection.
#[derive(Debug, Default)]
pub(super) struct LagDetector {
    since: Option<(Instant, TimeUs)>,
    is_told: bool,
}

impl LagDetector {
    /// Looks at the newest event's time, while nothing but surplus has come. Says once that
    /// the server lags.
    pub(super) fn observe(&mut self, now: Instant, early: Option<TimeUs>) -> bool {
        let Some(newest) = early else {
            *self = Self::default();
            return false;
        };
        let (since, first) = *self.since.get_or_insert((now, newest));
        let elapsed = now.duration_since(since);
        if elapsed < WATCHED || self.is_told {
            return false;
        }
        let progress_us = u128::from(newest.0.saturating_sub(first.0));
        if progress_us > FASTER_THAN_LIFE * elapsed.as_micros() {
            self.since = Some((now, newest));
            return false;
        }
        self.is_told = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    /// Looks once a second; the stream moves on by `pace_us` each time.
    fn told_after(pace_us: u64, seconds: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut lag = LagDetector::default();
        let is_told = |&second: &u64| {
            let newest = TimeUs(1_000 * S + second * pace_us);
            lag.observe(start + Duration::from_secs(second), Some(newest))
        };
        (0..seconds).filter(is_told).collect()
    }

    #[test]
    fn a_server_that_lags_is_told_of_once() {
        assert_eq!(told_after(S, 60), [10]);
        assert_eq!(told_after(0, 60), [10]);
    }

    #[test]
    fn a_fast_surplus_is_waited_for() {
        assert_eq!(told_after(30 * S, 60), [0; 0]);
    }

    #[test]
    fn a_stream_that_has_arrived_is_not_watched() {
        let start = Instant::now();
        let mut lag = LagDetector::default();
        assert!(!lag.observe(start, Some(TimeUs(S))));
        assert!(!lag.observe(start + WATCHED, None));
        assert!(!lag.observe(start + 2 * WATCHED, Some(TimeUs(S))));
    }
}
