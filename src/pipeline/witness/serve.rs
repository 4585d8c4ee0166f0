//! The writer's side of the witness: takes its batches, and decides what is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::batch::{Batch, CompactBatch};
use crate::event::format::EventFormat;
use crate::event::header_spans::IdentityScope;
use crate::metrics::Metrics;
use crate::pipeline::dedup::{EventProcessor, PassedEvent};
use crate::position::TimeUs;
use crate::settings::MissingEvents;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::counts::Counts;
use super::link::Change;
use super::matcher::{Matcher, MissingEvent, Outcome, WitnessEvent};
use super::names::Names;
use super::silence::{Observation, SilenceClock};
use super::stream::PassedLines;
use super::{WitnessLink, WitnessStream};

/// Most batches of the witness that one call takes, so that the server in use is not kept waiting.
const MAX_BATCHES: usize = 16;

/// Most missing events of one call, and their bytes.
const MAX_MISSING: usize = 1_000;
const MAX_MISSING_BYTES: usize = 1 << 20;

/// Most missing events a second that are printed, on average over ten seconds: ten times what the
/// whole firehose has. A witness that invents events can print no more; its connection waits.
const MAX_RATE: f64 = 20_000.0;

/// How many windows the saved position waits for a witness that is behind or down. A longer wait
/// would make each checkpoint and each reconnect larger.
const MAX_WAIT: u64 = 10;

/// What a [`WitnessSide`] is made of.
#[derive(Debug)]
pub struct WitnessConfig {
    /// The window in microseconds.
    pub window_us: u64,
    /// What becomes of missing events.
    pub missing: MissingEvents,
    /// The names of the servers, in the order of the settings.
    pub servers: Vec<Arc<str>>,
    /// Where the streams are compared from, if the run resumes.
    pub floor: Option<TimeUs>,
    /// Whether the run starts at the live tip.
    pub is_live: bool,
    /// Brings the witness's stream.
    pub link: Arc<WitnessLink>,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
}

/// Missing events to write.
#[derive(Debug)]
pub struct Missing {
    /// Their lines.
    pub batch: Batch,
    /// Their dedup keys.
    pub passed: Vec<PassedEvent>,
    /// The connection that they come from, as far as the output has to know it.
    pub connection: Arc<ConnectionInfo>,
}

/// The witness, as the writer sees it.
#[derive(Debug)]
pub struct WitnessSide {
    config: WitnessConfig,
    stream: Option<WitnessStream>,
    /// The witness's connection that the last lines came from.
    connection: Option<Arc<ConnectionInfo>>,
    matcher: Matcher,
    names: Names,
    counts: Counts,
    main_silence: SilenceClock,
    silence: SilenceClock,
    /// Whether the log says that the streams can't be compared, because the witness is too far
    /// behind.
    is_behind: bool,
    /// The next missing event, if its line has another shape than those before it.
    carried: Option<MissingEvent>,
    /// How far the witness has come.
    reached: TimeUs,
    /// How many missing events may be printed now.
    allowance: f64,
    refilled: Instant,
}

impl WitnessSide {
    /// Returns the state before either server has sent anything.
    #[must_use]
    pub fn new(config: WitnessConfig) -> Self {
        let (now, window) = (Instant::now(), Duration::from_micros(config.window_us));
        config.servers.iter().for_each(|server| config.metrics.witness.missing.register(server));
        Self {
            stream: None,
            connection: None,
            matcher: Matcher::new(config.window_us, config.floor),
            names: Names::default(),
            counts: Counts::default(),
            main_silence: SilenceClock::new(window, now, config.is_live),
            silence: SilenceClock::new(window, now, config.is_live),
            is_behind: false,
            carried: None,
            reached: TimeUs(0),
            allowance: 10.0 * MAX_RATE,
            refilled: now,
            config,
        }
    }

    /// Notes the lines of the server in use that are about to be written.
    pub fn note_main(
        &mut self,
        lines: &CompactBatch,
        passed: &[PassedEvent],
        connection: &ConnectionInfo,
    ) {
        let spans = lines.spans().iter().zip(passed).enumerate();
        for (i, (span, passed)) in spans {
            let line = lines.bytes().get(span.start..span.end).unwrap_or_default();
            let Some(header) = lines.header(i) else { continue };
            let scope = header.identity_scope();
            if scope == IdentityScope::Server {
                continue;
            }
            let name = self.names.of_event(&header, line);
            let is_relayed = scope == IdentityScope::Relay;
            if let Some(skipped) = self.matcher.on_main(*passed, name, is_relayed) {
                self.warn_of_lag(skipped);
            }
        }
        // The archive lacks what was superseded, and is no proof.
        if connection.requested == RequestedCursor::Archive
            && let Some(last) = passed.last()
        {
            self.matcher.skip_to(last.clock);
        }
    }

    fn warn_of_lag(&mut self, skipped: TimeUs) {
        if std::mem::replace(&mut self.is_behind, true) {
            return;
        }
        let server = self.stream.as_ref().map(|stream| &*stream.server).unwrap_or_default();
        tracing::warn!(
            %server,
            "the witness is too far behind, or down: events up to {skipped} are printed without a comparison"
        );
    }

    /// Takes what the witness has sent, and returns events that the server in use does not have.
    pub fn serve(&mut self, main: &EventProcessor, now_us: TimeUs) -> Option<Missing> {
        self.take_change(main);
        let now = Instant::now();
        let reached = self.main_reached(main, now, now_us);
        if !self.matcher.has_started() && reached > TimeUs(0) {
            self.matcher.skip_to(reached);
        }
        self.take_batches(main, now_us);
        self.expire(main, now, now_us);
        let missing = self.find_missing(main, reached, now);
        self.publish();
        missing
    }

    /// Returns how far the witness has come, as far as the saved position has to wait for it while
    /// the server in use is at `main`.
    #[must_use]
    pub fn reached(&self, main: TimeUs) -> TimeUs {
        match self.config.missing {
            MissingEvents::Report => main,
            MissingEvents::Print => {
                self.reached.max(main.minus_us(self.config.window_us.saturating_mul(MAX_WAIT)))
            }
        }
    }

    fn take_change(&mut self, main: &EventProcessor) {
        let Some(change) = self.config.link.take() else { return };
        let former = self.stream.take().map(|stream| stream.server);
        let Change::Stream(stream) = change else { return };
        // The first witness of a resumed run is asked for what the floor allows.
        if former.is_some() {
            self.matcher.change_witness(main.latest());
        }
        let window = Duration::from_micros(self.config.window_us);
        self.silence = SilenceClock::new(window, Instant::now(), stream.is_live);
        self.stream = Some(*stream);
    }

    fn main_reached(&mut self, main: &EventProcessor, now: Instant, now_us: TimeUs) -> TimeUs {
        let metrics = &self.config.metrics;
        self.main_silence.reached(Observation {
            now,
            now_us,
            is_connected: metrics.connected.get() == 1,
            events: metrics.received.get(),
            clock: main.latest(),
        })
    }

    fn take_batches(&mut self, main: &EventProcessor, now_us: TimeUs) {
        // Before the first event of the server in use nothing says what to compare.
        if !self.matcher.has_started() {
            return;
        }
        for _ in 0..MAX_BATCHES {
            if !self.matcher.has_room() {
                return;
            }
            let Some(taken) = self.stream.as_mut().and_then(|stream| stream.take(now_us)) else {
                return;
            };
            self.compare(&taken, main);
            self.connection = Some(taken.connection);
            if let Some(stream) = &self.stream {
                stream.recycle(taken.lines);
            }
        }
    }

    fn compare(&mut self, taken: &PassedLines, main: &EventProcessor) {
        let shape = taken.connection.shape;
        for (i, (line, passed)) in taken.lines.iter().zip(&taken.passed).enumerate() {
            let header = taken.lines.header(i);
            let Some(scope) = header.map(|header| header.identity_scope()) else { continue };
            if scope == IdentityScope::Server {
                continue;
            }
            let is_relayed = scope == IdentityScope::Relay;
            let names = &mut self.names;
            let event = || WitnessEvent {
                line: line.into(),
                header,
                shape,
                name: header.map_or_else(Default::default, |header| names.of_event(&header, line)),
                counts: passed.counts,
                is_relayed,
            };
            let outcome = self.matcher.on_witness(*passed, main.knows(passed.identity), event);
            if outcome == Outcome::Matched && is_relayed {
                self.matcher.matched_relayed();
            }
        }
    }

    /// Counts what the witness has passed and does not have.
    fn expire(&mut self, main: &EventProcessor, now: Instant, now_us: TimeUs) {
        let Some(stream) = &self.stream else { return };
        let witness = Arc::clone(&stream.server);
        let reached = self.silence.reached(Observation {
            now,
            now_us,
            is_connected: stream.metrics.connected.get() == 1,
            events: stream.metrics.received.get(),
            clock: stream.processor.latest(),
        });
        self.reached = reached;
        while let Some(name) = self.matcher.next_unwitnessed(reached) {
            self.counts.add(&witness, self.names.name(name), &self.config.metrics);
        }
        let server = self.server_in_use(main);
        self.counts.report(
            &witness,
            &server,
            "they were printed, because the server in use sent them",
        );
    }

    fn find_missing(
        &mut self,
        main: &EventProcessor,
        reached: TimeUs,
        now: Instant,
    ) -> Option<Missing> {
        let server = self.server_in_use(main);
        let (mut batch, mut passed) = (Batch::default(), Vec::new());
        let mut shape = None;
        let is_printed = self.config.missing != MissingEvents::Report;
        self.refill(now);
        while passed.len() < MAX_MISSING
            && batch.buffered_bytes() < MAX_MISSING_BYTES
            && (self.allowance >= 1.0 || !is_printed)
        {
            let next = self.carried.take().or_else(|| self.matcher.next_missing(reached));
            let Some(MissingEvent { identity, event }) = next else { break };
            if shape.is_some_and(|shape| shape != event.shape) {
                self.carried = Some(MissingEvent { identity, event });
                break;
            }
            // What was printed in the meantime is no longer missing.
            if main.knows(identity) {
                continue;
            }
            self.counts.add(&server, self.names.name(event.name), &self.config.metrics);
            if !is_printed {
                continue;
            }
            self.allowance -= 1.0;
            batch.push_with(&event.line, event.header);
            passed.push(PassedEvent { identity, clock: reached, counts: event.counts });
            shape = Some(event.shape);
        }
        let witness = self.stream.as_ref().map(|stream| Arc::clone(&stream.server));
        let fate = if is_printed { "they are printed late" } else { "they are not printed" };
        self.counts.report(&server, &witness.unwrap_or_default(), fate);
        if passed.is_empty() {
            return None;
        }
        self.config.metrics.witness.printed.add(passed.len() as u64);
        let connection = self.connection_for(shape.unwrap_or(EventFormat::V1))?;
        Some(Missing { batch, passed, connection })
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.allowance = (self.allowance + seconds * MAX_RATE).min(10.0 * MAX_RATE);
    }

    fn connection_for(&self, shape: EventFormat) -> Option<Arc<ConnectionInfo>> {
        let connection = self.connection.as_ref()?;
        match connection.shape == shape {
            true => Some(Arc::clone(connection)),
            false => Some(Arc::new(ConnectionInfo { shape, ..(**connection).clone() })),
        }
    }

    /// Returns the name of the server in use.
    fn server_in_use(&self, main: &EventProcessor) -> Arc<str> {
        let number = usize::try_from(self.config.metrics.server.get()).unwrap_or(0);
        let dialled = number.checked_sub(1).and_then(|index| self.config.servers.get(index));
        let written = main.position().map(|position| &position.origin.server);
        written.or(dialled).map(Arc::clone).unwrap_or_default()
    }

    fn publish(&mut self) {
        self.is_behind &= self.matcher.is_nearly_full();
        let metrics = &self.config.metrics.witness;
        let connected = self.stream.as_ref().map_or(0, |stream| stream.metrics.connected.get());
        metrics.connected.set(connected);
        let (events, bytes) = self.matcher.pending();
        metrics.pending_events.set(events as u64);
        metrics.pending_bytes.set(bytes as u64);
        if let Some(stream) = &self.stream {
            metrics.received.set(stream.metrics.received.get());
            metrics.wire_bytes.set(stream.metrics.wire_bytes.get());
            metrics.last_event_us.set(stream.processor.latest().0);
        }
    }
}
