//! Decides from the counters whether the stream is alive. Pure: the caller passes the time.

use std::time::Duration;

use crate::display::units::{counted, duration};
use crate::metrics::Metrics;

/// The criteria of a healthy stream.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// Start time of the run, in Unix microseconds.
    pub started_us: u64,
    /// Longest time without an event; `None` if the stream may stay quiet without a limit.
    pub stall_timeout: Option<Duration>,
}

/// The result of a health check, with the reason that `/healthz` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// Connected, and the last event is not too long ago.
    Alive(String),
    /// Not connected, or without an event for too long.
    Stale(String),
}

impl Health {
    /// Checks the counters as of `now_us`, in Unix microseconds.
    #[must_use]
    pub fn check(&self, metrics: &Metrics, now_us: u64) -> HealthStatus {
        if metrics.connected.get() == 0 {
            return HealthStatus::Stale(match (metrics.backoff_ms.get(), metrics.protocol.get()) {
                (0, 0) => "not connected yet".to_owned(),
                (0, _) => "not connected".to_owned(),
                (ms, _) => format!(
                    "not connected; the next attempt is {} after the last one",
                    duration(Duration::from_millis(ms))
                ),
            });
        }
        let last_us = metrics.last_event_at_us.get();
        let silence = Duration::from_micros(now_us.saturating_sub(last_us.max(self.started_us)));
        // A healthy stream that was once silent for longer may be so again.
        let longest_silence = Duration::from_millis(metrics.stall_limit_ms.get());
        let limit = self.stall_timeout.map(|timeout| timeout.max(longest_silence));
        if let Some(limit) = limit.filter(|limit| silence > *limit) {
            let waiting = match metrics.queue_events.get() {
                0 => String::new(),
                n => format!(": the output accepts none of {}", counted(n, "queued event")),
            };
            return HealthStatus::Stale(format!(
                "no event for {} (at most {}){waiting}",
                duration(silence),
                duration(limit)
            ));
        }
        HealthStatus::Alive(match last_us {
            0 => "connected, no event yet".to_owned(),
            _ => format!("connected, last event {} ago", duration(silence)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_783_175_888_000_000;
    const S: u64 = 1_000_000;

    fn check(stall: Option<u64>, set: impl Fn(&Metrics), after: u64) -> HealthStatus {
        let metrics = Metrics::default();
        set(&metrics);
        let stall_timeout = stall.map(Duration::from_secs);
        Health { started_us: START, stall_timeout }.check(&metrics, START + after * S)
    }

    fn stale(words: &str) -> HealthStatus {
        HealthStatus::Stale(words.into())
    }

    #[test]
    fn a_stream_without_a_connection_is_stale() {
        assert_eq!(check(Some(60), |_| {}, 0), stale("not connected yet"));
        let lost = |metrics: &Metrics| {
            metrics.protocol.set(2);
            metrics.last_event_at_us.set(START);
        };
        assert_eq!(check(None, lost, 1), stale("not connected"));
        let waits = |metrics: &Metrics| metrics.backoff_ms.set(2100);
        let words = "not connected; the next attempt is 2.1s after the last one";
        assert_eq!(check(Some(60), waits, 1), stale(words));
    }

    #[test]
    fn the_timeout_starts_at_the_start_or_at_the_last_event() {
        let up = |metrics: &Metrics| metrics.connected.set(1);
        assert_eq!(check(Some(60), up, 60), HealthStatus::Alive("connected, no event yet".into()));
        assert_eq!(check(Some(60), up, 61), stale("no event for 1m01s (at most 1m00s)"));
        let event = |metrics: &Metrics| {
            metrics.connected.set(1);
            metrics.last_event_at_us.set(START + 50 * S);
        };
        let alive = HealthStatus::Alive("connected, last event 11s ago".into());
        assert_eq!(check(Some(60), event, 61), alive);
        assert_eq!(check(Some(60), event, 200), stale("no event for 2m30s (at most 1m00s)"));
        let quiet = HealthStatus::Alive("connected, last event 1d17h ago".into());
        assert_eq!(check(None, event, 150_000), quiet);
    }

    #[test]
    fn the_reason_names_a_blocked_output() {
        let blocked = |metrics: &Metrics| {
            metrics.connected.set(1);
            metrics.queue_events.set(7);
        };
        let words =
            "no event for 2m00s (at most 1m00s): the output accepts none of 7 queued events";
        assert_eq!(check(Some(60), blocked, 120), stale(words));
    }
}
