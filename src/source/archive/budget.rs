//! `--archive-max-bytes`: how much a run may still download from archives.

use std::sync::Arc;

use crate::metrics::Metrics;

/// Decides before each download of a backfill whether the run has bytes left for it. All
/// downloads of the run count, also those that were repeated.
#[derive(Debug)]
pub(super) struct DownloadBudget {
    limit: Option<u64>,
    metrics: Arc<Metrics>,
    /// The largest block so far that was fetched by number: the estimate for the next one, whose
    /// size only the response shows.
    largest_block: u64,
}

impl DownloadBudget {
    /// Returns a budget of `limit` bytes for the run that `metrics` belongs to.
    pub(super) fn new(limit: Option<u64>, metrics: Arc<Metrics>) -> Self {
        Self { limit, metrics, largest_block: 0 }
    }

    /// Returns whether a download of `next` bytes may start while downloads of `pending` bytes are
    /// under way. `is_idle` says that nothing is under way or waits to be decoded: then a run that
    /// has read nothing yet may start one download of any size, so that a series of runs makes
    /// progress with any budget.
    pub(super) fn admits(&self, pending: u64, next: u64, is_idle: bool) -> bool {
        let Some(limit) = self.limit else { return true };
        let spent = self.metrics.archive_bytes.get().saturating_add(pending);
        spent.saturating_add(next) <= limit || (is_idle && !self.has_read())
    }

    /// Returns whether the run may start another request whose size is not known.
    pub(super) fn is_left(&self) -> bool {
        let limit = self.limit.unwrap_or(u64::MAX);
        self.metrics.archive_bytes.get() < limit || !self.has_read()
    }

    /// Returns the expected size of a block that is fetched by number.
    pub(super) fn block_estimate(&self) -> u64 {
        self.largest_block
    }

    /// Records the size of a block that was fetched by number.
    pub(super) fn observe_block(&mut self, bytes: usize) {
        self.largest_block = self.largest_block.max(bytes as u64);
    }

    /// Returns whether the run has read a part of an archive.
    fn has_read(&self) -> bool {
        let progress = &self.metrics.backfill;
        progress.at_seq.get() > progress.from_seq.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_stay_within_the_limit_after_the_first() {
        let metrics = Arc::new(Metrics::default());
        let budget = DownloadBudget::new(Some(100), Arc::clone(&metrics));
        assert!(budget.admits(0, 1_000, true), "the first of a run");
        assert!(!budget.admits(0, 1_000, false), "only one at a time");
        metrics.archive_bytes.add(60);
        metrics.backfill.begin(0, 10);
        metrics.backfill.at_seq.set(1);
        assert!(budget.admits(0, 40, true) && budget.admits(30, 10, false));
        assert!(!budget.admits(0, 41, true) && !budget.admits(31, 10, false));
        assert!(budget.is_left());
        metrics.archive_bytes.add(40);
        assert!(!budget.is_left());
        assert!(DownloadBudget::new(None, metrics).admits(u64::MAX, u64::MAX, false));
    }
}
