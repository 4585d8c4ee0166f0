//! What the output accepted of a batch of rendered text.

use crate::event::batch::Batch;
use crate::pipeline::dedup::Delivery;
use crate::pipeline::transform::TransformResult;

use super::{OpenBatch, Writer};

impl Writer {
    /// Moves the position after the output accepted a rendered batch, or a part of one.
    pub(super) fn accept_rendered(&mut self, open: OpenBatch, result: TransformResult) -> Batch {
        let OpenBatch { staged, events, connection, side, through, now, .. } = open;
        self.note_processed(side.is_some());
        self.unsaved.add(events, result.written, result.bytes);
        let delivery =
            Delivery::Rendered { line_bytes: &result.lengths, torn_bytes: result.torn_bytes };
        let lines = if result.is_whole(staged.lines()) {
            let lines = self.processor.commit(staged, delivery);
            self.advance_through(&connection, side.as_deref(), through, now);
            lines
        } else {
            self.processor.rollback(staged, delivery)
        };
        let reason = result.stop_reason();
        match result.into_result() {
            Ok(()) => self.publish_position(reason),
            Err(refusal) => self.end(Some(refusal)),
        }
        lines.into_batch()
    }
}
