//! Events that only the witness has, and what the comparison with the witness needs to know.

use crate::event::batch::Batch;
use crate::pipeline::shutdown::StopReason;
use crate::position::{EventPosition, TimeUs};

use super::{EventProcessor, StagedBatch};

/// One event that the dedup stage has let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedEvent {
    /// Its dedup key.
    pub identity: u64,
    /// The clock of its stream when it came.
    pub clock: TimeUs,
    /// Whether it counts for the limit.
    pub counts: bool,
}

impl EventProcessor {
    /// From now on notes which events each batch lets through, and keeps this many dedup keys at
    /// least: as many as are needed to recognise what the witness sends later.
    pub fn enable_witness(&mut self, keys: u64) {
        self.passed = Some(Vec::new());
        self.window.keep_at_least(keys);
    }

    /// Keeps the dedup keys of what the witness may still send, as long as the bound of their number
    /// allows: it has come as far as `reached`. The saved position waits as long.
    pub fn wait_for_witness(&mut self, reached: TimeUs) {
        self.window.hold_at(reached);
    }

    /// Takes the events that the latest batch let through, in the order of its lines.
    pub fn take_passed(&mut self) -> Vec<PassedEvent> {
        self.passed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes the events of the latest batch that the filter did not want at their place, and wants
    /// now: the server has them.
    pub fn take_unwanted(&mut self) -> Vec<PassedEvent> {
        std::mem::take(&mut self.unwanted)
    }

    /// Notes an event that lies before the change of the filter.
    pub(super) fn note_unwanted(&mut self, identity: Option<u64>) {
        if self.passed.is_some()
            && let Some(identity) = identity
        {
            let clock = self.window.latest();
            self.unwanted.push(PassedEvent { identity, clock, counts: false });
        }
    }

    /// Returns the clock of the stream: a time that several events support.
    #[must_use]
    pub fn latest(&self) -> TimeUs {
        self.window.latest()
    }

    /// Returns whether an event with this key was written.
    #[must_use]
    pub fn knows(&self, identity: u64) -> bool {
        self.window.contains(identity)
    }

    /// Stages lines that only the witness has. Their keys are kept as those of all events, and the
    /// position does not move, because it belongs to the server in use.
    pub fn stage_witnessed(&mut self, batch: Batch, passed: &[PassedEvent]) -> StagedBatch {
        let before = self.begin_stage();
        let latest = self.window.latest();
        let newest = self.position.as_ref().map(|position| position.newest);
        let at = newest.unwrap_or(EventPosition { time: latest, seq: None });
        let mut passed = passed.iter();
        let lines = batch.retain(|_, _| {
            let Some(event) = passed.next().filter(|_| self.stop_reason != Some(StopReason::Limit))
            else {
                return false;
            };
            if self.window.contains(event.identity) {
                return false;
            }
            self.window.insert_foreign(event.identity);
            self.backlog.stage(at, event.identity, latest);
            self.rollovers.note(latest);
            self.emitted += u64::from(event.counts);
            if event.counts && self.config.limit.is_some_and(|limit| self.emitted >= limit) {
                self.stop_reason = Some(StopReason::Limit);
            }
            true
        });
        StagedBatch { lines, before, side: None, moves_position: false }
    }
}
