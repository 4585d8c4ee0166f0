//! The writer: processes batches, writes them to the output, and saves the position of what the
//! output accepted, in that order.
//!
//! Which thread it runs on is up to [`super::handoff`]; when it saves, to `checkpointing`.

mod checkpointing;
mod closed_pipe;
mod database;
mod filter_change;
mod held;
mod rendered;
mod report;
mod side;
mod witnessed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::CursorValue;
use crate::checkpoint::store::{ManualCursor, StoreError};
use crate::checkpoint::worker::CheckpointWorker;
use crate::display::log_throttle::CountThrottle;
use crate::event::batch::Batch;
use crate::metrics::Metrics;
use crate::position::{EventPosition, Position, Resume, Seq, TimeUs};
use crate::settings::{CheckpointEvery, OnGap};
use crate::sink::output_record::OutputRecord;
use crate::sink::{PartialWrite, Sink, SinkError, WriteContext, WriteRequest};
use crate::source::ConnectionInfo;
use crate::source::v2::deferred::DeferredDecoder;

use super::channel::Item;
use super::dedup::{Delivery, EventProcessor, SideFeed, StagedBatch};
use super::feedback::WriterFeedback;
use super::handoff::inline_writer::BatchWriter;
use super::shutdown::{Shutdown, StopReason};
use super::transform::TransformStage;
use super::witness::WitnessSide;

use checkpointing::Unsaved;
use database::DatabaseState;
pub use held::Arrival;

/// How often a writer that writes nothing checks whether the reader of its output has gone.
const CHECK_OUTPUT_EVERY: Duration = Duration::from_secs(1);

/// What a writer needs beside its processor.
#[derive(Debug)]
pub struct WriterConfig {
    /// Renders events; `None` if they are written as they are.
    pub transform: Option<TransformStage>,
    /// Where lines go.
    pub sink: Sink,
    /// Saves positions; `None` if the run saves none.
    pub checkpoint_worker: Option<CheckpointWorker>,
    /// How often to save.
    pub every: CheckpointEvery,
    /// What to do when events are missing.
    pub on_gap: OnGap,
    /// How to save the start of the run before its first line; `None` if a position is saved.
    pub run_start: Option<RunStart>,
    /// The requested time of a run that reads history: a gap from there to the first event only
    /// says how far the server's history reaches.
    pub history_start: Option<TimeUs>,
    /// Reports to the reader.
    pub feedback: Arc<WriterFeedback>,
    /// The second server to compare with, if there is one.
    pub witness: Option<WitnessSide>,
    /// The stage of what has come, if the output waits for the witness.
    pub arrival: Option<Arrival>,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
    /// Stops the run.
    pub stop: Shutdown,
}

/// Writes what the reader received.
#[derive(Debug)]
pub struct Writer {
    config: WriterConfig,
    processor: EventProcessor,
    messages: DeferredDecoder,
    malformed_log: CountThrottle,
    /// The position at the last proof from the sink.
    proven: Option<Position>,
    unsaved: Unsaved,
    /// When the output was last checked for a reader that has gone.
    checked: Instant,
    open: Option<OpenBatch>,
    /// The start of the run, if this run saved it.
    saved_start: Option<ManualCursor>,
    /// The oldest time of the server's history, if it is later than `history_start`.
    history_limit: Option<TimeUs>,
    database: DatabaseState,
    failure: Option<SinkError>,
    /// Whether there is a reason to end the run, after what only the witness has.
    is_ending: bool,
    has_ended: bool,
}

/// A processed batch that the output has not accepted whole yet.
#[derive(Debug)]
struct OpenBatch {
    staged: StagedBatch,
    /// Events before processing.
    events: u64,
    written_bytes: usize,
    connection: Arc<ConnectionInfo>,
    side: Option<Arc<SideFeed>>,
    through: Option<EventPosition>,
    /// This machine's clock when it was processed.
    now: TimeUs,
}

/// How the start of a run is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStart {
    /// By sequence number if there is one: the run has only one server.
    Exact,
    /// By time, which each of several servers understands.
    ByTime,
}

impl RunStart {
    /// Returns the cursor of a run whose first event is at `position.rewind_to`.
    fn cursor(self, position: &Position) -> ManualCursor {
        let first = position.rewind_to;
        match (self, first.seq) {
            (Self::Exact, Some(seq)) => {
                let server = Some(Arc::clone(&position.origin.server));
                ManualCursor { at: CursorValue::Seq(seq), server }
            }
            _ => {
                let time = first.time.max(TimeUs(Seq::LIMIT));
                ManualCursor { at: CursorValue::Time(time), server: None }
            }
        }
    }
}

/// How a writer ended.
#[derive(Debug)]
pub struct WriterResult {
    /// The last position that the output proves.
    pub position: Option<Position>,
    /// What a run needs to continue after the last written line.
    pub resume: Option<Resume>,
    /// See [`super::RunResult::history_limit`].
    pub history_limit: Option<TimeUs>,
    /// Whether that position was saved; `None` if the run saves none.
    pub saved: Option<Result<(), StoreError>>,
    /// Why the output failed, if it did.
    pub failure: Option<SinkError>,
    /// The name of the output; `None` for standard output.
    pub written_to: Option<String>,
}

impl BatchWriter for Writer {
    type Item = Item;
    type Batch = Batch;
    type Output = WriterResult;

    /// Saves what is due, and checks whether the reader of the output has gone.
    fn on_idle(&mut self) -> Instant {
        let now = Instant::now();
        if self.has_ended || self.open.is_some() {
            return now;
        }
        // By the clock: a stream whose every event is excluded is never idle, and never
        // written, so that no write could fail.
        if now.duration_since(self.checked) >= CHECK_OUTPUT_EVERY {
            self.checked = now;
            if self.config.sink.is_closed() {
                self.end(Some(SinkError::Closed));
            }
        }
        let witness_due = self.serve_witness();
        if self.has_ended {
            return now;
        }
        self.save_if_due();
        let due = self.unsaved.since + self.commit_interval();
        // Inline writes don't wake this thread, so it polls once per checkpoint interval.
        let next = if self.unsaved.is_due { due } else { now + self.config.every.interval };
        next.min(now + witness_due.unwrap_or(CHECK_OUTPUT_EVERY).min(CHECK_OUTPUT_EVERY))
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn write(&mut self, mut item: Item) -> Option<Batch> {
        if let Some(state) = item.additions.take() {
            self.processor.set_additions(state);
            self.unsaved.is_due = true;
        }
        if let Some(filter) = item.filter.take() {
            self.change_witness_filter(&filter);
            match self.config.arrival.is_some() {
                true => self.hold_filter(filter, &item),
                false => self.change_filter(filter),
            }
            if self.has_ended || item.batch.is_empty() {
                return Some(item.batch);
            }
        }
        if self.config.arrival.is_some() && !item.is_history {
            self.hold(item);
            return None;
        }
        self.process(item);
        self.resume()
    }

    fn can_write_inline(&self) -> bool {
        let WriterConfig { transform, sink, checkpoint_worker, run_start, .. } = &self.config;
        // Saving the start of the run waits for the state file.
        let must_save_start = checkpoint_worker.is_some() && run_start.is_some();
        sink.is_non_blocking()
            && transform.is_none()
            && self.config.arrival.is_none()
            && !must_save_start
            && self.open.is_none()
            && !self.has_ended
    }

    fn write_inline(&mut self, item: Item) -> Option<Batch> {
        self.process(item);
        let mut open = self.open.take()?;
        match self.config.sink.write_ready(open.staged.lines()) {
            Ok(bytes) if bytes == open.staged.lines().bytes().len() => {
                let batch = self.accept(open);
                self.save_if_due();
                Some(batch)
            }
            Ok(bytes) => {
                open.written_bytes = bytes;
                self.open = Some(open);
                None
            }
            Err(partial) => {
                self.on_partial_write(open, partial);
                None
            }
        }
    }

    fn resume(&mut self) -> Option<Batch> {
        let open = self.open.take()?;
        let WriterConfig { transform, stop, checkpoint_worker, sink, .. } = &mut self.config;
        let deadline = || stop.deadline();
        let mut persist = |record: &OutputRecord| match checkpoint_worker {
            Some(checkpoint_worker) => {
                checkpoint_worker.persist_output(record).map_err(|error| error.to_string())
            }
            None => Ok(()),
        };
        let mut context = WriteContext { deadline: &deadline, persist: &mut persist };
        let period_starts = self.processor.period_starts();
        if let Some(transform) = transform {
            let result = transform.write(open.staged.lines(), period_starts, sink, &mut context);
            return Some(self.accept_rendered(open, result));
        }
        let shape = open.connection.shape;
        let (lines, written_bytes) = (open.staged.lines(), open.written_bytes);
        let originals = None;
        let request = WriteRequest { lines, shape, written_bytes, period_starts, originals };
        match sink.write(&request, &mut context) {
            Ok(()) => Some(self.accept(open)),
            Err(partial) => {
                self.on_partial_write(open, partial);
                None
            }
        }
    }

    fn finish(&mut self) -> WriterResult {
        self.finish_run()
    }
}

impl Writer {
    /// Returns a writer that resumes at `position`.
    #[must_use]
    pub fn new(
        config: WriterConfig,
        mut processor: EventProcessor,
        position: Option<Position>,
    ) -> Self {
        if config.checkpoint_worker.is_some() {
            processor.enable_pipe_backlog(config.sink.pipe_bytes());
        }
        Self {
            messages: DeferredDecoder::new(Arc::clone(&config.metrics)),
            config,
            processor,
            malformed_log: CountThrottle::default(),
            proven: position,
            unsaved: Unsaved::default(),
            checked: Instant::now(),
            open: None,
            saved_start: None,
            history_limit: None,
            database: DatabaseState::default(),
            failure: None,
            is_ending: false,
            has_ended: false,
        }
    }

    /// Filters and deduplicates a batch; the result is the open batch.
    fn process(&mut self, item: Item) {
        let Item { mut batch, connection, gap, through, is_history, side, .. } = item;
        if let Some(gap) = gap {
            self.processor.report_gap(gap);
            self.report_anomaly(connection.number);
        }
        // A gap or a state of the lists beside the stream: its connection is not that of the stream,
        // whose checks and undecided events must stay.
        if batch.is_empty() && through.is_none() {
            return self.publish_position(None);
        }
        self.messages.decode(&mut batch, &connection);
        let events = batch.len() as u64;
        let now = TimeUs(crate::metrics::now_us());
        let staged = match &side {
            Some(feed) => self.processor.process_side(batch, feed),
            None if is_history => self.processor.stage_history(batch),
            None => self.processor.process(batch, &connection, now),
        };
        if self.config.arrival.is_none() {
            self.note_for_witness(&staged, &connection);
            self.config.feedback.set_early(self.processor.surplus_time());
        }
        self.report_rejected();
        self.report_anomaly(connection.number);
        match self.begin_feed(&connection).and_then(|()| self.save_run_start()) {
            Ok(()) => {
                let written_bytes = 0;
                let open =
                    OpenBatch { staged, events, written_bytes, connection, side, through, now };
                self.open = Some(open);
            }
            Err(refusal) => {
                self.processor.rollback(staged, Delivery::Bytes(0));
                self.end(Some(refusal));
            }
        }
    }

    /// Moves the position after the output accepted a whole batch.
    fn accept(&mut self, open: OpenBatch) -> Batch {
        let OpenBatch { staged, events, connection, side, through, now, .. } = open;
        let bytes = staged.lines().bytes().len();
        let lines = self.processor.commit(staged, Delivery::Bytes(bytes));
        self.advance_through(&connection, side.as_deref(), through, now);
        self.note_processed(side.is_some());
        self.unsaved.add(events, lines.len() as u64, lines.bytes().len() as u64);
        self.publish_position(None);
        lines.into_batch()
    }

    /// Reports the position to the reader, and stops the run if there is a reason.
    fn publish_position(&mut self, reason: Option<StopReason>) {
        if self.config.arrival.is_none() {
            self.config.feedback.set(self.processor.position());
            self.config.feedback.set_side(self.processor.side_reached());
        }
        if let Some(reason) = reason.or(self.processor.stop_reason()) {
            if std::mem::replace(&mut self.is_ending, true) {
                return;
            }
            self.write_last_missing(reason);
            self.config.stop.request(reason);
            self.end(None);
        }
    }

    /// Moves the position as far as the output accepted bytes before it failed.
    fn on_partial_write(&mut self, open: OpenBatch, partial: PartialWrite) {
        // mutant: takes-queued-for-written
        self.processor.rollback(open.staged, Delivery::Bytes(partial.accepted_bytes));
        self.unsaved.is_due = true;
        self.end(Some(partial.error));
    }

    fn end(&mut self, failure: Option<SinkError>) {
        match &failure {
            None => {}
            Some(SinkError::Closed) => self.config.stop.request(StopReason::OutputClosed),
            Some(_) => self.config.stop.request(StopReason::Failed),
        }
        self.has_ended = true;
        self.failure = failure;
    }
}
