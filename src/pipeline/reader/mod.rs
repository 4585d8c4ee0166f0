//! The reader: one task that owns the connection. Dials, reads batches into the channel,
//! proves the connection alive, and after every end asks for what is missing, on this server
//! or the next.

mod backfill;
mod disconnect;
mod failback;
mod idle;
mod join;
mod lag;
mod replay_limit;
mod retention;
mod retry;
mod rewind;
mod silence;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::display::units::counted;
use crate::event::batch::Batch;
use crate::metrics::{Metrics, now_us};
use crate::position::{ServerKind, StartPosition, TimeUs};
use crate::settings::{Archive, CompressMode, Connection as Limits};
use crate::source::archive::SweepError;
use crate::source::client::{Client, ConnectError, ConnectRequest};
use crate::source::connection::{EventConnection, Fill, StreamError};
use crate::source::endpoint::Endpoint;
use crate::source::liveness::{self, Action, Liveness};
use crate::source::protocol::Protocol;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::channel::{BATCH_BYTES, Item, Sender};
use super::feedback::WriterFeedback;
use super::inline_writer::SharedWriter;
use super::shutdown::{Shutdown, StopReason};

use disconnect::Disconnect;
pub use idle::OnIdle;
use idle::{IDLE_AFTER, Scan};
use lag::LagDetector;
use replay_limit::ReplayLimit;
use retry::RetryState;

/// How long saying good-bye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// The reader with all that it needs.
#[derive(Debug)]
pub struct Reader {
    /// The servers, in order of preference; never empty.
    pub endpoints: Vec<Endpoint>,
    /// How to connect.
    pub client: Client,
    /// Where the run begins.
    pub start: StartPosition,
    /// The limits of connections.
    pub limits: Limits,
    /// What lies before a server's live window.
    pub archive: Archive,
    /// What to do where zstd can't be had.
    pub compress: CompressMode,
    /// Most events of a batch.
    pub batch_events: usize,
    /// What a quiet stream means.
    pub on_idle: OnIdle,
    /// Whether a normal close is the end (`--demo`).
    pub ends_with_server: bool,
    /// Where lines go.
    pub sender: Sender,
    /// Who writes them, if it has the time.
    pub shared_writer: Arc<SharedWriter>,
    /// What the writer has dealt with.
    pub feedback: Arc<WriterFeedback>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// When to stop, and whom to tell.
    pub stop: Shutdown,
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
        let mut retry = self.initial_retry_state();
        loop {
            let ended = self.connect_and_read(&mut retry).await;
            self.metrics.connected.set(0);
            if matches!(ended, Disconnect::Stopped) || self.stop.reason().is_some() {
                return Ok(());
            }
            if self.ends_with_server && is_end_of_recording(&ended) {
                self.stop.request(StopReason::EndOfRecording);
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
            let wait = self.classify_disconnect(ended, &mut retry)?;
            self.metrics.backoff_ms.set(wait.as_millis() as u64);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.requested() => return Ok(()),
            }
            self.metrics.backoff_ms.set(0);
        }
    }

    async fn connect_and_read(&self, retry: &mut RetryState) -> Disconnect {
        let Some(endpoint) = self.endpoints.get(retry.endpoint) else { return Disconnect::Stopped };
        let asked = retry.within_retention(self.asked(endpoint, retry));
        let asked = retry.after_scan(asked);
        retry.asked = asked;
        retry.was_sound = false;
        self.metrics.server.set(retry.endpoint as u64 + 1);
        let ended = match self.backfill_start(endpoint, asked, retry) {
            Some(beginning) => self.backfill(endpoint, beginning, retry).await,
            None if self.needs_join(asked, retry) => self.join(endpoint, asked, retry).await,
            None => self.single(endpoint, asked, retry).await,
        };
        match ended {
            Ok(()) => Disconnect::Stopped,
            Err(ended) => ended,
        }
    }

    /// One connection from `asked` on.
    async fn single(
        &self,
        endpoint: &Endpoint,
        asked: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        retry.tip = None;
        // A legacy server that is met for the first time is asked once more, with a join.
        let is_new = retry.known_kind().is_none();
        let replay_limit = (is_new && self.may_need_join(asked)).then_some(ReplayLimit::UNTRUSTED);
        self.replay_alone(endpoint, asked, replay_limit, retry).await
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        asked: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<EventConnection, Disconnect> {
        tracing::debug!(server = %endpoint.label, %asked, "connecting");
        retry.number += 1;
        let (is_plain, number) = (retry.plain, retry.number);
        let is_given = matches!(self.start, StartPosition::Seq(_)) && self.feedback.get().is_none();
        let keeps_seq = is_given && matches!(asked, RequestedCursor::Seq(_));
        let wish = ConnectRequest {
            endpoint,
            cursor: asked,
            uncompressed: is_plain,
            number,
            requires_seq: keeps_seq,
        };
        let connecting = self.client.connect(wish);
        let stream = tokio::select! {
            stream = connecting => stream.map_err(Disconnect::from_connect)?,
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        };
        if stream.protocol() == Protocol::V2 {
            // Only one kind of server speaks it.
            retry.set_kind(ServerKind::V2);
        }
        self.metrics.connected.set(1);
        retry.live_since.get_or_insert_with(|| TimeUs(now_us()));
        Ok(stream)
    }

    /// Draws the consequences of a connection that has ended, and says good-bye where the
    /// server is still there.
    async fn on_disconnect(
        &self,
        stream: &mut EventConnection,
        retry: &mut RetryState,
        ended: Option<&Disconnect>,
    ) {
        if let Some(kind) = stream.kind() {
            retry.was_sound = true;
            retry.backoff.reset();
            retry.failures = 0;
            retry.any_success = true;
            retry.set_kind(kind);
        }
        if !matches!(ended, Some(Disconnect::Stream(_))) {
            stream.close(tokio::time::Instant::now() + CLOSE_TIMEOUT).await;
        }
    }

    /// Reads one connection into the channel until either ends, or up to the horizon.
    async fn read(
        &self,
        stream: &mut EventConnection,
        replay_limit: Option<ReplayLimit>,
        retry: &RetryState,
    ) -> Result<(), Disconnect> {
        let mut alive = Liveness::new(self.limits_here(retry), Instant::now());
        let ended = self.read_while(&mut alive, stream, replay_limit, retry).await;
        if let Some(pace) = retry.silences.get(retry.endpoint) {
            pace.learn(&alive);
        }
        ended
    }

    async fn read_while(
        &self,
        alive: &mut Liveness,
        stream: &mut EventConnection,
        replay_limit: Option<ReplayLimit>,
        retry: &RetryState,
    ) -> Result<(), Disconnect> {
        let limits = self.limits_here(retry);
        let mut lag = LagDetector::default();
        let mut refused = pin!(self.feedback.numbers_refused(stream.number()));
        let mut primary_recovered = pin!(self.primary_recovered(retry.endpoint));
        let mut scan = Scan::new(stream, Instant::now());
        let mut is_clamped = false;
        let mut tick = tokio::time::interval(Liveness::interval(&limits).min(IDLE_AFTER / 3));
        let mut batch = self.sender.empty_batch();
        loop {
            let filled = tokio::select! {
                biased;
                () = self.stop.requested() => Err(Disconnect::Stopped),
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
                    let early = self.feedback.early();
                    if lag.observe(Instant::now(), early) {
                        self.on_lag(stream, early)?;
                    }
                    let (scan, tip) = (&mut scan, retry.tip);
                    if let Some(ended) = self.check_idle(scan, alive, stream, replay_limit, tip) {
                        return Err(ended);
                    }
                    continue;
                }
                () = &mut refused => return Err(Disconnect::Renumbered),
                () = &mut primary_recovered => return Err(Disconnect::PrimaryRecovered),
                filled = stream.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    filled.map_err(Disconnect::from)
                }
            };
            if stream.is_clamped() && !std::mem::replace(&mut is_clamped, true) {
                self.on_cursor_clamped(stream, retry)?;
            }
            if replay_limit.is_some() || stream.is_filtered() {
                scan.note(stream, &batch);
            }
            let reached = replay_limit
                .is_some_and(|replay_limit| replay_limit.cut(&mut batch, stream.kind()));
            self.strip(stream, &mut scan, &mut batch);
            if !batch.is_empty() {
                batch = self.forward(batch, stream.info(), alive).await?;
            }
            if reached {
                let limit = replay_limit.and_then(ReplayLimit::limit);
                let limit = limit.filter(|limit| scan.has_reached(*limit));
                return Err(limit.map_or(Disconnect::ReplayLimit, Disconnect::ScannedTo));
            }
            match filled {
                Ok(Fill::Full | Fill::WouldBlock) => {}
                Err(ended) => return Err(ended),
            }
        }
    }

    /// A server that lags is left for another, and waited for where there is none: what it
    /// sends until it has caught up was written already.
    fn on_lag(&self, stream: &EventConnection, newest: Option<TimeUs>) -> Result<(), Disconnect> {
        let newest = newest.unwrap_or_default();
        if self.endpoints.len() > 1 {
            return Err(Disconnect::Lagging(newest));
        }
        tracing::warn!(
            server = %stream.info().origin.server,
            "the server lags behind what was printed last: its newest event is of {newest}; nothing of it is printed until it has caught up"
        );
        Ok(())
    }

    fn liveness_limits(&self) -> liveness::LivenessLimits {
        liveness::LivenessLimits {
            ping_after: self.limits.ping_after,
            pong_timeout: self.limits.pong_timeout,
            stall_timeout: self.limits.stall_timeout,
            longest_silence: Duration::ZERO,
        }
    }

    async fn forward(
        &self,
        batch: Batch,
        connection: Arc<ConnectionInfo>,
        alive: &mut Liveness,
    ) -> Result<Batch, Disconnect> {
        if let Some(turn) = self.shared_writer.try_inline(&self.sender, batch.held_bytes()) {
            return Ok(turn.write(Item::lines(batch, connection)));
        }
        let waiting = Instant::now();
        tokio::select! {
            biased;
            ready = self.sender.ready(&batch) => ready?,
            // What is left in our hand is read again by the next run.
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        }
        if waiting.elapsed() > Duration::from_millis(100) {
            alive.reset_timers(Instant::now());
        }
        self.sender.send(Item::lines(batch, connection))?;
        Ok(self.sender.empty_batch())
    }
}

fn is_end_of_recording(ended: &Disconnect) -> bool {
    matches!(ended, Disconnect::Stream(StreamError::Closed { code: Some(1000), .. }))
}
