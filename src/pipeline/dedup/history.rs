//! Lines that an earlier run of this process has filtered and deduplicated (`--last`).

use crate::event::batch::Batch;
use crate::pipeline::shutdown::StopReason;

use super::{EventProcessor, StagedBatch};

impl EventProcessor {
    /// Stages the lines of `batch` as they are, up to the limit. They don't move the position, which
    /// is after them from the start.
    pub fn stage_history(&mut self, batch: Batch) -> StagedBatch {
        let before = self.begin_stage();
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
        StagedBatch { lines, before, side: None, moves_position: true }
    }
}
