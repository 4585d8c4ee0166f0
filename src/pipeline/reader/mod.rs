//! The reader: one task that owns the connection.
//!
//! It connects, reads batches into the channel (`read`), checks that the connection is alive,
//! and after each disconnect decides what to ask which server for (`next_action`, `retry`).
//! `join`, `replay_limit` and `idle` work around what legacy servers lose, `backfill` reads the
//! archive of a v2 server.

mod archive_choice;
mod backfill;
mod disconnect;
mod endpoint_state;
mod failback;
mod filter_change;
mod history;
mod idle;
mod join;
mod lag;
mod loss;
mod next_action;
mod read;
mod replay_limit;
mod retention;
mod retry;
mod rewind;
mod side;
mod silence;
mod unreachable;
mod work_budget;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::display::units::counted;
use crate::metrics::{Metrics, now_us};
use crate::position::{ServerKind, StartPosition, TimeUs};
use crate::settings::{Archive, CompressMode, Connection as Limits};
use crate::source::RequestedCursor;
use crate::source::archive::BackfillError;
use crate::source::client::{Client, ConnectError, ConnectRequest};
use crate::source::connection::{EventConnection, StreamError};
use crate::source::endpoint::Endpoint;
use crate::source::protocol::Protocol;

use super::channel::Sender;
use super::feedback::WriterFeedback;
use super::filter_updates::FilterUpdates;
use super::handoff::inline_writer::SharedWriter;
use super::history::History;
use super::shutdown::{Shutdown, StopReason};
use super::side_lists::SideLists;
use super::when_woken::WhenWoken;
use super::writer::Writer;

use disconnect::Disconnect;
pub use idle::OnIdle;
use replay_limit::ReplayLimit;
use retry::RetryState;
pub use side::SideState;

/// How long the closing handshake of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// The reader of one run.
#[derive(Debug)]
pub struct Reader {
    /// The servers in order of preference; never empty.
    pub endpoints: Vec<Endpoint>,
    /// Connects to a server.
    pub client: Client,
    /// Where the run starts.
    pub start: StartPosition,
    /// Lines to pass on before the first connection.
    pub history: Option<History>,
    /// The settings of connections.
    pub limits: Limits,
    /// Whether and how to read archives.
    pub archive: Archive,
    /// `--until`: no later history is planned.
    pub until: Option<TimeUs>,
    /// Whether a connection without zstd is an error.
    pub compress: CompressMode,
    /// Most events of a batch.
    pub batch_events: usize,
    /// What a stream without further events means.
    pub on_idle: OnIdle,
    /// Whether a normal close ends the run (`--demo`).
    pub ends_with_server: bool,
    /// Whether it reads the second server of a comparison, which the log lines then say.
    pub is_witness: bool,
    /// The way to the writer thread.
    pub sender: Sender,
    /// The writer, for inline writes; `None` if all batches go through the channel.
    pub writer: Option<Arc<SharedWriter<Writer>>>,
    /// What the writer reports.
    pub feedback: Arc<WriterFeedback>,
    /// The filters to change to.
    pub filters: FilterUpdates,
    /// The lists of `--backfill-new`; `None` without it.
    pub side: Option<Arc<SideLists>>,
    /// How far the history of what the lists gained is.
    pub side_state: SideState,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
    /// Stops the run.
    pub stop: Shutdown,
}

/// Why the reader gave up.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Every server refuses for good.
    #[error("{0}")]
    Refused(ConnectError),
    /// `--max-retries` failures in a row.
    #[error("gave up after {}; the last: {last}", counted((*attempts).into(), "failed attempt"))]
    GaveUp {
        /// The number of failed attempts.
        attempts: u32,
        /// The last failure.
        last: String,
    },
    /// `--cursor SEQ` on a server without sequence numbers.
    #[error("{server}: {error}; use a time or unix microseconds with --cursor")]
    NoSequence {
        /// The server.
        server: Arc<str>,
        /// What the connection ended with.
        error: StreamError,
    },
    /// `--protocol v2` on a server that speaks something else.
    #[error("{server}: {error}")]
    NotV2 {
        /// The server.
        server: Arc<str>,
        /// What the connection ended with.
        error: StreamError,
    },
    /// The archive can't be used with the key that the user gave.
    #[error(
        "{server}: the archive can't be used, though a key for it was given: {error}; check the key, or leave it out to continue without the archive"
    )]
    Archive {
        /// The server.
        server: Arc<str>,
        /// The archive's error.
        error: Box<BackfillError>,
    },
    /// A stripe can't be read from the archive, and the live stream is no part of it.
    #[error("{server}: --archive-stripe reads the archive alone, and that can't be used: {error}")]
    Stripe {
        /// The server.
        server: Arc<str>,
        /// What the archive's error is.
        error: String,
    },
    /// `--compress on` and a server with another dictionary.
    #[error(
        "{server}: {error}; name the server's dictionary with --zstd-dictionary, or use --compress off"
    )]
    Dictionary {
        /// The server.
        server: Arc<str>,
        /// What the connection ended with.
        error: StreamError,
    },
}

impl ReadError {
    /// Converts a disconnect that ends the run.
    fn new(server: Arc<str>, disconnect: Disconnect) -> Self {
        match disconnect {
            Disconnect::Connect(error) => Self::Refused(error),
            Disconnect::Stream(error) => match error {
                StreamError::NoSequence => Self::NoSequence { server, error },
                StreamError::Dictionary(_) => Self::Dictionary { server, error },
                _ => Self::NotV2 { server, error },
            },
            other => Self::GaveUp { attempts: 1, last: other.to_string() },
        }
    }
}

impl Reader {
    /// Reads until the run stops.
    ///
    /// # Errors
    /// [`ReadError`] if no server can be read.
    pub async fn run(mut self) -> Result<(), ReadError> {
        let history = self.history.take();
        let mut side = pin!(self.run_side());
        tokio::select! {
            biased;
            result = self.run_stream(history) => result,
            () = WhenWoken::new(side.as_mut()) => Ok(()),
        }
    }

    async fn run_stream(&self, history: Option<History>) -> Result<(), ReadError> {
        if let Some(history) = history {
            self.forward_history(history).await;
            if self.stop.reason().is_some() {
                return Ok(());
            }
        }
        let mut retry = self.initial_retry_state();
        loop {
            if self.change_between(&mut retry).await.is_err() {
                return Ok(());
            }
            let disconnect = self.connect_and_read(&mut retry).await;
            self.metrics.connected.set(0);
            self.feedback.clear_leave();
            if matches!(disconnect, Disconnect::Stopped) || self.stop.reason().is_some() {
                return Ok(());
            }
            if self.ends_with_server && is_end_of_recording(&disconnect) {
                self.stop.request(StopReason::EndOfRecording);
                return Ok(());
            }
            // The position says where to resume only after everything received is written. A
            // blocked output holds the reader here, as it does elsewhere.
            let drained = tokio::select! {
                drained = self.sender.drained() => drained,
                () = self.stop.requested() => return Ok(()),
            };
            if drained.is_err() {
                return Ok(());
            }
            let wait = self.classify_disconnect(disconnect, &mut retry)?;
            self.metrics.backoff_ms.set(wait.as_millis() as u64);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.requested() => return Ok(()),
            }
            self.metrics.backoff_ms.set(0);
        }
    }

    async fn connect_and_read(&self, retry: &mut RetryState) -> Disconnect {
        let Some(endpoint) = self.endpoints.get(retry.current) else {
            return Disconnect::Stopped;
        };
        retry.was_sound = false;
        self.metrics.server.set(retry.current as u64 + 1);
        if let Some(ended) = self.read_switched(endpoint, retry).await {
            return ended.err().unwrap_or(Disconnect::Stopped);
        }
        let requested = retry.within_retention(self.requested_cursor(endpoint, retry));
        let requested = retry.after_scan(requested);
        retry.requested = requested;
        let ended = match self.backfill_start(endpoint, requested, retry) {
            Some(beginning) => self.backfill(endpoint, beginning, retry).await,
            None if self.needs_join(requested, retry) => {
                self.join(endpoint, requested, retry).await
            }
            None => self.read_from(endpoint, requested, retry).await,
        };
        match ended {
            Ok(()) => Disconnect::Stopped,
            Err(disconnect) => disconnect,
        }
    }

    /// Reads one connection from `requested` on, without a join.
    async fn read_from(
        &self,
        endpoint: &Endpoint,
        requested: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        retry.tip = None;
        // If this server turns out to be a legacy one, it is asked again, with a join.
        let is_new = retry.known_kind().is_none();
        let limit = (is_new && self.may_need_join(requested)).then_some(ReplayLimit::UNTRUSTED);
        self.replay_alone(endpoint, requested, limit, retry).await
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        cursor: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<EventConnection, Disconnect> {
        tracing::debug!(server = %endpoint.label, asked = %cursor, "connecting");
        retry.number += 1;
        let is_given = matches!(self.start, StartPosition::Seq(_)) && self.feedback.get().is_none();
        let connecting = self.client.connect(ConnectRequest {
            endpoint,
            cursor,
            uncompressed: retry.compression_disabled,
            number: retry.number,
            requires_seq: is_given && matches!(cursor, RequestedCursor::Seq(_)),
        });
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

    /// Records the result of a finished connection, and sends a close frame if the server is
    /// still connected.
    async fn on_disconnect(
        &self,
        stream: &mut EventConnection,
        retry: &mut RetryState,
        disconnect: Option<&Disconnect>,
    ) {
        if let Some(kind) = stream.kind() {
            retry.on_event(kind);
        }
        if !matches!(disconnect, Some(Disconnect::Stream(_))) {
            stream.close(tokio::time::Instant::now() + CLOSE_TIMEOUT).await;
        }
    }
}

fn is_end_of_recording(disconnect: &Disconnect) -> bool {
    matches!(disconnect, Disconnect::Stream(StreamError::Closed { code: Some(1000), .. }))
}
