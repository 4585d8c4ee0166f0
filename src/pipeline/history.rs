//! Lines that an earlier run of this process has read (`--last`), and that a run writes before it
//! follows the stream.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::batch::Batch;
use crate::source::ConnectionInfo;

use super::channel::BATCH_BYTES;
use super::shutdown::StopReason;

/// Lines to write before all others, in their order.
#[derive(Debug)]
pub struct History {
    /// The lines, without line feeds.
    pub lines: VecDeque<Box<[u8]>>,
    /// The connection that the lines are attributed to.
    pub connection: Arc<ConnectionInfo>,
    /// Why the run ends after them; `None` to follow the stream.
    pub then: Option<StopReason>,
}

impl History {
    /// Moves the next lines into a batch: as many as one item may hold, and at least one unless
    /// none is left.
    pub fn fill(&mut self, batch: &mut Batch, max_events: usize) {
        while batch.len() < max_events.max(1)
            && let Some(line) = self.lines.front()
            && (batch.is_empty() || batch.buffered_bytes() + line.len() < BATCH_BYTES)
        {
            batch.push(line);
            self.lines.pop_front();
        }
    }
}
