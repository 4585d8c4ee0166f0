//! Events that a pipe accepted and its reader never read: if that reader has gone, they count as
//! not written.

use std::time::{Duration, Instant};

use crate::pipeline::shutdown::StopReason;

use super::Writer;

/// How long a run that a signal ends waits for the reader of its output to end, too: Ctrl-C
/// reaches a whole shell pipeline. A reader that continues reads what is left in the pipe.
const READER_EXIT_GRACE: Duration = Duration::from_millis(250);

/// The time between two checks of the pipe during that wait.
const CHECK_PIPE_EVERY: Duration = Duration::from_millis(5);

impl Writer {
    /// Takes the unread events of a pipe back from the position, if its reader has gone.
    pub(super) fn roll_back_unread(&mut self) {
        let Some(checkpoint_worker) = &self.config.checkpoint_worker else { return };
        let sink = &self.config.sink;
        if sink.pipe_bytes() == 0 {
            return;
        }
        let reason = self.config.stop.reason();
        if matches!(
            reason,
            Some(StopReason::Interrupt | StopReason::Terminated | StopReason::CpuTime)
        ) {
            let until = Instant::now() + READER_EXIT_GRACE;
            while !sink.is_closed() && sink.unread_bytes() > 0 && Instant::now() < until {
                std::thread::sleep(CHECK_PIPE_EVERY);
            }
        }
        if !sink.is_closed() {
            return;
        }
        let events = self.processor.rollback_unread(sink.unread_bytes());
        if events == 0 {
            return;
        }
        tracing::info!(
            events,
            "the reader of the output closed it before it read these events: they count as not written"
        );
        self.unsaved.is_due = true;
        if let (None, Some(begun)) = (self.processor.position(), self.saved_start.take())
            && let Err(error) = checkpoint_worker.persist_restart(begun)
        {
            tracing::warn!(
                "the start of the run can't be saved ({error}), so the events that were not read are lost"
            );
        }
    }
}
