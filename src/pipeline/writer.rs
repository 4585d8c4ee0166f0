//! The writer: one thread that takes batches, sifts them, writes them, and hands positions to
//! the saver. Print first, remember second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::saver::Saver;
use crate::checkpoint::store::ByHand;
use crate::checkpoint::{Checkpoint, CursorValue};
use crate::display::printable::printable;
use crate::display::units::duration;
use crate::event::batch::Batch;
use crate::metrics::Metrics;
use crate::position::gap::Gap;
use crate::position::{Position, Seq, TimeUs};
use crate::settings::{CheckpointEvery, OnGap};
use crate::sink::file::FileSink;
use crate::sink::record::OutputRecord;
use crate::sink::{Delivered, Refusal, Sink};

use super::channel::{Item, Received, Receiver};
use super::continuity::Finding;
use super::sieve::Sieve;
use super::stand::Stand;
use super::stop::{Reason, Stop};

/// How often a writer that writes nothing looks whether its output was closed.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// The writer with all that it needs.
#[derive(Debug)]
pub struct Writer {
    /// Where lines come from.
    pub receiver: Receiver,
    /// What happens to them.
    pub sieve: Sieve,
    /// Where they go.
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
    pub stand: Arc<Stand>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// When to stop, and whom to tell.
    pub stop: Stop,
    /// The count of malformed events at which the next one is told of.
    pub next_report: u64,
    /// The position at the last proof from the sink.
    pub settled: Option<Position>,
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
pub struct Written {
    /// The last position that the output proves.
    pub position: Option<Position>,
    /// Whether that position was saved; `None` where nobody saves.
    pub saved: Option<Result<(), crate::checkpoint::store::StoreError>>,
    /// Why the output failed, if it did.
    pub failure: Option<Refusal>,
    /// What was written to, in words; `None` for standard output.
    pub written_to: Option<String>,
}

/// What is not saved yet.
#[derive(Debug)]
struct Unsaved {
    /// Whether anything is: a position can move without a line.
    is_due: bool,
    /// Events that were seen.
    events: u64,
    /// Lines that were written, and their bytes.
    lines: u64,
    bytes: u64,
    since: Instant,
}

impl Default for Unsaved {
    fn default() -> Self {
        Self { is_due: false, events: 0, lines: 0, bytes: 0, since: Instant::now() }
    }
}

impl Writer {
    /// Works until the channel ends or the output does.
    #[must_use]
    pub fn run(mut self) -> Written {
        let mut unsaved = Unsaved::default();
        let mut looked = Instant::now();
        let failure = loop {
            // By the clock: a stream whose every event is excluded is never idle, and never
            // written, so that no write could fail.
            if looked.elapsed() >= IDLE_CHECK {
                looked = Instant::now();
                if self.sink.is_closed() {
                    break Some(Refusal::Closed);
                }
            }
            // With nothing waiting the quiet stream has been written out already: there is
            // no buffer behind us to flush.
            let item = match self.receiver.recv(None) {
                Received::Nothing => match self.wait(&mut unsaved) {
                    Ok(received) => received,
                    Err(refusal) => break Some(refusal),
                },
                other => other,
            };
            match item {
                Received::Item(item) => {
                    if let Err(refusal) = self.write(item, &mut unsaved) {
                        break Some(refusal);
                    }
                    if let Some(reason) = self.sieve.stop_reason() {
                        self.stop.request(reason);
                        break None;
                    }
                    if let Err(refusal) = self.save_if_due(&mut unsaved) {
                        break Some(refusal);
                    }
                }
                Received::Nothing => {
                    if let Err(refusal) = self.save_if_due(&mut unsaved) {
                        break Some(refusal);
                    }
                }
                Received::End => break None,
            }
        };
        if matches!(failure, Some(Refusal::Closed)) {
            self.stop.request(Reason::OutputClosed);
        } else if failure.is_some() {
            self.stop.request(Reason::Failed);
        }
        self.finish(unsaved, failure.filter(|refusal| !matches!(refusal, Refusal::Closed)))
    }

    /// Waits for lines, and saves what is due meanwhile.
    fn wait(&mut self, unsaved: &mut Unsaved) -> Result<Received, Refusal> {
        self.save_if_due(unsaved)?;
        let due = unsaved.is_due.then_some(unsaved.since + self.every.interval);
        let idle = Instant::now() + IDLE_CHECK;
        Ok(self.receiver.recv(Some(due.map_or(idle, |due| due.min(idle)))))
    }

    fn write(&mut self, item: Item, unsaved: &mut Unsaved) -> Result<(), Refusal> {
        let Item { batch, connection, gap, through } = item;
        if let Some(gap) = gap {
            self.sieve.miss(gap);
            self.report_finding(connection.number);
        }
        let seen = batch.len() as u64;
        let now = TimeUs(crate::metrics::now_us());
        let (lines, pending) = self.sieve.sift(batch, &connection, now);
        self.report_rejected();
        self.report_finding(connection.number);
        self.stand.set_early(self.sieve.early());
        if let Err(refusal) = self.remember_beginning() {
            self.sieve.refused(&lines, pending, 0);
            return Err(refusal);
        }
        let (stop, saver) = (&self.stop, &self.saver);
        let deadline = || stop.deadline();
        let mut announce = |record: &OutputRecord| match saver {
            Some(saver) => saver.begin_output(record).map_err(|error| error.to_string()),
            None => Ok(()),
        };
        let shape = connection.shape;
        match self.sink.write(&lines, shape, self.sieve.turns(), deadline, &mut announce) {
            Ok(()) => {
                self.sieve.accepted(&lines);
                if let Some(through) = through {
                    self.sieve.pass(&connection, through, now);
                }
                if !unsaved.is_due {
                    unsaved.since = Instant::now();
                }
                unsaved.is_due = true;
                unsaved.events += seen;
                unsaved.lines += lines.len() as u64;
                unsaved.bytes += lines.bytes().len() as u64;
                self.stand.set(self.sieve.position());
                self.recycle(lines.into_batch());
                Ok(())
            }
            Err(refused) => {
                self.sieve.refused(&lines, pending, refused.accepted_bytes);
                unsaved.is_due = true;
                Err(refused.refusal)
            }
        }
    }

    /// Before the first line of a run is written: killed before its first checkpoint, it
    /// must find here where to begin again. A file that could not be remembered is not begun;
    /// of a failure with standard output the first checkpoint will tell.
    fn remember_beginning(&mut self) -> Result<(), Refusal> {
        let (Some(saver), Some(position)) = (&self.saver, self.sieve.position()) else {
            return Ok(());
        };
        let Some(beginning) = self.beginning.take() else { return Ok(()) };
        match saver.begin_run(beginning.of(position)) {
            Err(error) if self.sink.files().is_some() => {
                Err(Refusal::Unremembered(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn recycle(&self, batch: Batch) {
        self.metrics.last_event_at_us.set(crate::metrics::now_us());
        self.receiver.give_back(batch);
    }

    fn report_rejected(&mut self) {
        let Some(rejected) = self.sieve.take_rejected() else { return };
        let total = self.metrics.malformed.get();
        // Told often at first and ever more seldom: a server gone mad must not flood the log.
        if total.is_power_of_two() || total >= self.next_report {
            self.next_report = total.saturating_mul(2);
            tracing::warn!(
                total,
                "skipped a malformed event: {}; it begins {}",
                rejected.error,
                crate::display::printable::printable(&rejected.head, 120),
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
                self.stand.refuse_numbers(connection);
            }
            Some(Finding::Ahead { asked, got }) => tracing::warn!(
                "seq {} lies ahead of the server's newest event: it began at its live tip, seq {}",
                asked.0,
                got.0,
            ),
        }
    }

    fn report_gap(&self, gap: Gap) {
        self.metrics.gaps.add(1);
        let missing = gap.missing_us().map(|us| duration(Duration::from_micros(us)));
        let missing = missing.map(|text| format!(" ({text})")).unwrap_or_default();
        match self.on_gap {
            OnGap::Warn => tracing::warn!("gap {gap}{missing}: {}", gap.reason),
            OnGap::Fail => tracing::error!(
                "gap {gap}{missing}: {}; stopped in front of it, as --on-gap fail asks: to go on behind it, run once with --on-gap warn",
                gap.reason,
            ),
        }
        if let Some(saver) = &self.saver {
            saver.note_gap(gap);
        }
    }

    fn save_if_due(&mut self, unsaved: &mut Unsaved) -> Result<(), Refusal> {
        let many = self.every.events.is_some_and(|most| unsaved.events >= most);
        if many || unsaved.since.elapsed() >= self.every.interval {
            return self.save(unsaved);
        }
        Ok(())
    }

    /// Takes proof of what was written from the sink, and hands it to the saver.
    fn save(&mut self, unsaved: &mut Unsaved) -> Result<(), Refusal> {
        if !unsaved.is_due {
            return Ok(());
        }
        if let Some(error) = self.saver.as_ref().and_then(Saver::output_error) {
            return Err(Refusal::Unsynced(error.to_string()));
        }
        let stop = &self.stop;
        let delivered = self.sink.settle(|| stop.deadline())?;
        *unsaved = Unsaved::default();
        self.settled = self.sieve.position().cloned();
        let Some(saver) = &self.saver else { return Ok(()) };
        match self.sieve.resume() {
            Some(resume) => saver.save(Checkpoint::new(delivered, resume)),
            None => save_files(saver, delivered)?,
        }
        Ok(())
    }

    fn finish(mut self, mut unsaved: Unsaved, mut failure: Option<Refusal>) -> Written {
        // What a pipe accepted stays accepted when it fails; a file is cut back instead, and of
        // a broker the next run finds out what it has.
        if failure.is_none() || !self.sink.must_settle() {
            let saved = self.save(&mut unsaved);
            failure = failure.or(saved.err());
        }
        match &failure {
            Some(refusal) if self.sink.must_settle() => self.give_up(refusal, &unsaved),
            _ => self.close(&mut failure),
        }
        let position = match failure.is_some() && self.sink.must_settle() {
            true => self.settled.clone(),
            false => self.sieve.position().cloned(),
        };
        self.stand.set(position.as_ref());
        let saved = self.saver.take().map(Saver::finish);
        let written_to = match &self.sink {
            Sink::Stdout(_) => None,
            Sink::File(files) => Some(in_words(files)),
            Sink::Broker(broker) => Some(broker.in_words()),
        };
        Written { position, saved, failure, written_to }
    }

    /// The run ended well: files, or the broker, are exactly as the last checkpoint says.
    fn close(&mut self, failure: &mut Option<Refusal>) {
        if let (Sink::Broker(broker), Some(saver)) = (&self.sink, &self.saver)
            && broker.is_exact()
        {
            saver.files_are_exact();
        }
        let Some(files) = self.sink.files() else { return };
        match &self.saver {
            Some(saver) => saver.files_are_exact(),
            None => *failure = files.sync().err(),
        }
    }

    /// A file or a broker failed: what came after the last checkpoint has not happened.
    fn give_up(&mut self, refusal: &Refusal, unsaved: &Unsaved) {
        self.metrics.written.take_back(unsaved.lines);
        self.metrics.written_bytes.take_back(unsaved.bytes);
        // What somebody else wrote is not ours to cut; what did not reach the disk, the next
        // run cuts back to what did.
        if matches!(refusal, Refusal::Unsynced(_)) {
            return;
        }
        if matches!(refusal, Refusal::Disturbed { .. }) {
            // Noted as ended, so that the next run refuses what is more instead of cutting it.
            if let Some(saver) = &self.saver {
                saver.files_are_exact();
            }
            return;
        }
        let Some(files) = self.sink.files() else { return };
        match (files.cut_back(), &self.saver) {
            (Ok(()), Some(saver)) => saver.files_are_exact(),
            (Ok(()), None) => {}
            (Err(error), _) => tracing::warn!(
                "the file could not be cut back to the last checkpoint ({error}); the next run does that"
            ),
        }
    }
}

/// Remembers the lengths of files alone: the lines before a `--until` that lay behind us from
/// the first event on are written and give no position.
fn save_files(saver: &Saver, delivered: Delivered) -> Result<(), Refusal> {
    for output in delivered.into_outputs() {
        let path = output.record().path.clone();
        output.sync().map_err(|cause| Refusal::File { path: path.clone(), cause })?;
        saver
            .begin_output(output.record())
            .map_err(|error| Refusal::Unannounced { path, cause: error.to_string() })?;
    }
    Ok(())
}

fn in_words(files: &FileSink) -> String {
    match files.written() {
        None => "no file".to_owned(),
        Some((path, count)) => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            let name = printable(name.as_encoded_bytes(), 100);
            if count == 1 { name } else { format!("{count} files, the last {name}") }
        }
    }
}
