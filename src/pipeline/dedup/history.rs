//! Lines that an earlier run of this process has filtered and deduplicated (`--last`).

use crate::event::batch::Batch;
use crate::pipeline::shutdown::StopReason;

use super::{EventProcessor, Snapshot, StagedBatch};

impl EventProcessor {
    /// Stages the lines of `batch` as they are, up to the limit. They don't move the position, which
    /// is after them from the start.
    pub fn stage_history(&mut self, batch: Batch) -> StagedBatch {
        let before = Snapshot {
            window: self.window.snapshot(),
            position: self.position.clone(),
            connection_time: self.connection_time,
            emitted: self.emitted,
        };
        self.rollovers.begin_batch();
        self.backlog.begin_batch();
        let lines = batch.retain(|_, _| {
            if self.stop_reason.is_some() {
                return false;
            }
            self.emitted += 1;
            if self.config.limit.is_some_and(|limit| self.emitted >= limit) {
                self.stop_reason = Some(StopReason::Limit);
            }
            true
        });
        StagedBatch { lines, before }
    }
}
