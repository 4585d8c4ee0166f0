//! The rollback of what lay unread in a pipe.

use crate::pipeline::dedup::{EventProcessor, PreviousServer};

use super::{Checkpointable, Predecessor, Rollback};

impl EventProcessor {
    /// Enables the backlog: the output is a pipe of this capacity, and the position at the end of
    /// the run depends on how much of it is read.
    pub fn enable_pipe_backlog(&mut self, pipe_bytes: usize) {
        self.backlog.enable(pipe_bytes);
    }

    /// Notes that at most the last `bytes` of all that the output accepted are still unread.
    pub fn was_read(&mut self, bytes: usize) {
        self.backlog.was_read(bytes);
    }

    /// Undoes the events in the last `bytes` of all that the output accepted, which nothing will
    /// read. Returns the number of events. Call it after the last write.
    pub fn rollback_unread(&mut self, bytes: usize) -> usize {
        // What came after `--until` has no position before it.
        if self.holds_position() {
            return 0;
        }
        let Some(rollback) = self.backlog.rollback(bytes) else { return 0 };
        let Rollback { events, after_change, predecessor, side_events, oldest_side } = rollback;
        if let Some(oldest) = oldest_side {
            self.side.undo(oldest);
        }
        if events == 0 && after_change.is_none() {
            return side_events;
        }
        if after_change.is_some() {
            let Some(PreviousServer { window, position }) = self.previous_server.take() else {
                return 0;
            };
            (self.window, self.position) = (window, position);
        }
        let is_undone = match (predecessor, &mut self.position) {
            (Predecessor::OtherServer, _) => true,
            (Predecessor::RunStart, position) => {
                // The state file keeps where this run began.
                *position = None;
                true
            }
            (Predecessor::Event(Checkpointable { at, identity, max_time }), Some(position)) => {
                let can_continue = self.window.rollback(events, at, identity, max_time);
                if can_continue {
                    position.newest = at;
                    position.rewind_to = self.window.rewind_to().unwrap_or(at);
                    position.max_time = max_time;
                }
                can_continue
            }
            (Predecessor::Event(_), None) => false,
        };
        self.limit_filter_changes();
        side_events + after_change.unwrap_or(0) + if is_undone { events } else { 0 }
    }
}
