//! Reports when the queue between reader and writer stays long or drops events.

use std::time::{Duration, Instant};

use crate::metrics::Metrics;
use crate::settings::{Buffer, WhenFull};

/// How long the queue must stay above `--max-lag` before it is reported: a queue exists for
/// shorter peaks.
const LAGGING_AFTER: Duration = Duration::from_secs(1);

/// Least time between two reports of drops.
const REPORT_DROPS_EVERY: Duration = Duration::from_secs(10);

/// A change that is worth a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAlert {
    /// The queue stays above the limit.
    Lagging {
        /// Events in the queue.
        queued: u64,
    },
    /// The queue is below half of the limit again.
    CaughtUp,
    /// Events were dropped.
    Dropped {
        /// Events since the last alert.
        events: u64,
        /// Events since the start of the run.
        total: u64,
    },
}

/// What was reported about the queue so far.
#[derive(Debug)]
pub struct QueueMonitor {
    max_lag_events: Option<u64>,
    above_since: Option<Instant>,
    is_lagging: bool,
    reported_drops: u64,
    drops_reported_at: Option<Instant>,
}

impl QueueMonitor {
    /// Returns a monitor that reports more than `max_lag_events` queued events, and drops.
    #[must_use]
    pub fn new(max_lag_events: Option<u64>) -> Self {
        Self {
            max_lag_events,
            above_since: None,
            is_lagging: false,
            reported_drops: 0,
            drops_reported_at: None,
        }
    }

    /// Returns whether a queue with these settings can cause an alert.
    #[must_use]
    pub fn is_needed(buffer: &Buffer) -> bool {
        buffer.max_lag_events.is_some() || buffer.when_full != WhenFull::Block
    }

    /// Reads the counters, and logs an alert if there is one.
    pub fn check(&mut self, metrics: &Metrics, now: Instant) {
        if let Some(alert) = self.observe(now, metrics.queue_events.get(), metrics.dropped.get()) {
            alert.log();
        }
    }

    /// Takes the queue's length and the number of drops since the start; returns an alert if
    /// there is one.
    pub fn observe(&mut self, now: Instant, queued: u64, dropped: u64) -> Option<QueueAlert> {
        self.observe_drops(now, dropped).or_else(|| self.observe_length(now, queued))
    }

    fn observe_drops(&mut self, now: Instant, dropped: u64) -> Option<QueueAlert> {
        let is_soon =
            self.drops_reported_at.is_some_and(|at| now.duration_since(at) < REPORT_DROPS_EVERY);
        if dropped == self.reported_drops || is_soon {
            return None;
        }
        let events = dropped - self.reported_drops;
        (self.reported_drops, self.drops_reported_at) = (dropped, Some(now));
        Some(QueueAlert::Dropped { events, total: dropped })
    }

    fn observe_length(&mut self, now: Instant, queued: u64) -> Option<QueueAlert> {
        let limit = self.max_lag_events?;
        if queued <= limit {
            self.above_since = None;
            // Half the limit, so that a queue around the limit makes one episode.
            if self.is_lagging && queued <= limit / 2 {
                self.is_lagging = false;
                return Some(QueueAlert::CaughtUp);
            }
            return None;
        }
        let since = *self.above_since.get_or_insert(now);
        if self.is_lagging || now.duration_since(since) < LAGGING_AFTER {
            return None;
        }
        self.is_lagging = true;
        Some(QueueAlert::Lagging { queued })
    }
}

impl QueueAlert {
    /// Logs the alert as a warning.
    pub fn log(self) {
        match self {
            Self::Lagging { queued } => {
                tracing::warn!(queued, "the output is slower than the stream: events are queueing");
            }
            Self::CaughtUp => tracing::warn!("the output has caught up again"),
            Self::Dropped { events, total } => {
                tracing::warn!(total, "dropped {events} events, as --when-full asks");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn each_episode_causes_one_alert() {
        let start = Instant::now();
        let mut monitor = QueueMonitor::new(Some(100));
        let queue = [
            (0, 500),
            (1, 500),
            (2, 600),
            (3, 90),
            (4, 500),
            (6, 500),
            (7, 50),
            (8, 500),
            (9, 500),
        ];
        let alerts: Vec<_> = queue
            .iter()
            .filter_map(|&(s, queued)| monitor.observe(start + s * S, queued, 0))
            .collect();
        let lagging = QueueAlert::Lagging { queued: 500 };
        assert_eq!(alerts, [lagging, QueueAlert::CaughtUp, lagging]);
    }

    #[test]
    fn a_short_peak_causes_no_alert() {
        let start = Instant::now();
        let mut monitor = QueueMonitor::new(Some(100));
        assert_eq!(monitor.observe(start, 500, 0), None);
        assert_eq!(monitor.observe(start + S / 2, 0, 0), None);
        assert_eq!(monitor.observe(start + S, 500, 0), None);
    }

    #[test]
    fn the_first_drop_is_reported_at_once_and_later_ones_in_sums() {
        let start = Instant::now();
        let mut monitor = QueueMonitor::new(None);
        let dropped = |events, total| Some(QueueAlert::Dropped { events, total });
        assert_eq!(monitor.observe(start, 0, 3), dropped(3, 3));
        assert_eq!(monitor.observe(start + S, 0, 9), None);
        assert_eq!(monitor.observe(start + 10 * S, 0, 9), dropped(6, 9));
    }
}
