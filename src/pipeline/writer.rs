//! The writer: one thread that takes batches, sifts them, writes them, and hands positions to
//! the saver. Print first, remember second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::Checkpoint;
use crate::checkpoint::saver::Saver;
use crate::display::units::duration;
use crate::event::batch::Batch;
use crate::metrics::Metrics;
use crate::position::gap::Gap;
use crate::position::{Position, TimeUs};
use crate::settings::{CheckpointEvery, OnGap};
use crate::sink::stdout::Stdout;
use crate::sink::{Delivered, Refusal};

use super::channel::{Item, Received, Receiver};
use super::continuity::Finding;
use super::sieve::Sieve;
use super::stand::Stand;
use super::stop::{Reason, Stop};

/// How often a writer that writes nothing looks whether its output was closed.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Memory that an emptied batch keeps.
const KEEP_BYTES: usize = 512 * 1024;

/// The writer with all that it needs.
#[derive(Debug)]
pub struct Writer {
    /// Where lines come from.
    pub receiver: Receiver,
    /// What happens to them.
    pub sieve: Sieve,
    /// Where they go.
    pub sink: Stdout,
    /// Who remembers; `None` where nobody shall.
    pub saver: Option<Saver>,
    /// How often.
    pub every: CheckpointEvery,
    /// What to do where events are missing.
    pub on_gap: OnGap,
    /// The position for the reader.
    pub stand: Arc<Stand>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// When to stop, and whom to tell.
    pub stop: Stop,
    /// The count of malformed events at which the next one is told of.
    pub next_report: u64,
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
}

/// What is not saved yet.
#[derive(Debug)]
struct Unsaved {
    delivered: Option<Delivered>,
    events: u64,
    since: Instant,
}

impl Writer {
    /// Works until the channel ends or the output does.
    #[must_use]
    pub fn run(mut self) -> Written {
        let mut unsaved = Unsaved { delivered: None, events: 0, since: Instant::now() };
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
                Received::Nothing => self.wait(&mut unsaved),
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
                    self.save_if_due(&mut unsaved);
                }
                Received::Nothing => {}
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
    fn wait(&mut self, unsaved: &mut Unsaved) -> Received {
        self.save_if_due(unsaved);
        let due = unsaved.delivered.is_some().then_some(unsaved.since + self.every.interval);
        let idle = Instant::now() + IDLE_CHECK;
        let received = self.receiver.recv(Some(due.map_or(idle, |due| due.min(idle))));
        if matches!(received, Received::Nothing) {
            self.save_if_due(unsaved);
        }
        received
    }

    fn write(&mut self, item: Item, unsaved: &mut Unsaved) -> Result<(), Refusal> {
        let Item { mut batch, connection } = item;
        let seen = batch.len() as u64;
        let pending = self.sieve.sift(&mut batch, &connection, TimeUs(crate::metrics::now_us()));
        self.report_rejected();
        self.report_finding(connection.number);
        self.stand.set_early(self.sieve.early());
        let stop = &self.stop;
        match self.sink.write_all(batch.bytes(), || stop.deadline()) {
            Ok(delivered) => {
                self.sieve.accepted(&batch);
                if unsaved.delivered.is_none() {
                    unsaved.since = Instant::now();
                }
                unsaved.delivered = Some(delivered);
                unsaved.events += seen;
                self.stand.set(self.sieve.position());
                self.recycle(batch);
                Ok(())
            }
            Err(refused) => {
                self.sieve.refused(&batch, pending, refused.accepted_bytes);
                unsaved.delivered = Some(refused.delivered);
                Err(refused.refusal)
            }
        }
    }

    fn recycle(&self, mut batch: Batch) {
        self.metrics.last_event_at_us.set(crate::metrics::now_us());
        batch.reset(KEEP_BYTES);
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

    fn save_if_due(&mut self, unsaved: &mut Unsaved) {
        let many = self.every.events.is_some_and(|most| unsaved.events >= most);
        if many || unsaved.since.elapsed() >= self.every.interval {
            self.save(unsaved);
        }
    }

    fn save(&mut self, unsaved: &mut Unsaved) {
        let Some(delivered) = unsaved.delivered.take() else { return };
        unsaved.events = 0;
        if let (Some(saver), Some(resume)) = (&self.saver, self.sieve.resume()) {
            saver.save(Checkpoint::new(&delivered, resume));
        }
    }

    fn finish(mut self, mut unsaved: Unsaved, failure: Option<Refusal>) -> Written {
        self.save(&mut unsaved);
        self.stand.set(self.sieve.position());
        let saved = self.saver.take().map(Saver::finish);
        Written { position: self.sieve.position().cloned(), saved, failure }
    }
}
