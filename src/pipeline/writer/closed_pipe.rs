//! What a pipe took and nobody read: if its reader goes away, those events have not happened.

use std::time::{Duration, Instant};

use crate::pipeline::shutdown::StopReason;

use super::Writer;

/// How long a run that a signal ends waits for the reader of its output, which the same signal
/// may end: Ctrl-C reaches a whole pipeline. A reader that goes on reads what lies in the pipe.
const SAME_SIGNAL: Duration = Duration::from_millis(250);

/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Writer {
    /// At the end: takes back what lies unread in a pipe whose reader has gone.
    pub(super) fn take_back_unread(&mut self) {
        let Some(saver) = &self.outlet.saver else { return };
        let sink = &self.outlet.sink;
        if sink.pipe_bytes() == 0 {
            return;
        }
        let reason = self.outlet.stop.reason();
        if matches!(
            reason,
            Some(StopReason::Interrupt | StopReason::Terminated | StopReason::CpuTime)
        ) {
            let until = Instant::now() + SAME_SIGNAL;
            while !sink.is_closed() && sink.unread_bytes() > 0 && Instant::now() < until {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        if !sink.is_closed() {
            return;
        }
        let events = self.sieve.take_back(sink.unread_bytes());
        if events == 0 {
            return;
        }
        tracing::info!(
            events,
            "the output was closed before these were read: they count as not written"
        );
        self.unsaved.is_due = true;
        if let (None, Some(begun)) = (self.sieve.position(), self.begun.take())
            && let Err(error) = saver.begin_again(begun)
        {
            tracing::warn!("where the run began can't be saved, so they are lost: {error}");
        }
    }
}
