//! What the writer does for the witness: passes on what the server in use sent, takes what the
//! witness sent, and writes what only the witness has.

use std::sync::Arc;
use std::time::Duration;

use crate::filter::Filter;
use crate::pipeline::dedup::{Delivery, StagedBatch};
use crate::pipeline::handoff::inline_writer::BatchWriter as _;
use crate::pipeline::shutdown::StopReason;
use crate::pipeline::witness::{Leave, Missing};
use crate::position::TimeUs;
use crate::source::ConnectionInfo;

use super::{OpenBatch, Writer};

/// How often an idle writer takes what the witness has sent.
const SERVE_EVERY: Duration = Duration::from_millis(100);

impl Writer {
    /// Notes the events that the server in use has sent.
    pub(super) fn note_for_witness(&mut self, staged: &StagedBatch, connection: &ConnectionInfo) {
        let Some(witness) = &mut self.config.witness else { return };
        let passed = self.processor.take_passed();
        witness.note_main(staged.lines(), &passed, connection);
        witness.note_unwanted(&self.processor.take_unwanted());
    }

    /// Notes for the comparison that the filter changes at the place that the server in use has reached.
    pub(super) fn change_witness_filter(&mut self, filter: &Arc<Filter>) {
        let Some(witness) = &mut self.config.witness else { return };
        let arrived = self.config.arrival.as_ref().map(|arrival| &arrival.processor);
        let stage = arrived.unwrap_or(&self.processor);
        witness.change_filter(stage.shared_filter(), Arc::clone(filter), stage.latest());
    }

    /// Compares with the witness, and writes what only that has. Returns when to call it again;
    /// `None` without a witness.
    pub(super) fn serve_witness(&mut self) -> Option<Duration> {
        let now = TimeUs(crate::metrics::now_us());
        let arrival = self.config.arrival.as_ref();
        let main = Self::main_stream(&self.processor, arrival, &self.config.metrics);
        let witness = self.config.witness.as_mut()?;
        let missing = witness.serve(&main, now);
        let reached = witness.reached(self.processor.latest());
        self.processor.wait_for_witness(reached);
        if let Some(arrival) = &mut self.config.arrival {
            arrival.processor.wait_for_witness(reached);
        }
        self.write_held(false);
        let Some(missing) = missing else {
            self.leave_lossy_server(now);
            return Some(SERVE_EVERY);
        };
        self.write_missing(missing, now);
        Some(Duration::ZERO)
    }

    /// Asks the reader to leave a server that lacks too many events.
    fn leave_lossy_server(&mut self, now: TimeUs) {
        let arrival = self.config.arrival.as_ref();
        let main = Self::main_stream(&self.processor, arrival, &self.config.metrics);
        let leave = self.config.witness.as_mut().and_then(|witness| witness.leave(&main, now));
        let Some(Leave { from, to, gap }) = leave else { return };
        self.config.feedback.leave(from, to);
        if let Some(gap) = gap {
            self.report_past_gap(gap);
        }
    }

    /// Writes what only the witness has from before the end of the run, as far as that is known.
    pub(super) fn write_last_missing(&mut self, reason: StopReason) {
        if reason == StopReason::Until && self.config.arrival.is_none() {
            while !self.has_ended && self.serve_witness() == Some(Duration::ZERO) {}
        }
    }

    pub(super) fn write_missing(&mut self, missing: Missing, now: TimeUs) {
        let Missing { batch, passed, connection } = missing;
        let events = batch.len() as u64;
        let staged = self.processor.stage_witnessed(batch, &passed);
        self.config.metrics.witness.printed.add(staged.lines().len() as u64);
        match self.begin_feed(&connection).and_then(|()| self.save_run_start()) {
            Ok(()) => {
                let (written_bytes, through) = (0, None);
                self.open = Some(OpenBatch {
                    staged,
                    events,
                    written_bytes,
                    connection,
                    side: None,
                    through,
                    now,
                });
                self.resume();
            }
            Err(refusal) => {
                self.processor.rollback(staged, Delivery::Bytes(0));
                self.end(Some(refusal));
            }
        }
    }
}
