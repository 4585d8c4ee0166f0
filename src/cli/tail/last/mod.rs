//! `--last N`: reads back in spans of time that double, until N matching events are found, and
//! passes them to the run that prints them and follows the stream.
//!
//! Each span is a run of the pipeline with the same filter, whose output keeps the newest lines.
//! The first span ends at the live tip. The run that follows resumes where that span ended, with
//! the dedup keys of its events, as a run resumes from a checkpoint. A span before it ends with
//! `--until` at its start: what lies in both is recognised by its event id.

pub mod args;
mod newest_lines;

use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::observers::Observers;
use super::startup::FoundDictionaries;
use crate::display::units::{count, duration};
use crate::event::event_id::{EventIdHasher, EventIdSecrets};
use crate::metrics::{Metrics, now_us};
use crate::pipeline::filter_updates::FilterUpdates;
use crate::pipeline::history::History;
use crate::pipeline::shutdown::{Shutdown, StopReason};
use crate::pipeline::{self, PipelineInputs, RunEvent, RunObserver, RunResult};
use crate::position::{Origin, Seq, ServerKind, StartPosition, TimeUs};
use crate::settings::{ArchiveMode, Last, LastWithin, OnGap, StopRules, TailSettings};
use crate::sink::Sink;
use crate::source::{ConnectionInfo, RequestedCursor};

use newest_lines::{Collector, NewestLines, event_id};

/// The first span, in microseconds.
const FIRST_SPAN_US: u64 = 60_000_000;
/// How many times longer than a span without any event the next one is. A span ends with several
/// seconds of silence then.
const SILENT_GROWTH: u64 = 8;
/// Most bytes of memory for the lines.
const MAX_BYTES: usize = 64 << 20;
/// The furthest that v1 is read back, in microseconds: such a server does not say where its history
/// begins, and holds 24 hours or 36 by default (protocol/jetstream-v1.md §11, jetstream-v2.md §4).
const V1_LOOKBACK_US: u64 = 36 * 3_600_000_000;
/// The furthest that v2 is read back without the archive, in microseconds. The server says before
/// that where its history begins.
const V2_LOOKBACK_US: u64 = 32 * 24 * 3_600_000_000;

/// What reading back gives.
pub enum ReadBack {
    /// The start of the run that follows, and the lines to print before.
    Found(StartPosition, Option<History>),
    /// The run ended while it read back.
    Ended(Box<RunResult>),
}

/// Why reading back ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchEnd {
    Found,
    /// No more lines fit into the memory.
    OutOfMemory,
    /// The server holds nothing older than this time.
    Lookback(TimeUs),
    /// `--last-within`, or the furthest that is read back.
    Bound,
    Timeout,
}

/// What a span needs of the run.
pub struct Search<'a> {
    pub settings: &'a TailSettings,
    pub secrets: EventIdSecrets,
    pub dictionaries: &'a FoundDictionaries,
    pub metrics: &'a Arc<Metrics>,
    pub observers: &'a mut Observers,
}

/// The lines that were found so far, and where the run continues after them.
struct Found {
    lines: NewestLines,
    /// The event ids of the lines.
    known: Arc<HashSet<u64>>,
    /// Set by the first span.
    next: Option<(StartPosition, Arc<ConnectionInfo>)>,
}

impl Search<'_> {
    /// Returns where the run starts: at `start`, or as `--last` asks.
    pub fn find_start(self, start: StartPosition) -> ReadBack {
        match self.settings.last {
            Some(last) => self.read_back(last),
            None => ReadBack::Found(start, None),
        }
    }

    /// Reads back until `last.count` events are found, or as far as it may.
    fn read_back(mut self, last: Last) -> ReadBack {
        let (began, now) = (Instant::now(), TimeUs(now_us()));
        let past_until = self.settings.stop.until.filter(|until| *until <= now);
        let base = past_until.unwrap_or(now);
        let mut found = Found {
            lines: NewestLines::new(last.count, MAX_BYTES),
            known: Arc::default(),
            next: None,
        };
        let (mut until, mut span_us) = (past_until, FIRST_SPAN_US);
        let end = loop {
            let received = self.metrics.received.get();
            let bound_us = self.bound_us(last.within);
            let start = base.minus_us(span_us.min(bound_us)).max(TimeUs(Seq::LIMIT));
            let result = self.read_span(start, until, began, last, &mut found);
            match &result.end {
                Ok(StopReason::Timeout) => break SearchEnd::Timeout,
                Ok(StopReason::CaughtUp | StopReason::Until) if !self.is_gap_fatal() => {}
                Ok(StopReason::CaughtUp | StopReason::Until) => {
                    let result = RunResult { end: Ok(StopReason::Gap), ..result };
                    return ReadBack::Ended(Box::new(result));
                }
                _ => return ReadBack::Ended(Box::new(result)),
            }
            match result.history_limit {
                _ if found.lines.is_out_of_memory() => break SearchEnd::OutOfMemory,
                _ if found.lines.is_full() => break SearchEnd::Found,
                Some(oldest) => break SearchEnd::Lookback(oldest),
                None if span_us >= self.bound_us(last.within) => break SearchEnd::Bound,
                None if start <= TimeUs(Seq::LIMIT) => break SearchEnd::Bound,
                None => {}
            }
            let growth = if self.metrics.received.get() > received { 2 } else { SILENT_GROWTH };
            (until, span_us) = (Some(start), span_us.saturating_mul(growth));
        };
        self.warn_if_fewer(last, &found.lines, end);
        let then = match end {
            SearchEnd::Timeout => Some(StopReason::Timeout),
            _ if past_until.is_some() => Some(StopReason::Until),
            _ => self.settings.stop.exit_when_live.then_some(StopReason::CaughtUp),
        };
        found.into_history(then)
    }

    /// Returns whether events are missing, and that is to end the run.
    fn is_gap_fatal(&self) -> bool {
        self.settings.on_gap == OnGap::Fail && self.metrics.gaps.get() > 0
    }

    /// Returns how far back to read at most, in microseconds.
    fn bound_us(&self, within: LastWithin) -> u64 {
        match within {
            LastWithin::Us(us) => us,
            LastWithin::Lookback | LastWithin::All if self.metrics.protocol.get() == 1 => {
                V1_LOOKBACK_US
            }
            LastWithin::Lookback => V2_LOOKBACK_US,
            LastWithin::All => u64::MAX,
        }
    }

    /// Runs one span: from `start` to `until`, or to the live tip.
    fn read_span(
        &mut self,
        start: TimeUs,
        until: Option<TimeUs>,
        began: Instant,
        last: Last,
        found: &mut Found,
    ) -> RunResult {
        let settings = self.span_settings(until, began, last);
        match until {
            Some(until) => tracing::info!("--last: reading from {start} to {until}"),
            None => tracing::info!("--last: reading from {start} to the live tip"),
        }
        let room = found.lines.room_for_older();
        let (collector, kept) = Collector::new(room, Arc::clone(&found.known), self.secrets.key);
        let inputs = PipelineInputs {
            start: StartPosition::Time(start),
            filter_since: None,
            filters: FilterUpdates::none(),
            side: None,
            history: None,
            history_start: Some(start),
            checkpoint_worker: None,
            output: Some(Sink::Tap(Box::new(collector))),
            renderer: None,
            stop: Shutdown::new(settings.drain_timeout),
            secrets: self.secrets,
            v1_dictionary: self.dictionaries.v1.clone(),
            dictionaries: Arc::clone(&self.dictionaries.v2),
            metrics: Arc::clone(self.metrics),
        };
        let observers = &mut *self.observers;
        let tick_every = observers.tick_every();
        let on_event = &mut |event: RunEvent| {
            // The end of a span is not the end of the run.
            if matches!(event, RunEvent::Tick | RunEvent::StatusRequested) {
                observers.on_event(event);
            }
        };
        let result = pipeline::run(&settings, inputs, RunObserver { tick_every, on_event });
        // Nothing is written yet.
        self.metrics.written.subtract(self.metrics.written.get());
        self.metrics.written_bytes.subtract(self.metrics.written_bytes.get());
        let older = mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        found.add(older, &result, start, self.secrets);
        result
    }

    /// Returns the settings of one span.
    fn span_settings(&self, until: Option<TimeUs>, began: Instant, last: Last) -> TailSettings {
        let mut settings = self.settings.clone();
        let spent = began.elapsed();
        settings.stop = StopRules {
            limit: None,
            until: until.or(self.settings.stop.until),
            exit_when_live: until.is_none(),
            timeout: self.settings.stop.timeout.map(|timeout| timeout.saturating_sub(spent)),
        };
        settings.render = None;
        settings.witness = None;
        settings.on_gap = OnGap::Warn;
        if last.within != LastWithin::All {
            settings.archive.mode = ArchiveMode::Off;
        }
        settings
    }

    fn warn_if_fewer(&self, last: Last, lines: &NewestLines, end: SearchEnd) {
        let (wanted, found) = (count(last.count as u64), count(lines.len() as u64));
        let within = duration(Duration::from_micros(self.bound_us(last.within)));
        match end {
            SearchEnd::Found => {}
            SearchEnd::OutOfMemory => tracing::warn!(
                "--last {wanted}: only the newest {found} fit into 64 MiB of memory; for more, write them to a file with --cursor and -o"
            ),
            SearchEnd::Lookback(oldest) => {
                let oldest = oldest.to_seconds();
                let more = match last.within {
                    LastWithin::All => "",
                    _ => "; --last-within all also reads the archive of v2 servers",
                };
                tracing::warn!(
                    "--last {wanted}: found {found}, and the server holds nothing older than {oldest}{more}"
                );
            }
            SearchEnd::Bound if last.within == LastWithin::All => {
                tracing::warn!("--last {wanted}: found {found} in the whole history");
            }
            SearchEnd::Bound => tracing::warn!(
                "--last {wanted}: found {found} in the last {within}; --last-within all reads further back"
            ),
            SearchEnd::Timeout => {
                tracing::warn!("--last {wanted}: found {found} before --timeout");
            }
        }
    }
}

impl Found {
    /// Puts the lines of a span before those of the later ones, and notes where the first span
    /// ended.
    fn add(
        &mut self,
        older: NewestLines,
        result: &RunResult,
        start: TimeUs,
        secrets: EventIdSecrets,
    ) {
        let mut ids = EventIdHasher::new(secrets.key);
        let known = older.iter().filter_map(|line| event_id(&mut ids, line));
        Arc::make_mut(&mut self.known).extend(known);
        self.lines.prepend(older);
        self.next.get_or_insert_with(|| {
            let origin = result.resume.as_ref().map(|resume| resume.position.origin.clone());
            let next = match &result.resume {
                Some(resume) => StartPosition::Resume(Box::new(resume.clone())),
                // No event came at all, so that none can come twice.
                None => StartPosition::Time(start),
            };
            (next, connection_of(origin))
        });
    }

    fn into_history(self, then: Option<StopReason>) -> ReadBack {
        let (next, connection) =
            self.next.unwrap_or_else(|| (StartPosition::Live, connection_of(None)));
        let history = History { lines: self.lines.into_lines(), connection, then };
        ReadBack::Found(next, Some(history))
    }
}

/// Returns the connection that the kept lines are attributed to.
fn connection_of(origin: Option<Origin>) -> Arc<ConnectionInfo> {
    let unknown = || Origin { server: "".into(), kind: ServerKind::V2, filter_fingerprint: 0 };
    let origin = origin.unwrap_or_else(unknown);
    Arc::new(ConnectionInfo::v1(0, origin, RequestedCursor::Live))
}
