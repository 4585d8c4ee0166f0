//! The reader: one task that owns the connection. Dials, reads batches into the channel,
//! proves the connection alive, and after every end asks for what is missing, on this server
//! or the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::compression::dictionary::Dictionary;
use crate::compression::inflate::Inflater;
use crate::event::batch::Batch;
use crate::metrics::{Metrics, now_us};
use crate::position::{Position, ServerKind, Start, TimeUs};
use crate::settings::{CompressMode, Connection as Limits, MaxRetries};
use crate::source::Asked;
use crate::source::backoff::Backoff;
use crate::source::endpoint::Endpoint;
use crate::source::liveness::{self, Action, Dead, Liveness};
use crate::source::v1::{Client, ConnectError, Fill, Stream, StreamError};

use super::channel::{Closed, Item, Sender};
use super::stand::Stand;
use super::stop::{Reason, Stop};

/// Most bytes of a batch. Larger ones gain nothing, smaller ones cost wake-ups.
const BATCH_BYTES: usize = 256 * 1024;

/// How long a stream must be quiet, with a ping answered meanwhile, before "no more events"
/// is believed (`--exit-when-live`, `--until`).
const QUIET: Duration = Duration::from_secs(3);

/// Failed attempts in a row, before any connection has worked, after which a run gives up by
/// default: half a minute, long enough for a network that comes up, short enough for a typo.
const FIRST_RETRIES: u32 = 8;

/// How long saying good-bye may take.
const GOOD_BYE: Duration = Duration::from_millis(200);

/// When a quiet stream means the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenQuiet {
    /// It means nothing.
    Wait,
    /// The replay is over.
    CaughtUp,
    /// Nothing at all came before this instant, and now it has passed.
    Until(TimeUs),
}

/// The reader with all that it needs.
#[derive(Debug)]
pub struct Reader {
    /// The servers, in order of preference; never empty.
    pub endpoints: Vec<Endpoint>,
    /// How to connect.
    pub client: Client,
    /// Where the run begins.
    pub start: Start,
    /// The limits of connections.
    pub limits: Limits,
    /// zstd, if it is to be asked for.
    pub dictionary: Option<Dictionary>,
    /// What to do where it can't be had.
    pub compress: CompressMode,
    /// Most events of a batch.
    pub batch_events: usize,
    /// What a quiet stream means.
    pub when_quiet: WhenQuiet,
    /// Whether a normal close is the end (`--demo`).
    pub ends_with_server: bool,
    /// Where lines go.
    pub sender: Sender,
    /// What the writer has dealt with.
    pub stand: Arc<Stand>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// When to stop, and whom to tell.
    pub stop: Stop,
}

/// Why the reader can't go on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Every server refuses for good.
    #[error("{0}")]
    Refused(ConnectError),
    /// `--max-retries` failures in a row.
    #[error("gave up after {attempts} failed attempts; the last: {last}")]
    GaveUp {
        /// How many.
        attempts: u32,
        /// The last failure, in words.
        last: String,
    },
    /// `--cursor SEQ` on a server without sequence numbers.
    #[error("{server}: {error}; use a time or unix microseconds with --cursor")]
    NoSequence {
        /// The server.
        server: Arc<str>,
        /// What was found.
        error: StreamError,
    },
    /// `--compress on` and a server with another dictionary.
    #[error(
        "{server}: {error}; name the server's dictionary with --zstd-dictionary, or use --compress off"
    )]
    Dictionary {
        /// The server.
        server: Arc<str>,
        /// What was found.
        error: StreamError,
    },
}

/// How one connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Dead(#[from] Dead),
    #[error("stopped")]
    Stopped,
}

impl From<Closed> for Ended {
    fn from(_: Closed) -> Self {
        Self::Stopped
    }
}

/// What the reader remembers between connections.
#[derive(Debug)]
struct Attempts {
    number: u64,
    endpoint: usize,
    backoff: Backoff,
    failures: u32,
    /// Servers that refuse for good, by their place in the list.
    refusing: Vec<bool>,
    /// When the first connection of a run that began at the tip was made: from then on the
    /// stream is ours, though no event may have come yet.
    live_since: Option<TimeUs>,
    /// A server that was thought to have sequence numbers and has none.
    without_seq: Vec<bool>,
    /// The server's dictionary is not ours.
    plain: bool,
    /// Whether the connection that just ended had brought an event.
    was_sound: bool,
    /// Whether any connection of the run had.
    any_success: bool,
    rng: fastrand::Rng,
}

impl Reader {
    /// Reads until it is stopped.
    ///
    /// # Errors
    /// [`ReadError`], where no server can be had.
    pub async fn run(self) -> Result<(), ReadError> {
        let mut attempts = self.first_attempt();
        loop {
            let ended = self.connect_and_read(&mut attempts).await;
            self.metrics.connected.set(0);
            if matches!(ended, Ended::Stopped) || self.stop.reason().is_some() {
                return Ok(());
            }
            if self.ends_with_server && is_end_of_recording(&ended) {
                self.stop.request(Reason::EndOfRecording);
                return Ok(());
            }
            // Whatever was received must have been dealt with before its position can say
            // where to go on. A blocked output holds us here, as it would anywhere else.
            let settled = tokio::select! {
                settled = self.sender.drained() => settled,
                () = self.stop.requested() => return Ok(()),
            };
            if settled.is_err() {
                return Ok(());
            }
            let wait = self.judge(ended, &mut attempts)?;
            self.metrics.reconnects.add(1);
            self.metrics.backoff_ms.set(wait.as_millis() as u64);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.requested() => return Ok(()),
            }
            self.metrics.backoff_ms.set(0);
        }
    }

    fn first_attempt(&self) -> Attempts {
        // The server that a saved position names comes first: only there it is exact.
        let saved = match &self.start {
            Start::Resume(resume) => Some(&resume.position.origin.server),
            _ => None,
        };
        let known = saved.and_then(|name| self.endpoints.iter().position(|e| e.label == *name));
        Attempts {
            number: 0,
            endpoint: known.unwrap_or(0),
            backoff: Backoff::new(),
            failures: 0,
            refusing: vec![false; self.endpoints.len()],
            live_since: None,
            without_seq: vec![false; self.endpoints.len()],
            plain: false,
            was_sound: false,
            any_success: false,
            rng: fastrand::Rng::new(),
        }
    }

    async fn connect_and_read(&self, attempts: &mut Attempts) -> Ended {
        let Some(endpoint) = self.endpoints.get(attempts.endpoint) else { return Ended::Stopped };
        let asked = self.asked(endpoint, attempts);
        let inflater = self.dictionary.as_ref().filter(|_| !attempts.plain);
        let inflater = match inflater.map(|d| Inflater::new(&d.bytes)).transpose() {
            Ok(inflater) => inflater,
            Err(e) => return StreamError::Dictionary(e).into(),
        };
        tracing::debug!(server = %endpoint.label, ?asked, "connecting");
        attempts.number += 1;
        attempts.was_sound = false;
        let connecting = self.client.connect(endpoint, asked, inflater, attempts.number);
        let stream = tokio::select! {
            stream = connecting => stream,
            () = self.stop.requested() => return Ended::Stopped,
        };
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(e) => return e.into(),
        };
        tracing::info!(server = %endpoint.label, ?asked, "connected");
        self.metrics.connected.set(1);
        attempts.live_since.get_or_insert_with(|| TimeUs(now_us()));
        let ended = match self.read(&mut stream).await {
            Ok(()) => Ended::Stopped,
            Err(ended) => ended,
        };
        attempts.was_sound = stream.is_proven();
        if stream.is_proven() {
            attempts.backoff.reset();
            attempts.failures = 0;
            attempts.any_success = true;
        }
        if !matches!(ended, Ended::Stream(_)) {
            stream.close(tokio::time::Instant::now() + GOOD_BYE).await;
        }
        ended
    }

    /// What to ask a server for: always from the newest position there is.
    fn asked(&self, endpoint: &Endpoint, attempts: &Attempts) -> Asked {
        let rewind_us = self.limits.rewind_us;
        let has_seq = !attempts.without_seq.get(attempts.endpoint).copied().unwrap_or(false);
        let saved = match &self.start {
            Start::Resume(resume) => Some(resume.position.clone()),
            _ => None,
        };
        match (self.stand.get().or(saved), &self.start) {
            (Some(position), _) => ask_for(&position, endpoint, rewind_us, has_seq),
            (None, Start::Live | Start::Resume(_)) => match attempts.live_since {
                None => Asked::Live,
                Some(since) => Asked::Instant(since.minus_us(rewind_us)),
            },
            (None, Start::Oldest) => Asked::Oldest,
            (None, Start::Time(instant)) => Asked::Instant(*instant),
            (None, Start::Seq(seq)) => Asked::Seq(*seq),
        }
    }

    /// Decides what an ended connection means: how long to wait, or that all is over.
    fn judge(&self, ended: Ended, attempts: &mut Attempts) -> Result<Duration, ReadError> {
        let server = self.endpoints.get(attempts.endpoint).map(|e| Arc::clone(&e.label));
        let server = server.unwrap_or_else(|| "".into());
        match ended {
            Ended::Stream(error @ StreamError::NoSequence) => {
                if self.stand.get().is_none() && matches!(self.start, Start::Seq(_)) {
                    return Err(ReadError::NoSequence { server, error });
                }
                // The server changed its kind behind its name: go on by time.
                attempts.mark(|a| &mut a.without_seq);
                tracing::warn!(%server, "{error}; going on by time");
                return Ok(Duration::ZERO);
            }
            Ended::Stream(error @ StreamError::Dictionary(_)) => {
                if self.compress == CompressMode::On {
                    return Err(ReadError::Dictionary { server, error });
                }
                attempts.plain = true;
                tracing::warn!(%server, "{error}; going on uncompressed");
                return Ok(Duration::ZERO);
            }
            Ended::Connect(error) if error.is_permanent() => {
                attempts.mark(|a| &mut a.refusing);
                if attempts.refusing.iter().all(|refuses| *refuses) {
                    return Err(ReadError::Refused(error));
                }
                self.reconnect(attempts, &error, None)
            }
            Ended::Connect(error) => {
                let retry_after = error.retry_after();
                self.reconnect(attempts, &error, retry_after)
            }
            other => self.reconnect(attempts, &other, None),
        }
    }

    fn reconnect(
        &self,
        attempts: &mut Attempts,
        why: &dyn std::fmt::Display,
        retry_after: Option<Duration>,
    ) -> Result<Duration, ReadError> {
        attempts.failures += 1;
        let most = match self.limits.max_retries {
            MaxRetries::Limit(most) => most,
            MaxRetries::OnceConnected if !attempts.any_success => {
                FIRST_RETRIES.max(self.endpoints.len() as u32)
            }
            MaxRetries::OnceConnected | MaxRetries::Unlimited => u32::MAX,
        };
        if attempts.failures > most {
            return Err(ReadError::GaveUp { attempts: attempts.failures, last: why.to_string() });
        }
        let from = attempts.endpoint;
        // A server that worked a moment ago gets the first chance: only there the resume is
        // exact to the event.
        if !attempts.was_sound {
            attempts.next_endpoint();
        }
        let next = self.endpoints.get(attempts.endpoint).map_or("", |e| &e.label);
        if let Some(wait) = retry_after
            && attempts.endpoint == from
        {
            attempts.backoff.at_least(wait);
        }
        let wait = attempts.backoff.next(&mut attempts.rng);
        tracing::warn!("{why}; connecting to {next} in {:.1} s", wait.as_secs_f64());
        Ok(wait)
    }

    /// Reads one connection into the channel until either ends.
    async fn read(&self, stream: &mut Stream) -> Result<(), Ended> {
        let limits = liveness::Limits {
            ping_after: self.limits.ping_after,
            pong_timeout: self.limits.pong_timeout,
            stall_timeout: self.limits.stall_timeout,
        };
        let mut alive = Liveness::new(limits, Instant::now());
        let mut quiet = Quiet::default();
        let mut tick = tokio::time::interval(Liveness::interval(&limits).min(QUIET / 3));
        let mut batch = self.empty_batch();
        loop {
            let filled = tokio::select! {
                biased;
                () = self.stop.requested() => Err(Ended::Stopped),
                filled = stream.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    filled.map_err(Ended::from)
                }
                _ = tick.tick() => {
                    match alive.check(Instant::now(), stream.messages(), stream.events()) {
                        Action::Wait => {}
                        Action::Ping => stream.ping(),
                        Action::GiveUp(dead) => return Err(dead.into()),
                    }
                    if let Some(reason) = quiet.check(self.when_quiet, &alive, stream) {
                        self.stop.request(reason);
                    }
                    continue;
                }
            };
            if !batch.is_empty() {
                batch = self.hand_over(batch, stream, &mut alive).await?;
            }
            match filled {
                Ok(Fill::Full | Fill::Dry) => {}
                Err(ended) => return Err(ended),
            }
        }
    }

    async fn hand_over(
        &self,
        batch: Batch,
        stream: &Stream,
        alive: &mut Liveness,
    ) -> Result<Batch, Ended> {
        let waiting = Instant::now();
        tokio::select! {
            biased;
            ready = self.sender.ready(&batch) => ready?,
            // What is left in our hand is read again by the next run.
            () = self.stop.requested() => return Err(Ended::Stopped),
        }
        if waiting.elapsed() > Duration::from_millis(100) {
            alive.excuse(Instant::now());
        }
        self.sender.send(Item { batch, connection: stream.connection() })?;
        Ok(self.empty_batch())
    }

    fn empty_batch(&self) -> Batch {
        self.sender.take_spare().unwrap_or_default()
    }
}

impl Attempts {
    fn mark(&mut self, list: impl Fn(&mut Self) -> &mut Vec<bool>) {
        let endpoint = self.endpoint;
        if let Some(flag) = list(self).get_mut(endpoint) {
            *flag = true;
        }
    }

    /// Moves on to the next server that has not refused for good.
    fn next_endpoint(&mut self) {
        let count = self.refusing.len();
        let next = (1..=count).map(|step| (self.endpoint + step) % count);
        let usable = |i: &usize| !self.refusing.get(*i).copied().unwrap_or(true);
        self.endpoint = next.clone().find(usable).unwrap_or(self.endpoint);
    }
}

/// A resume: exactly on the server that the position is from, by instant on any other.
fn ask_for(position: &Position, endpoint: &Endpoint, rewind_us: u64, has_seq: bool) -> Asked {
    let is_same = position.origin.server == endpoint.label;
    match (position.origin.kind, position.rewind_to.seq) {
        (ServerKind::V2, Some(seq)) if is_same && has_seq => Asked::Seq(seq),
        (ServerKind::Legacy, _) if is_same => Asked::Instant(position.rewind_to.time),
        _ => Asked::Instant(position.latest_time.minus_us(rewind_us)),
    }
}

fn is_end_of_recording(ended: &Ended) -> bool {
    matches!(ended, Ended::Stream(StreamError::Closed { code: Some(1000), .. }))
}

/// Proof that nothing more is coming for now: quiet for a while, and a ping answered since.
#[derive(Debug, Default)]
struct Quiet {
    /// Events and answers to pings when we asked.
    asked_at: Option<(u64, u64)>,
}

impl Quiet {
    fn check(&mut self, when: WhenQuiet, alive: &Liveness, stream: &mut Stream) -> Option<Reason> {
        let reason = match when {
            WhenQuiet::Wait => return None,
            WhenQuiet::CaughtUp => Reason::CaughtUp,
            WhenQuiet::Until(until) if now_us() > until.0 => Reason::Until,
            WhenQuiet::Until(_) => return None,
        };
        match self.asked_at {
            Some((events, pongs)) if events == stream.events() => {
                (stream.pongs() > pongs).then_some(reason)
            }
            _ => {
                self.asked_at = None;
                if alive.quiet_for(Instant::now()) >= QUIET {
                    self.asked_at = Some((stream.events(), stream.pongs()));
                    stream.ping();
                }
                None
            }
        }
    }
}
