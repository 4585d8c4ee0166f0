//! What the writer does when the filter changes: it saves the position, and logs the change.

use std::sync::Arc;

use crate::display::units::counted;
use crate::filter::{Filter, FilterDiff};

use super::Writer;

impl Writer {
    /// Replaces the filter of the lines to come. The change is saved with the position before
    /// another line is written.
    pub(super) fn change_filter(&mut self, filter: Arc<Filter>) {
        let diff = FilterDiff::between(self.processor.filter(), &filter);
        let since = self.processor.change_filter(filter);
        self.publish_position(None);
        let metrics = &self.config.metrics;
        metrics.filter_changes.add(1);
        metrics.filter_changed_at_us.set(crate::metrics::now_us());
        if since.is_some() {
            self.unsaved.is_due = true;
            if let Err(refusal) = self.save() {
                self.end(Some(refusal));
                return;
            }
            // A failure is logged by the worker, and the change is saved with the next position.
            let _ = self.config.checkpoint_worker.as_ref().map(|worker| worker.flush());
        }
        let changes = describe(&diff, self.processor.filter());
        match since {
            Some(at) => tracing::warn!("filter changed: {changes}; it applies after {at}"),
            None => tracing::warn!("filter changed: {changes}; it applies from the first event on"),
        }
    }
}

/// Returns what came and went: `2 accounts added, 1 removed, 12 in all`.
fn describe(diff: &FilterDiff, filter: &Filter) -> String {
    let words = ["account", "collection", "excluded collection"];
    let totals = [filter.dids.len(), filter.collections.len(), filter.excluded.len()];
    let lists = diff.counts().into_iter().zip(words).zip(totals);
    let texts: Vec<String> = lists
        .filter(|(((added, removed), _), _)| added + removed > 0)
        .map(|(((added, removed), word), total)| {
            let changes = match (added, removed) {
                (added, 0) => format!("{} added", counted(added as u64, word)),
                (0, removed) => format!("{} removed", counted(removed as u64, word)),
                _ => format!("{} added, {removed} removed", counted(added as u64, word)),
            };
            format!("{changes}, {total} in all")
        })
        .collect();
    texts.join("; ")
}
