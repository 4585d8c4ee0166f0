//! Makes the reader yield to the other futures of its task after a bounded time of work.
//!
//! Signals, timers and the end of the writer are polled by the same task. A server that sends
//! faster than the reader works never makes it wait, and tokio's own budget counts operations
//! and not time: 128 full batches took seconds in a build without optimization, and a stop
//! signal was noticed that late.

use std::time::{Duration, Instant};

/// Most time between two yields. Far below what a person notices, far above the cost of a yield
/// (some microseconds).
const MAX_WORK: Duration = Duration::from_millis(10);

/// When the reader has yielded last.
#[derive(Debug)]
pub(super) struct WorkBudget {
    since: Instant,
}

impl WorkBudget {
    pub(super) fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// Yields if [`MAX_WORK`] has passed since the last yield.
    pub(super) async fn yield_if_spent(&mut self) {
        if self.is_spent(Instant::now()) {
            tokio::task::yield_now().await;
            self.since = Instant::now();
        }
    }

    fn is_spent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= MAX_WORK
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;

    #[test]
    fn a_task_that_never_waits_lets_another_future_run_within_its_budget() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let is_stopped = AtomicBool::new(false);
        // It ends only if the other future runs.
        let busy = async {
            let mut work = WorkBudget::new();
            while !is_stopped.load(Relaxed) {
                work.yield_if_spent().await;
            }
        };
        let other = async {
            tokio::task::yield_now().await;
            is_stopped.store(true, Relaxed);
        };
        runtime.block_on(async { tokio::join!(busy, other) });
    }

    #[test]
    fn a_budget_is_spent_after_ten_milliseconds() {
        let work = WorkBudget::new();
        assert!(!work.is_spent(work.since + MAX_WORK / 2));
        assert!(work.is_spent(work.since + MAX_WORK));
    }
}
