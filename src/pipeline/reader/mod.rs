//! The reader: one task that owns the connection. Dials, reads batches into the channel,
//! proves the connection alive, and after every end asks for what is missing, on this server
//! or the next.

mod attempts;
mod behind;
mod beyond;
mod ended;
mod history;
mod horizon;
mod join;
mod pace;
mod prefer;
mod quiet;
mod rewind;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::display::units::counted;
use crate::event::batch::Batch;
use crate::metrics::{Metrics, now_us};
use crate::position::{ServerKind, Start, TimeUs};
use crate::settings::{Archive, CompressMode, Connection as Limits};
use crate::source::archive::SweepError;
use crate::source::client::{Client, ConnectError, Wish};
use crate::source::endpoint::Endpoint;
use crate::source::liveness::{self, Action, Liveness};
use crate::source::protocol::Protocol;
use crate::source::stream::{Fill, Stream, StreamError};
use crate::source::{Asked, Connection};

use super::channel::{BATCH_BYTES, Item, Sender};
use super::desk::Desk;
use super::stand::Stand;
use super::stop::{Reason, Stop};

use attempts::Attempts;
use behind::Behind;
use ended::Ended;
use horizon::Horizon;
pub use quiet::WhenQuiet;
use quiet::{QUIET, Scan};

/// How long saying good-bye may take.
const GOOD_BYE: Duration = Duration::from_millis(200);

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
    /// What lies before a server's live window.
    pub archive: Archive,
    /// What to do where zstd can't be had.
    pub compress: CompressMode,
    /// Most events of a batch.
    pub batch_events: usize,
    /// What a quiet stream means.
    pub when_quiet: WhenQuiet,
    /// Whether a normal close is the end (`--demo`).
    pub ends_with_server: bool,
    /// Where lines go.
    pub sender: Sender,
    /// Who writes them, if it has the time.
    pub desk: Arc<Desk>,
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
    #[error("gave up after {}; the last: {last}", counted((*attempts).into(), "failed attempt"))]
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
    /// `--protocol v2` on a server that speaks something else.
    #[error("{server}: {error}")]
    NotV2 {
        /// The server.
        server: Arc<str>,
        /// What was found.
        error: StreamError,
    },
    /// A key was given, and the archive can't be used with it.
    #[error(
        "{server}: the archive can't be used, though a key for it was given: {error}; check the key, or leave it out to go on without the archive"
    )]
    Archive {
        /// The server.
        server: Arc<str>,
        /// What it said.
        error: Box<SweepError>,
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
            self.metrics.backoff_ms.set(wait.as_millis() as u64);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.requested() => return Ok(()),
            }
            self.metrics.backoff_ms.set(0);
        }
    }

    async fn connect_and_read(&self, attempts: &mut Attempts) -> Ended {
        let Some(endpoint) = self.endpoints.get(attempts.endpoint) else { return Ended::Stopped };
        let asked = attempts.within_the_window(self.asked(endpoint, attempts));
        let asked = attempts.after_scan(asked);
        attempts.asked = asked;
        attempts.was_sound = false;
        self.metrics.server.set(attempts.endpoint as u64 + 1);
        let ended = match self.beginning_in_archive(endpoint, asked, attempts) {
            Some(beginning) => self.sweep(endpoint, beginning, attempts).await,
            None if self.needs_join(asked, attempts) => self.join(endpoint, asked, attempts).await,
            None => self.single(endpoint, asked, attempts).await,
        };
        match ended {
            Ok(()) => Ended::Stopped,
            Err(ended) => ended,
        }
    }

    /// One connection from `asked` on.
    async fn single(
        &self,
        endpoint: &Endpoint,
        asked: Asked,
        attempts: &mut Attempts,
    ) -> Result<(), Ended> {
        attempts.tip = None;
        // A legacy server that is met for the first time is asked once more, with a join.
        let is_new = attempts.known_kind().is_none();
        let horizon = (is_new && self.may_need_join(asked)).then_some(Horizon::NEAREST);
        self.replay_alone(endpoint, asked, horizon, attempts).await
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        asked: Asked,
        attempts: &mut Attempts,
    ) -> Result<Stream, Ended> {
        tracing::debug!(server = %endpoint.label, %asked, "connecting");
        attempts.number += 1;
        let (is_plain, number) = (attempts.plain, attempts.number);
        let is_given = matches!(self.start, Start::Seq(_)) && self.stand.get().is_none();
        let keeps_seq = is_given && matches!(asked, Asked::Seq(_));
        let wish = Wish { endpoint, asked, is_plain, number, keeps_seq };
        let connecting = self.client.connect(wish);
        let stream = tokio::select! {
            stream = connecting => stream.map_err(Ended::of_connecting)?,
            () = self.stop.requested() => return Err(Ended::Stopped),
        };
        if stream.protocol() == Protocol::V2 {
            // Only one kind of server speaks it.
            attempts.know(ServerKind::V2);
        }
        self.metrics.connected.set(1);
        attempts.live_since.get_or_insert_with(|| TimeUs(now_us()));
        Ok(stream)
    }

    /// Draws the consequences of a connection that has ended, and says good-bye where the
    /// server is still there.
    async fn part(&self, stream: &mut Stream, attempts: &mut Attempts, ended: Option<&Ended>) {
        if let Some(kind) = stream.kind() {
            attempts.was_sound = true;
            attempts.backoff.reset();
            attempts.failures = 0;
            attempts.any_success = true;
            attempts.know(kind);
        }
        if !matches!(ended, Some(Ended::Stream(_))) {
            stream.close(tokio::time::Instant::now() + GOOD_BYE).await;
        }
    }

    /// Reads one connection into the channel until either ends, or up to the horizon.
    async fn read(
        &self,
        stream: &mut Stream,
        horizon: Option<Horizon>,
        attempts: &Attempts,
    ) -> Result<(), Ended> {
        let mut alive = Liveness::new(self.limits_here(attempts), Instant::now());
        let ended = self.read_while(&mut alive, stream, horizon, attempts).await;
        if let Some(pace) = attempts.paces.get(attempts.endpoint) {
            pace.learn(&alive);
        }
        ended
    }

    async fn read_while(
        &self,
        alive: &mut Liveness,
        stream: &mut Stream,
        horizon: Option<Horizon>,
        attempts: &Attempts,
    ) -> Result<(), Ended> {
        let limits = self.limits_here(attempts);
        let mut behind = Behind::default();
        let mut refused = pin!(self.stand.numbers_refused(stream.number()));
        let mut first_is_well = pin!(self.first_is_well(attempts.endpoint));
        let mut scan = Scan::new(stream, Instant::now());
        let mut is_clamped = false;
        let mut tick = tokio::time::interval(Liveness::interval(&limits).min(QUIET / 3));
        let mut batch = self.sender.empty_batch();
        loop {
            let filled = tokio::select! {
                biased;
                () = self.stop.requested() => Err(Ended::Stopped),
                // In front of the reading: a peer that sends without a pause would use up the
                // task's turn each time, and nobody would look at the clock.
                _ = tick.tick() => {
                    match alive.check(Instant::now(), stream.messages(), stream.events()) {
                        Action::Wait => {}
                        Action::Ping => stream.ping(),
                        Action::GiveUp(dead) => return Err(dead.into()),
                    }
                    let may_be_quiet = alive.stall_limit().unwrap_or_default();
                    self.metrics.stall_limit_ms.set(may_be_quiet.as_millis() as u64);
                    let early = self.stand.early();
                    if behind.look(Instant::now(), early) {
                        self.is_behind(stream, early)?;
                    }
                    let (scan, tip) = (&mut scan, attempts.tip);
                    if let Some(ended) = self.look_at_silence(scan, alive, stream, horizon, tip) {
                        return Err(ended);
                    }
                    continue;
                }
                () = &mut refused => return Err(Ended::Renumbered),
                () = &mut first_is_well => return Err(Ended::PreferFirst),
                filled = stream.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    filled.map_err(Ended::from)
                }
            };
            if stream.is_clamped() && !std::mem::replace(&mut is_clamped, true) {
                self.is_beyond(stream, attempts)?;
            }
            if horizon.is_some() || stream.is_filtered() {
                scan.note(stream, &batch);
            }
            let reached = horizon.is_some_and(|horizon| horizon.cut(&mut batch, stream.kind()));
            self.strip(stream, &mut scan, &mut batch);
            if !batch.is_empty() {
                batch = self.hand_over(batch, stream.connection(), alive).await?;
            }
            if reached {
                let limit = horizon.and_then(Horizon::limit);
                let limit = limit.filter(|limit| scan.has_reached(*limit));
                return Err(limit.map_or(Ended::Horizon, Ended::Scanned));
            }
            match filled {
                Ok(Fill::Full | Fill::Dry) => {}
                Err(ended) => return Err(ended),
            }
        }
    }

    /// A server that lags is left for another, and waited for where there is none: what it
    /// sends until it has caught up was written already.
    fn is_behind(&self, stream: &Stream, newest: Option<TimeUs>) -> Result<(), Ended> {
        let newest = newest.unwrap_or_default();
        if self.endpoints.len() > 1 {
            return Err(Ended::Behind(newest));
        }
        tracing::warn!(
            server = %stream.connection().origin.server,
            "the server lags behind what was printed last: its newest event is of {newest}; nothing of it is printed until it has caught up"
        );
        Ok(())
    }

    fn liveness_limits(&self) -> liveness::Limits {
        liveness::Limits {
            ping_after: self.limits.ping_after,
            pong_timeout: self.limits.pong_timeout,
            stall_timeout: self.limits.stall_timeout,
            longest_quiet: Duration::ZERO,
        }
    }

    async fn hand_over(
        &self,
        batch: Batch,
        connection: Arc<Connection>,
        alive: &mut Liveness,
    ) -> Result<Batch, Ended> {
        if let Some(turn) = self.desk.turn(&self.sender, batch.held_bytes()) {
            return Ok(turn.write(Item::lines(batch, connection)));
        }
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
        self.sender.send(Item::lines(batch, connection))?;
        Ok(self.sender.empty_batch())
    }
}

fn is_end_of_recording(ended: &Ended) -> bool {
    matches!(ended, Ended::Stream(StreamError::Closed { code: Some(1000), .. }))
}
