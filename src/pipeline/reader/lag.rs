//! Detects a server that lags behind the output: its stream has not reached the time that it
//! was asked for, so it sends what was written long ago. Pure: the caller passes the times.
//!
//! A v2 server by design starts up to an hour early (protocol/jetstream-v1.md §4.1), but sends
//! that surplus as fast as the network allows. A server that lags sends it at the pace at which
//! events happen, or not at all.

use std::time::{Duration, Instant};

use crate::position::TimeUs;

/// How long a replay speed is measured.
const MEASURE_FOR: Duration = Duration::from_secs(10);

/// Minimum replay speed, as a multiple of real time, that counts as catching up.
const MIN_REPLAY_SPEED: u128 = 3;

/// The measurement for one connection.
#[derive(Debug, Default)]
pub(super) struct LagDetector {
    since: Option<(Instant, TimeUs)>,
    is_reported: bool,
}

impl LagDetector {
    /// Takes the newest event's time, or `None` once a connection has reached the time that it
    /// was asked for. Returns true once, if the server lags.
    pub(super) fn observe(&mut self, now: Instant, early: Option<TimeUs>) -> bool {
        let Some(newest) = early else {
            *self = Self::default();
            return false;
        };
        let (since, first) = *self.since.get_or_insert((now, newest));
        let elapsed = now.duration_since(since);
        if elapsed < MEASURE_FOR || self.is_reported {
            return false;
        }
        let progress_us = u128::from(newest.0.saturating_sub(first.0));
        if progress_us > MIN_REPLAY_SPEED * elapsed.as_micros() {
            self.since = Some((now, newest));
            return false;
        }
        self.is_reported = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    /// Observes once a second a stream that advances by `pace_us` each time; returns the
    /// seconds at which a lag is reported.
    fn reports(pace_us: u64, seconds: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut lag = LagDetector::default();
        let is_reported = |&second: &u64| {
            let newest = TimeUs(1_000 * S + second * pace_us);
            lag.observe(start + Duration::from_secs(second), Some(newest))
        };
        (0..seconds).filter(is_reported).collect()
    }

    #[test]
    fn a_server_that_lags_is_reported_once() {
        assert_eq!(reports(S, 60), [10]);
        assert_eq!(reports(0, 60), [10]);
    }

    #[test]
    fn a_fast_replay_is_not_reported() {
        assert_eq!(reports(30 * S, 60), [0; 0]);
    }

    #[test]
    fn a_stream_that_has_caught_up_starts_a_new_measurement() {
        let start = Instant::now();
        let mut lag = LagDetector::default();
        assert!(!lag.observe(start, Some(TimeUs(S))));
        assert!(!lag.observe(start + MEASURE_FOR, None));
        assert!(!lag.observe(start + 2 * MEASURE_FOR, Some(TimeUs(S))));
    }
}
