//! The writer's side of the witness: takes its batches, and decides what is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::batch::{Batch, CompactBatch};
use crate::event::event_id::EventIdKey;
use crate::event::header_spans::IdentityScope;
use crate::metrics::Metrics;
use crate::pipeline::dedup::{EventProcessor, PassedEvent};
use crate::pipeline::filter_updates::FilterSender;
use crate::position::TimeUs;
use crate::settings::MissingEvents;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::commit_rank::CommitRank;
use super::counts::Counts;
use super::filter_change::{FilterChanges, account_number};
use super::hold::Hold;
use super::link::Change;
use super::loss::LossWatch;
use super::matcher::{Matcher, MissingEvent, Subject};
use super::names::Names;
use super::silence::{Observation, SilenceClock};
use super::successors::Successors;
use super::{WitnessLink, WitnessStream};

/// Most batches of the witness that one call takes, so that the server in use is not kept waiting.
const MAX_BATCHES: usize = 16;

/// How many windows the saved position waits for a witness that is behind or down. A longer wait
/// would make each checkpoint and each reconnect larger.
const MAX_WAIT: u64 = 10;

/// What a [`WitnessSide`] is made of.
#[derive(Debug)]
pub struct WitnessConfig {
    /// The window in microseconds.
    pub window_us: u64,
    /// Makes the dedup keys.
    pub key: EventIdKey,
    /// What becomes of missing events.
    pub missing: MissingEvents,
    /// The share of missing events from which on the server in use is left, in events of a million;
    /// `None` for never.
    pub leave_ppm: Option<u32>,
    /// The names of the servers, in the order of the settings.
    pub servers: Vec<Arc<str>>,
    /// Where the streams are compared from, if the run resumes.
    pub floor: Option<TimeUs>,
    /// Whether the run starts at the live tip.
    pub is_live: bool,
    /// Brings the witness's stream.
    pub link: Arc<WitnessLink>,
    /// Passes the filters that the output has changed to on to the reader of the witness.
    pub filters: FilterSender,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
}

/// What is known of the server in use.
#[derive(Clone, Copy, Debug)]
pub struct MainStream<'a> {
    /// The stage that has the events that were written.
    pub written: &'a EventProcessor,
    /// The stage that has all events that came, if the output waits.
    pub arrived: Option<&'a EventProcessor>,
    /// Events received so far.
    pub events: u64,
}

impl MainStream<'_> {
    pub(super) fn latest(&self) -> TimeUs {
        self.arrived.unwrap_or(self.written).latest()
    }

    pub(super) fn is_without_position(&self) -> bool {
        self.arrived.unwrap_or(self.written).position().is_none()
    }

    /// Returns the time of the oldest event that the output recognises.
    fn oldest_key(&self) -> Option<TimeUs> {
        self.arrived.unwrap_or(self.written).position().map(|position| position.rewind_to.time)
    }

    pub(super) fn knows(&self, identity: u64) -> bool {
        self.written.knows(identity) || self.arrived.is_some_and(|stage| stage.knows(identity))
    }
}

/// Missing events to write.
#[derive(Debug)]
pub struct Missing {
    /// Their lines.
    pub batch: Batch,
    /// Their dedup keys.
    pub passed: Vec<PassedEvent>,
    /// The connection that brought the first of them; all have the same format.
    pub connection: Arc<ConnectionInfo>,
}

/// The witness, as the writer sees it.
#[derive(Debug)]
pub struct WitnessSide {
    pub(super) config: WitnessConfig,
    pub(super) stream: Option<WitnessStream>,
    pub(super) matcher: Matcher,
    pub(super) changes: FilterChanges,
    pub(super) names: Names,
    pub(super) counts: Counts,
    /// Watches the share of missing events, if a server may be left.
    pub(super) loss: Option<LossWatch>,
    /// The server in use that `loss` watches; empty before the first look.
    pub(super) compared_server: Arc<str>,
    pub(super) main_silence: SilenceClock,
    silence: SilenceClock,
    /// Whether the log says that the streams can't be compared, because the witness is too far
    /// behind.
    is_behind: bool,
    /// Whether a server was left because it had sent nothing.
    pub(super) has_left_silent: bool,
    /// When the witness had sent an event and the server in use had not.
    pub(super) heard_since: Option<Instant>,
    /// Numbers the events of the witness's commits.
    pub(super) ranks: CommitRank,
    pub(super) successors: Successors,
    /// What waits for the witness.
    pub(super) hold: Option<Hold>,
    /// Whether the log says that more waits than may be kept.
    pub(super) is_hold_full: bool,
    /// How far the server in use has come.
    pub(super) main_reached: TimeUs,
    /// The clock of the saved position, if the run resumes and has begun to compare.
    pub(super) resumed_at: Option<TimeUs>,
    /// The next missing event, if its line has another shape than those before it.
    pub(super) carried: Option<MissingEvent>,
    /// How far the witness has come.
    pub(super) reached: TimeUs,
    /// How many missing events may be printed now.
    pub(super) allowance: f64,
    pub(super) refilled: Instant,
}

impl WitnessSide {
    /// Returns the state before either server has sent anything.
    #[must_use]
    pub fn new(config: WitnessConfig) -> Self {
        let (now, window) = (Instant::now(), Duration::from_micros(config.window_us));
        config.servers.iter().for_each(|server| config.metrics.witness.missing.register(server));
        Self {
            stream: None,
            matcher: Matcher::new(config.window_us, config.floor),
            changes: FilterChanges::new(config.window_us),
            names: Names::default(),
            counts: Counts::default(),
            loss: config.leave_ppm.map(|ppm| LossWatch::new(config.window_us, ppm)),
            compared_server: "".into(),
            main_silence: SilenceClock::new(window, now, config.is_live),
            silence: SilenceClock::new(window, now, config.is_live),
            is_behind: false,
            has_left_silent: false,
            heard_since: None,
            is_hold_full: false,
            ranks: CommitRank::default(),
            successors: Successors::default(),
            hold: (config.missing == MissingEvents::Hold)
                .then(|| Hold::new(config.window_us, config.key)),
            main_reached: TimeUs(0),
            resumed_at: None,
            carried: None,
            reached: TimeUs(0),
            allowance: super::missing::BURST,
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
        self.note_sent(passed);
        let spans = lines.spans().iter().zip(passed).enumerate();
        for (i, (span, passed)) in spans {
            let line = lines.bytes().get(span.start..span.end).unwrap_or_default();
            let Some(header) = lines.header(i) else { continue };
            let scope = header.identity_scope();
            if scope == IdentityScope::Server {
                continue;
            }
            if !self.changes.compares(passed.clock, &header, line, connection.shape) {
                self.matcher.remove_pending(passed.identity);
                continue;
            }
            let name = self.names.of_event(&header, line);
            let subject = Subject { name, account: account_number(&header.did(line)) };
            let is_relayed = scope == IdentityScope::Relay;
            if let Some(skipped) = self.matcher.on_main(*passed, subject, is_relayed) {
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

    /// Counts the events of the server in use for `--witness-leave`.
    fn note_sent(&mut self, passed: &[PassedEvent]) {
        let Some(loss) = &mut self.loss else { return };
        if let Some(first) = passed.first().filter(|_| !self.matcher.has_started()) {
            loss.begin(first.clock);
        }
        passed.iter().for_each(|event| loss.add_sent(event.clock));
    }

    pub(super) fn warn_of_lag(&mut self, skipped: TimeUs) {
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
    pub fn serve(&mut self, main: &MainStream<'_>, now_us: TimeUs) -> Option<Missing> {
        self.take_change(main);
        let now = Instant::now();
        let reached = self.look_at_main(main, now, now_us);
        self.main_reached = reached;
        if !self.matcher.has_started() && reached > TimeUs(0) {
            self.matcher.skip_to(reached);
            self.loss.iter_mut().for_each(|loss| loss.begin(reached));
        }
        self.take_batches(main, now_us);
        self.expire(main, now, now_us);
        self.changes.settle(reached, self.reached);
        let missing = match self.is_replaying(main, reached) {
            true => None,
            false => self.find_missing(main, reached, now),
        };
        self.publish();
        missing
    }

    /// Returns how far the witness has come, as far as the saved position has to wait for it while
    /// the server in use is at `main`.
    #[must_use]
    pub fn reached(&self, main: TimeUs) -> TimeUs {
        match self.config.missing {
            MissingEvents::Report => main,
            MissingEvents::Print | MissingEvents::Hold => {
                self.reached.max(main.minus_us(self.config.window_us.saturating_mul(MAX_WAIT)))
            }
        }
    }

    fn take_change(&mut self, main: &MainStream<'_>) {
        let Some(change) = self.config.link.take() else { return };
        let former = self.stream.take().map(|stream| stream.server);
        let Change::Stream(stream) = change else { return };
        // The first witness of a resumed run is asked for what the floor allows.
        if former.is_some() {
            self.matcher.change_witness(main.oldest_key());
        }
        let window = Duration::from_micros(self.config.window_us);
        self.silence = SilenceClock::new(window, Instant::now(), stream.is_live);
        // A new stream has this filter from its start on.
        self.changes.on_witness(&stream.processor.shared_filter(), TimeUs(0));
        self.stream = Some(*stream);
    }

    fn look_at_main(&mut self, main: &MainStream<'_>, now: Instant, now_us: TimeUs) -> TimeUs {
        let metrics = &self.config.metrics;
        self.main_silence.reached(Observation {
            now,
            now_us,
            is_connected: metrics.connected.get() == 1,
            events: main.events,
            clock: main.latest(),
        })
    }

    fn take_batches(&mut self, main: &MainStream<'_>, now_us: TimeUs) {
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
            if let Some(stream) = &self.stream {
                stream.recycle(taken.lines);
            }
        }
    }

    /// Counts what the witness has passed and does not have.
    fn expire(&mut self, main: &MainStream<'_>, now: Instant, now_us: TimeUs) {
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
        while let Some((name, clock)) = self.matcher.next_unwitnessed(reached) {
            self.loss.iter_mut().for_each(|loss| loss.add_unwitnessed(clock));
            self.counts.add(&witness, self.names.name(name), &self.config.metrics);
        }
        let server = self.server_in_use(main);
        self.counts.report(
            &witness,
            &server,
            "they were printed, because the server in use sent them",
        );
    }

    /// Returns the name of the server in use.
    pub(super) fn server_in_use(&self, main: &MainStream<'_>) -> Arc<str> {
        let number = usize::try_from(self.config.metrics.server.get()).unwrap_or(0);
        let dialled = number.checked_sub(1).and_then(|index| self.config.servers.get(index));
        let written = main.written.position().map(|position| &position.origin.server);
        written.or(dialled).map(Arc::clone).unwrap_or_default()
    }

    fn publish(&mut self) {
        self.publish_hold();
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
