//! Whether the stream is alive, from the counters. Pure: it is told the time.

use std::time::Duration;

use crate::display::units::{counted, duration};
use crate::metrics::Metrics;

/// What a healthy stream is.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// When the run began, in Unix microseconds.
    pub started_us: u64,
    /// Longest time without an event; `None` where a stream may be quiet for ever.
    pub stall_timeout: Option<Duration>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Connected, and the last event is not too long ago.
    Alive(String),
    /// Not so, and why.
    Stale(String),
}

impl Health {
    /// Looks at the counters.
    #[must_use]
    pub fn look(&self, metrics: &Metrics, now_us: u64) -> Verdict {
        if metrics.connected.get() == 0 {
            return Verdict::Stale(match (metrics.backoff_ms.get(), metrics.protocol.get()) {
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
        if let Some(most) = self.stall_timeout.filter(|most| silence > *most) {
            let waiting = match metrics.queue_events.get() {
                0 => String::new(),
                n => format!(": the output takes none of {} in the queue", counted(n, "event")),
            };
            return Verdict::Stale(format!(
                "no event for {} (at most {}){waiting}",
                duration(silence),
                duration(most)
            ));
        }
        Verdict::Alive(match last_us {
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

    fn look(stall: Option<u64>, set: impl Fn(&Metrics), after: u64) -> Verdict {
        let metrics = Metrics::default();
        set(&metrics);
        let stall_timeout = stall.map(Duration::from_secs);
        Health { started_us: START, stall_timeout }.look(&metrics, START + after * S)
    }

    fn stale(words: &str) -> Verdict {
        Verdict::Stale(words.into())
    }

    #[test]
    fn a_stream_without_a_connection_is_stale() {
        assert_eq!(look(Some(60), |_| {}, 0), stale("not connected yet"));
        let lost = |metrics: &Metrics| {
            metrics.protocol.set(2);
            metrics.last_event_at_us.set(START);
        };
        assert_eq!(look(None, lost, 1), stale("not connected"));
        let waits = |metrics: &Metrics| metrics.backoff_ms.set(2100);
        let words = "not connected; the next attempt is 2.1s after the last one";
        assert_eq!(look(Some(60), waits, 1), stale(words));
    }

    #[test]
    fn silence_counts_from_the_start_or_the_last_event() {
        let up = |metrics: &Metrics| metrics.connected.set(1);
        assert_eq!(look(Some(60), up, 60), Verdict::Alive("connected, no event yet".into()));
        assert_eq!(look(Some(60), up, 61), stale("no event for 1m01s (at most 1m00s)"));
        let event = |metrics: &Metrics| {
            metrics.connected.set(1);
            metrics.last_event_at_us.set(START + 50 * S);
        };
        let alive = Verdict::Alive("connected, last event 11s ago".into());
        assert_eq!(look(Some(60), event, 61), alive);
        assert_eq!(look(Some(60), event, 200), stale("no event for 2m30s (at most 1m00s)"));
        let quiet = Verdict::Alive("connected, last event 1d17h ago".into());
        assert_eq!(look(None, event, 150_000), quiet);
    }

    #[test]
    fn a_blocked_output_is_named() {
        let blocked = |metrics: &Metrics| {
            metrics.connected.set(1);
            metrics.queue_events.set(7);
        };
        let words =
            "no event for 2m00s (at most 1m00s): the output takes none of 7 events in the queue";
        assert_eq!(look(Some(60), blocked, 120), stale(words));
    }
}
