//! The writer: takes batches, sifts them, writes them, and hands positions to the saver. Print
//! first, remember second. On whose thread it works, `desk` knows; what is saved, and when,
//! `saving`.

mod checkpointing;
mod closed_pipe;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::CursorValue;
use crate::checkpoint::saver::Saver;
use crate::checkpoint::store::ByHand;
use crate::display::log_throttle::CountThrottle;
use crate::display::printable::printable;
use crate::display::units::duration;
use crate::event::batch::{Batch, Lines};
use crate::metrics::Metrics;
use crate::position::gap::Gap;
use crate::position::{Mark, Position, Seq, TimeUs};
use crate::settings::{CheckpointEvery, OnGap};
use crate::sink::record::OutputRecord;
use crate::sink::{Refusal, Refused, Sink};
use crate::source::ConnectionInfo;

use super::channel::Item;
use super::continuity::Finding;
use super::feedback::WriterFeedback;
use super::shutdown::{Shutdown, StopReason};
use super::sieve::{Pending, Sieve};
use super::transform::{TransformResult, TransformStage};

use checkpointing::Unsaved;

/// How often a writer that writes nothing looks whether its output was closed.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// What a writer writes to and whom it tells.
#[derive(Debug)]
pub struct WriterConfig {
    /// What lines are made into, where they are not written as they are.
    pub transform: Option<TransformStage>,
    /// Where lines go.
    pub sink: Sink,
    /// Who remembers; `None` where nobody shall.
    pub saver: Option<Saver>,
    /// How often.
    pub every: CheckpointEvery,
    /// What to do where events are missing.
    pub on_gap: OnGap,
    /// Where a run begins that may be the first of its consumer, until that is remembered.
    pub beginning: Option<Beginning>,
    /// The position for the reader.
    pub feedback: Arc<WriterFeedback>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// When to stop, and whom to tell.
    pub stop: Shutdown,
}

/// The writer.
#[derive(Debug)]
pub struct Writer {
    outlet: WriterConfig,
    /// What happens to lines.
    sieve: Sieve,
    /// Which malformed events are told of.
    malformed: CountThrottle,
    /// The position at the last proof from the sink.
    settled: Option<Position>,
    unsaved: Unsaved,
    /// When the output was last looked at.
    looked: Instant,
    open: Option<Open>,
    /// Where the run began, if it was the first of its consumer.
    begun: Option<ByHand>,
    /// Why the output failed.
    failure: Option<Refusal>,
    has_ended: bool,
}

/// A batch that was sifted, and that the output has not taken whole yet.
#[derive(Debug)]
struct Open {
    lines: Lines,
    pending: Pending,
    /// Events before the sifting.
    events: u64,
    written_bytes: usize,
    connection: Arc<ConnectionInfo>,
    through: Option<Mark>,
    /// Our own clock when it was sifted.
    now: TimeUs,
}

/// How the beginning of a run is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// By sequence number where there are some: there is only one server.
    Exact,
    /// By time, which any of several servers understands.
    ByTime,
}

impl Beginning {
    /// A run whose first event is at `position.rewind_to`.
    fn of(self, position: &Position) -> ByHand {
        let first = position.rewind_to;
        match (self, first.seq) {
            (Self::Exact, Some(seq)) => {
                let server = Some(Arc::clone(&position.origin.server));
                ByHand { at: CursorValue::Seq(seq), server }
            }
            _ => {
                let time = first.time.max(TimeUs(Seq::LIMIT));
                ByHand { at: CursorValue::Time(time), server: None }
            }
        }
    }
}

/// How a writer ended.
#[derive(Debug)]
pub struct WriterResult {
    /// The last position that the output proves.
    pub position: Option<Position>,
    /// Whether that position was saved; `None` where nobody saves.
    pub saved: Option<Result<(), crate::checkpoint::store::StoreError>>,
    /// Why the output failed, if it did.
    pub failure: Option<Refusal>,
    /// What was written to, in words; `None` for standard output.
    pub written_to: Option<String>,
}

impl Writer {
    /// A writer that has written nothing yet.
    #[must_use]
    pub fn new(outlet: WriterConfig, mut sieve: Sieve, settled: Option<Position>) -> Self {
        if outlet.saver.is_some() {
            sieve.watch_pipe(outlet.sink.pipe_bytes());
        }
        Self {
            outlet,
            sieve,
            malformed: CountThrottle::default(),
            settled,
            unsaved: Unsaved::default(),
            looked: Instant::now(),
            open: None,
            begun: None,
            failure: None,
            has_ended: false,
        }
    }

    /// Whether a batch can be written without waiting for anything.
    #[must_use]
    pub fn can_write_inline(&self) -> bool {
        let WriterConfig { transform, sink, saver, beginning, .. } = &self.outlet;
        // What is remembered before the first line is waited for.
        let begins = saver.is_some() && beginning.is_some();
        sink.is_non_blocking()
            && transform.is_none()
            && !begins
            && self.open.is_none()
            && !self.has_ended
    }

    /// Whether nothing more is written: the output failed, or enough was written.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Writes lines, and waits until the output has taken them. Gives the batch back, to be
    /// used again.
    pub fn write(&mut self, item: Item) -> Option<Batch> {
        self.begin(item);
        self.resume()
    }

    /// Writes lines as far as the output takes them without waiting. `None` where something
    /// is left for [`Writer::resume`], or where the writer has ended. Only where
    /// [`Writer::can_write_inline`].
    pub fn write_inline(&mut self, item: Item) -> Option<Batch> {
        self.begin(item);
        let mut open = self.open.take()?;
        match self.outlet.sink.write_ready(&open.lines) {
            Ok(bytes) if bytes == open.lines.bytes().len() => {
                let batch = self.accept(open);
                self.save_if_due();
                Some(batch)
            }
            Ok(bytes) => {
                open.written_bytes = bytes;
                self.open = Some(open);
                None
            }
            Err(refused) => {
                self.refuse(open, refused);
                None
            }
        }
    }

    /// Waits until the output has taken what lies open, if anything does.
    pub fn resume(&mut self) -> Option<Batch> {
        let open = self.open.take()?;
        let WriterConfig { transform, stop, saver, sink, .. } = &mut self.outlet;
        let deadline = || stop.deadline();
        let mut announce = |record: &OutputRecord| match saver {
            Some(saver) => saver.begin_output(record).map_err(|error| error.to_string()),
            None => Ok(()),
        };
        let turns = self.sieve.turns();
        if let Some(transform) = transform {
            let passed = transform.write(&open.lines, turns, sink, deadline, &mut announce);
            return Some(self.pass(open, passed));
        }
        let shape = open.connection.shape;
        match sink.write(&open.lines, shape, open.written_bytes, turns, deadline, &mut announce) {
            Ok(()) => Some(self.accept(open)),
            Err(refused) => {
                self.refuse(open, refused);
                None
            }
        }
    }

    /// What a quiet moment is for: saves what is due, and looks whether the output was closed.
    /// Says when to look again at the latest.
    pub fn on_idle(&mut self) -> Instant {
        let now = Instant::now();
        if self.has_ended || self.open.is_some() {
            return now;
        }
        // By the clock: a stream whose every event is excluded is never idle, and never
        // written, so that no write could fail.
        if now.duration_since(self.looked) >= IDLE_CHECK {
            self.looked = now;
            if self.outlet.sink.is_closed() {
                self.end(Some(Refusal::Closed));
            }
        }
        self.save_if_due();
        let due = self.unsaved.since + self.outlet.every.interval;
        // Whoever writes meanwhile tells nobody that something is to be saved.
        let next = if self.unsaved.is_due { due } else { now + self.outlet.every.interval };
        next.min(now + IDLE_CHECK)
    }

    /// Sifts lines; what is left of them then lies open.
    fn begin(&mut self, item: Item) {
        let Item { batch, connection, gap, through } = item;
        if let Some(gap) = gap {
            self.sieve.miss(gap);
            self.report_finding(connection.number);
        }
        let events = batch.len() as u64;
        let now = TimeUs(crate::metrics::now_us());
        let (lines, pending) = self.sieve.sift(batch, &connection, now);
        self.report_rejected();
        self.report_finding(connection.number);
        self.outlet.feedback.set_early(self.sieve.early());
        match self.remember_beginning() {
            Ok(()) => {
                let written_bytes = 0;
                self.open =
                    Some(Open { lines, pending, events, written_bytes, connection, through, now });
            }
            Err(refusal) => {
                self.sieve.refused(&lines, pending, 0);
                self.end(Some(refusal));
            }
        }
    }

    /// The output took all lines.
    fn accept(&mut self, open: Open) -> Batch {
        let Open { lines, events, connection, through, now, .. } = open;
        self.sieve.accepted(&lines);
        if let Some(through) = through {
            self.sieve.pass(&connection, through, now);
        }
        self.unsaved.add(events, lines.len() as u64, lines.bytes().len() as u64);
        self.has_written(None);
        lines.into_batch()
    }

    /// The output took what was made of some lines, or of all.
    fn pass(&mut self, open: Open, passed: TransformResult) -> Batch {
        let Open { lines, pending, events, connection, through, now, .. } = open;
        self.unsaved.add(events, passed.written, passed.bytes);
        self.sieve.sent(passed.lengths.iter().copied(), passed.torn_bytes);
        if passed.is_whole(&lines) {
            self.sieve.settle();
            if let Some(through) = through {
                self.sieve.pass(&connection, through, now);
            }
        } else {
            self.sieve.cut(&lines, pending, passed.whole);
        }
        let reason = passed.reason();
        match passed.refused() {
            Ok(()) => self.has_written(reason),
            Err(refusal) => self.end(Some(refusal)),
        }
        lines.into_batch()
    }

    /// Tells where the output stands, and stops where there is a reason.
    fn has_written(&mut self, reason: Option<StopReason>) {
        self.outlet.feedback.set(self.sieve.position());
        self.outlet.metrics.last_event_at_us.set(crate::metrics::now_us());
        if let Some(reason) = reason.or(self.sieve.stop_reason()) {
            self.outlet.stop.request(reason);
            self.end(None);
        }
    }

    /// The output took no more.
    fn refuse(&mut self, open: Open, refused: Refused) {
        // mutant: takes-queued-for-written
        self.sieve.refused(&open.lines, open.pending, refused.accepted_bytes);
        self.unsaved.is_due = true;
        self.end(Some(refused.refusal));
    }

    fn end(&mut self, failure: Option<Refusal>) {
        match &failure {
            None => {}
            Some(Refusal::Closed) => self.outlet.stop.request(StopReason::OutputClosed),
            Some(_) => self.outlet.stop.request(StopReason::Failed),
        }
        self.has_ended = true;
        self.failure = failure;
    }

    fn report_rejected(&mut self) {
        let Some(rejected) = self.sieve.take_rejected() else { return };
        let total = self.outlet.metrics.malformed.get();
        if self.malformed.is_due(total) {
            tracing::warn!(
                total,
                "skipped a malformed event: {}; it begins {}",
                rejected.error,
                printable(&rejected.head, 120),
            );
        }
    }

    /// Tells what a connection's first events said, and whoever has to act on it.
    fn report_finding(&mut self, connection: u64) {
        match self.sieve.take_finding() {
            None => {}
            Some(Finding::Gap(gap)) => self.report_gap(gap),
            Some(Finding::Renumbered { asked, got }) => {
                tracing::warn!(
                    "the server's sequence numbers were given anew (seq {} was asked for, and seq {} is another event now): going on by time",
                    asked.0,
                    got.0,
                );
                self.outlet.feedback.refuse_numbers(connection);
            }
            Some(Finding::Reused { seq }) => tracing::warn!(
                "seq {} held another event before: the server assigned used sequence numbers again, as after a crash; no event that it still has is lost or repeated, but what it lost itself can't be known",
                seq.0,
            ),
            Some(Finding::Ahead { asked, got }) => tracing::warn!(
                "seq {} lies ahead of the server's newest event: it began at its live tip, seq {}",
                asked.0,
                got.0,
            ),
        }
    }

    fn report_gap(&self, gap: Gap) {
        self.outlet.metrics.gaps.add(1);
        let missing = gap.missing_us().map(|us| duration(Duration::from_micros(us)));
        let missing = missing.map(|text| format!(" ({text})")).unwrap_or_default();
        match self.outlet.on_gap {
            OnGap::Warn => tracing::warn!("gap {gap}{missing}: {}", gap.reason),
            OnGap::Fail => tracing::error!(
                "gap {gap}{missing}: {}; stopped in front of it, as --on-gap fail asks: to go on behind it, run once with --on-gap warn",
                gap.reason,
            ),
        }
        if let Some(saver) = &self.outlet.saver {
            saver.note_gap(gap);
        }
    }
}
