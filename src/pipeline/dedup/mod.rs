//! The dedup stage: decides for each line whether it is malformed, unwanted, a part of a server's
//! surplus, written before, or to be written, and keeps the position that follows from it. Pure:
//! no I/O, no clock.
//!
//! One batch at a time goes through the stage: [`EventProcessor::process`] returns a
//! [`StagedBatch`], and the writer gives it back to [`EventProcessor::commit`] or
//! [`EventProcessor::rollback`] once the output has accepted all of it or a part. The position
//! moves with the commit.

mod advance_position;
mod commit;
mod config;
mod decide;
mod event_times;
mod filter_change;
mod history;
mod pipe_backlog;
mod side;
mod surplus;
#[cfg(test)]
mod tests;
mod undecided;
mod watermark;
mod witnessed;

use std::sync::Arc;

use crate::event::batch::{Batch, CompactBatch};
use crate::event::error::Malformed;
use crate::event::event_id::EventIdHasher;
use crate::event::format::{EventFormat, LineReader};
use crate::metrics::Metrics;
use crate::position::dedup_window::{DedupWindow, WindowSnapshot};
use crate::position::rollover::{PeriodStart, RolloverTracker};
use crate::position::{FilterSince, Position, Resume, StartPosition, TimeUs};
use crate::source::{ConnectionInfo, RequestedCursor};

use super::gap_detector::{Anomaly, GapDetector};
use super::shutdown::StopReason;

pub use commit::Delivery;
pub use config::ProcessorConfig;
pub use side::{SideFeed, SideReached};
pub use witnessed::PassedEvent;

use event_times::first_times;
use filter_change::FilterChange;
use pipe_backlog::{Checkpointable, PipeBacklog, Predecessor};
use side::SideProgress;
use surplus::SurplusFilter;

/// How far an event may be older than the newest one before it. A legacy server's workers reorder
/// by up to 33 ms (protocol/jetstream-v1.md §8); `--until` reads on this long, so that it misses
/// no event.
pub const REORDER_US: u64 = 1_000_000;

/// A malformed line, for a warning.
#[derive(Debug)]
pub struct Rejected {
    /// The fault.
    pub error: Malformed,
    /// The first bytes of the line.
    pub head: Vec<u8>,
}

/// The state of the dedup stage.
#[derive(Debug)]
pub struct EventProcessor {
    config: ProcessorConfig,
    /// Whether the filter lets every event through.
    is_unfiltered: bool,
    /// The fingerprint of the filter in force.
    filter_fingerprint: u64,
    /// The latest changes of the filter, in order.
    filter_changes: Vec<FilterChange>,
    lines: LineReader,
    identities: EventIdHasher,
    /// The hash seed of 0.1.0, as long as dedup keys of such a run decide what is new.
    legacy_seed: Option<u64>,
    window: DedupWindow,
    rollovers: RolloverTracker,
    position: Option<Position>,
    connection: Option<Arc<ConnectionInfo>>,
    /// The format of the connection's lines.
    shape: EventFormat,
    /// The server was asked for this instant, and sends earlier events first: see
    /// [`EventProcessor::on_connection`].
    surplus_until: Option<TimeUs>,
    surplus: SurplusFilter,
    /// Events with absurd times at the end of the latest batch. The next event shows whether they
    /// belong to the surplus.
    undecided: Batch,
    /// The time up to which this connection has come; 0 if that is not known.
    connection_time: TimeUs,
    /// Until an event at this time, a legacy server's replay may bring events that were processed.
    replays_until: Option<TimeUs>,
    gap_detector: GapDetector,
    /// The anomaly that the writer has not taken yet.
    anomaly: Option<Anomaly>,
    /// The number of the connection that showed that the server has renumbered. Its lines are
    /// ignored; the positions of the next connection are the first that mean something.
    renumbered_connection: Option<u64>,
    /// The position no longer moves, because an event at or after `until` came.
    is_frozen: bool,
    /// The position does not move for now, because one event, which no other supports, lies at or
    /// after `until`.
    is_held: bool,
    /// The number of the connection on which reused sequence numbers were reported.
    reuse_reported_on: u64,
    emitted: u64,
    /// The newest lines, which may lie unread in a pipe.
    backlog: PipeBacklog,
    side: SideProgress,
    /// The state before the last change of server, while a rollback may need it.
    previous_server: Option<PreviousServer>,
    /// The events of the latest batch that were let through, if they are compared with those of
    /// another server.
    passed: Option<Vec<PassedEvent>>,
    /// The events of the latest batch that only the filter after a change wants, and that lie before
    /// it, if they are compared.
    unwanted: Vec<PassedEvent>,
    stop_reason: Option<StopReason>,
    rejected: Option<Rejected>,
    /// This machine's clock at the latest batch.
    now: TimeUs,
    metrics: Arc<Metrics>,
    /// Counts what comes: `metrics`, unless the lines of another stage wait before they come here.
    arrivals: Arc<Metrics>,
}

/// A batch whose lines the output has not accepted yet.
///
/// Give it back to [`EventProcessor::commit`] or [`EventProcessor::rollback`].
#[must_use = "the position moves only when the batch is committed or rolled back"]
#[derive(Debug)]
pub struct StagedBatch {
    lines: CompactBatch,
    before: Snapshot,
    /// Whether its lines come from the server in use, so that they move the position.
    moves_position: bool,
    /// What the lines belong to, if they are side history.
    side: Option<Arc<SideFeed>>,
}

impl StagedBatch {
    /// Returns the lines to write.
    #[must_use]
    pub fn lines(&self) -> &CompactBatch {
        &self.lines
    }
}

/// The state before a batch.
#[derive(Debug)]
struct Snapshot {
    window: WindowSnapshot,
    position: Option<Position>,
    connection_time: TimeUs,
    emitted: u64,
}

/// The state that a change of server ended.
#[derive(Debug)]
struct PreviousServer {
    window: DedupWindow,
    position: Option<Position>,
}

enum Decision {
    Emit,
    Discard,
}

impl EventProcessor {
    /// Returns the stage for a run that begins at `start`.
    #[must_use]
    pub fn new(config: ProcessorConfig, start: &StartPosition, metrics: Arc<Metrics>) -> Self {
        // Twice the margin, so that another server's replay, which starts one margin back by
        // that server's own clock, still lies within the window.
        let span_us = config.rewind_us.saturating_mul(2);
        let (window, position) = match start {
            StartPosition::Resume(resume) => {
                (DedupWindow::restore(span_us, resume), Some(resume.position.clone()))
            }
            _ => (DedupWindow::new(span_us), None),
        };
        let predecessor = match &position {
            Some(Position { newest, max_time, .. }) => Predecessor::Event(Checkpointable {
                at: *newest,
                identity: None,
                max_time: *max_time,
            }),
            None => Predecessor::RunStart,
        };
        let max_time = position.as_ref().map_or(TimeUs(0), |position| position.max_time);
        Self {
            is_unfiltered: config.filter.accepts_all(),
            filter_fingerprint: config.filter.fingerprint(),
            filter_changes: Vec::new(),
            lines: LineReader::default(),
            identities: EventIdHasher::new(config.secrets.key),
            legacy_seed: config.secrets.legacy_seed.filter(|_| position.is_some()),
            rollovers: RolloverTracker::new(config.period_us, max_time),
            window,
            position,
            connection: None,
            shape: EventFormat::V1,
            surplus_until: None,
            surplus: SurplusFilter::default(),
            undecided: Batch::default(),
            connection_time: TimeUs(0),
            replays_until: None,
            gap_detector: GapDetector::Settled,
            anomaly: None,
            renumbered_connection: None,
            is_frozen: false,
            is_held: false,
            reuse_reported_on: 0,
            emitted: 0,
            backlog: PipeBacklog::new(predecessor),
            side: SideProgress::default(),
            previous_server: None,
            passed: None,
            unwanted: Vec::new(),
            stop_reason: None,
            rejected: None,
            now: TimeUs(0),
            config,
            arrivals: Arc::clone(&metrics),
            metrics,
        }
    }

    /// Counts in `metrics` what comes, in place of the metrics of all the rest.
    pub fn count_arrivals_in(&mut self, metrics: Arc<Metrics>) {
        self.arrivals = metrics;
    }

    /// Restores where an earlier run changed the filter.
    #[must_use]
    pub fn with_filter_since(mut self, since: Option<FilterSince>) -> Self {
        self.filter_changes = since.map(FilterChange::restore).into_iter().collect();
        self
    }

    /// Stages the lines of `batch` that are to be written. `now` is this machine's clock.
    pub fn process(
        &mut self,
        mut batch: Batch,
        connection: &Arc<ConnectionInfo>,
        now: TimeUs,
    ) -> StagedBatch {
        self.now = now;
        self.arrivals.received.add(batch.len() as u64);
        self.arrivals.received_bytes.add(batch.text_bytes() as u64);
        self.on_connection(connection);
        let (shape, instant) = (self.shape, self.surplus_until.unwrap_or_default());
        self.window.begin_batch(now, || first_times(&mut batch, shape, instant));
        // After the clock was started: lines of this batch that are accepted keep their places.
        let before = self.begin_stage();
        let batch = self.hold_undecided(batch);
        let lines = batch.retain(|line, header| {
            self.accepts(connection) && matches!(self.decide(line, header), Decision::Emit)
        });
        StagedBatch { lines, before, side: None, moves_position: true }
    }

    /// Begins a batch; returns the state to which [`EventProcessor::rollback`] returns.
    fn begin_stage(&mut self) -> Snapshot {
        self.rollovers.begin_batch();
        self.backlog.begin_batch();
        // A stage that is not compared itself has no reader of these.
        self.passed.iter_mut().for_each(Vec::clear);
        self.unwanted.clear();
        Snapshot {
            window: self.window.snapshot(),
            position: self.position.clone(),
            connection_time: self.connection_time,
            emitted: self.emitted,
        }
    }

    /// Returns the position of the output. Valid only between batches.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Returns the position with its dedup keys, to be saved.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        let position = self.position.clone()?;
        // mutant: forgets-identities
        Some(Resume { position, identities: self.window.identities() })
    }

    /// Returns the lines of the latest batch at which a new period of the output begins.
    #[must_use]
    pub fn period_starts(&self) -> &[PeriodStart] {
        self.rollovers.list()
    }

    /// Returns why no further line is wanted.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.stop_reason
    }

    /// Takes the latest malformed line that was not taken yet.
    pub fn take_rejected(&mut self) -> Option<Rejected> {
        self.rejected.take()
    }

    /// Takes the anomaly that the connection's first events showed.
    pub fn take_anomaly(&mut self) -> Option<Anomaly> {
        self.anomaly.take()
    }

    /// Returns the newest event's time while a connection brings only events from before the
    /// instant that the reader asked for.
    #[must_use]
    pub fn surplus_time(&self) -> Option<TimeUs> {
        self.surplus.newest()
    }

    /// Returns whether lines of this connection are still processed.
    fn accepts(&self, connection: &ConnectionInfo) -> bool {
        self.stop_reason.is_none() && self.renumbered_connection != Some(connection.number)
    }

    /// Notes which connection the lines come from.
    fn on_connection(&mut self, connection: &Arc<ConnectionInfo>) {
        // The number alone does not identify it: until a connection's first valid event the kind
        // of its server is a guess, and malformed lines may come before that.
        if self.connection.as_ref().is_some_and(|known| known == connection) {
            return;
        }
        // A v2 server translates a recent instant to the start of its active segment: seconds
        // to an hour early (protocol/jetstream-v1.md §4.1). The surplus ends with the first
        // event that is late enough; from there on older times are imported ones. A server of
        // either kind that lags behind the instant takes it for "live" (§4) and sends what it
        // has: that was written long ago, from another server or before this one fell back.
        let instant = match connection.requested {
            RequestedCursor::Instant(instant) => Some(instant),
            _ => None,
        };
        self.surplus_until = instant.filter(|_| !connection.is_clamped);
        self.shape = connection.shape;
        self.surplus = SurplusFilter::default();
        // The position has not passed the undecided events, so that this connection brings them.
        self.undecided = Batch::default();
        self.connection_time = instant.unwrap_or(TimeUs(0));
        if let Some(position) = self.position.as_mut().filter(|p| p.origin == connection.origin) {
            // A position from a state file has a name of its own.
            position.origin.clone_from(&connection.origin);
        }
        let is_same = self.is_at_stream_of(connection);
        self.replays_until = self.position.as_ref().filter(|_| is_same).map(|p| p.newest.time);
        self.gap_detector = match &self.position {
            Some(position) if self.rewinds_before_filter() => {
                GapDetector::after_filter_change(connection, position)
            }
            position => GapDetector::of(
                connection,
                position.as_ref(),
                &self.window,
                &self.config.filter,
                self.renumbered_connection.is_some(),
            ),
        };
        self.connection = Some(Arc::clone(connection));
    }
}
