//! Watches the queue between reader and writer, and says in words when it stays too long or
//! loses events. Pure but for the words: it is told the numbers and the time.

use std::time::{Duration, Instant};

/// How long the queue must stay beyond `--max-lag` before it is told: shorter peaks are what
/// a queue is for.
const STAYS: Duration = Duration::from_secs(1);

/// How often drops are told, at most.
const DROPS_EVERY: Duration = Duration::from_secs(10);

/// Something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAlert {
    /// The queue stays beyond the limit.
    Lagging {
        /// Events in the queue.
        queued: u64,
    },
    /// It is back below half of the limit.
    CaughtUp,
    /// Events were dropped since the last word.
    Dropped {
        /// How many since then.
        events: u64,
        /// How many in all.
        total: u64,
    },
}

/// The state of the watch.
#[derive(Debug)]
pub struct QueueMonitor {
    max_lag_events: Option<u64>,
    above_since: Option<Instant>,
    is_lagging: bool,
    dropped: u64,
    drops_told: Option<Instant>,
}

impl QueueMonitor {
    /// A watch that tells of more than `max_lag_events` queued events.
    #[must_use]
    pub fn new(max_lag_events: Option<u64>) -> Self {
        Self { max_lag_events, above_since: None, is_lagging: false, dropped: 0, drops_told: None }
    }

    /// Looks at the queue's length and the count of drops.
    pub fn observe(&mut self, now: Instant, queued: u64, dropped: u64) -> Option<QueueAlert> {
        self.look_at_drops(now, dropped).or_else(|| self.look_at_queue(now, queued))
    }

    fn look_at_drops(&mut self, now: Instant, dropped: u64) -> Option<QueueAlert> {
        let is_soon = self.drops_told.is_some_and(|at| now.duration_since(at) < DROPS_EVERY);
        if dropped == self.dropped || is_soon {
            return None;
        }
        let events = dropped - self.dropped;
        (self.dropped, self.drops_told) = (dropped, Some(now));
        Some(QueueAlert::Dropped { events, total: dropped })
    }

    fn look_at_queue(&mut self, now: Instant, queued: u64) -> Option<QueueAlert> {
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
        if self.is_lagging || now.duration_since(since) < STAYS {
            return None;
        }
        self.is_lagging = true;
        Some(QueueAlert::Lagging { queued })
    }
}

impl QueueAlert {
    /// Says it.
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
    fn one_word_for_each_episode() {
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
        let words: Vec<_> = queue
            .iter()
            .filter_map(|&(s, queued)| monitor.observe(start + s * S, queued, 0))
            .collect();
        assert_eq!(
            words,
            [
                QueueAlert::Lagging { queued: 500 },
                QueueAlert::CaughtUp,
                QueueAlert::Lagging { queued: 500 }
            ]
        );
    }

    #[test]
    fn a_short_peak_is_not_told() {
        let start = Instant::now();
        let mut monitor = QueueMonitor::new(Some(100));
        assert_eq!(monitor.observe(start, 500, 0), None);
        assert_eq!(monitor.observe(start + S / 2, 0, 0), None);
        assert_eq!(monitor.observe(start + S, 500, 0), None);
    }

    #[test]
    fn drops_are_told_at_once_and_then_summed_up() {
        let start = Instant::now();
        let mut monitor = QueueMonitor::new(None);
        assert_eq!(monitor.observe(start, 0, 3), Some(QueueAlert::Dropped { events: 3, total: 3 }));
        assert_eq!(monitor.observe(start + S, 0, 9), None);
        assert_eq!(
            monitor.observe(start + 10 * S, 0, 9),
            Some(QueueAlert::Dropped { events: 6, total: 9 })
        );
    }
}
