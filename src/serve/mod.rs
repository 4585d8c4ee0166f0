//! A Jetstream server for recordings: people test their consumers with it, `tail --demo`
//! runs on it, and so do our own tests.
//!
//! It imitates either of the two servers that speak v1, in every difference that
//! protocol/jetstream-v1.md lists; where this room says "§", it means a section of that
//! document. As a v2 server it has the v2 stream beside it (`v2`; "v2 §" means
//! protocol/jetstream-v2.md) and the archive (`archive`).
//!
//! It shares no code with `source`, so that one misreading can't hide in both. Segments are
//! written by the room that readers use as well: golden files hold that one to the format.
//!
//! ```text
//! recording ─▶ stamps (times, seqs) ─▶ timeline (playhead) ─▶ feed ─▶ connection ─▶ socket
//!                                                              └ cutover (legacy's losses)
//! ```
//!
//! `chaos` decides what goes wrong on purpose, in stamps, timeline and connection.
//!
//! Not imitated: legacy's limit of 5 000 events/s per client address (only one for each
//! connection, on request), v2's slow-reader rule
//! (100 000 events behind for a minute; `chaos` can claim it), and permessage-deflate (declined).

mod archive;
mod chaos;
mod connection;
mod cursor;
mod cutover;
pub mod demo;
mod dictionary;
mod feed;
mod file_response;
mod filter;
mod handshake;
mod head;
mod query;
mod rate;
mod recording;
mod request;
mod response;
mod rounds;
mod stamp_fields;
mod stamps;
mod step;
mod subscription;
mod timeline;
mod v2;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use archive::ApiKey;
pub use chaos::{ChaosError, ChaosSpec, Fault, Odds};
pub use dictionary::train;
pub use rate::{Rate, RateError};
pub use recording::{LineError, MAX_RECORDING_BYTES, Recording, RecordingError, TornLine};
pub use stamps::StampError;
pub use timeline::DEFAULT_SEGMENT_EVENTS;
pub use v2::message as v2_message;

use crate::compression;
use crate::position::ServerKind;
use archive::{Archive, SegmentCache};
use chaos::Chaos;
use dictionary::{Dictionaries, Dictionary};
use response::Response;
use stamps::Stamps;
use timeline::Timeline;

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 1_024;
/// Most connections that are being told that there are too many.
const MAX_REFUSALS: usize = 64;
/// Events in a block of the archive where nothing else is asked for: ten blocks in a segment.
pub const DEFAULT_BLOCK_EVENTS: usize = 1_000;
/// How long connections may take to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause after the system refused to accept a connection, most often for want of file
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What to serve, and how.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Which server to imitate. `None`: v2 where the recording's first event has a `cursor`,
    /// else legacy.
    pub kind: Option<ServerKind>,
    /// How fast events happen.
    pub rate: Rate,
    /// Whether the recording starts again at its end. A looped event has a later time and a
    /// higher seq and is otherwise the same, identity included.
    pub looping: bool,
    /// Whether the events of later rounds have the identities of the first.
    pub keeps_identities: bool,
    /// Whether times are moved so that the playhead is now (at rate `max`: the last event).
    pub restamp: bool,
    /// Events that have already happened when the first client connects; without meaning at
    /// rate `max`.
    pub history_events: u64,
    /// What to compress with on `/subscribe` for clients that ask for it.
    pub zstd: ZstdDictionary,
    /// The same on the v2 stream; v2 servers hand it out.
    pub v2_zstd: ZstdDictionary,
    /// Events that the streams hold for replays, rounded up to whole segments; 0: none.
    /// `None`: all.
    pub retention_events: Option<u64>,
    /// Events in a segment of the log; time cursors are exact in all but the newest segment,
    /// and the archive has all but it.
    pub segment_events: u64,
    /// Events in a block of the archive.
    pub block_events: usize,
    /// What clients of the archive must show; `None`: nothing.
    pub api_key: Option<ApiKey>,
    /// What happens at the end of the recording.
    pub at_end: AtEnd,
    /// Intervals and limits.
    pub limits: ServerLimits,
    /// What goes wrong on purpose.
    pub chaos: Option<ChaosSpec>,
}

/// Where the zstd dictionary comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZstdDictionary {
    /// This one.
    Given(compression::dictionary::Dictionary),
    /// One trained from the recording when the first client asks for it.
    Trained,
}

impl ZstdDictionary {
    fn given(self) -> Option<compression::dictionary::Dictionary> {
        match self {
            Self::Given(dictionary) => Some(dictionary),
            Self::Trained => None,
        }
    }
}

/// What a connection sees at the end of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// It stays open and silent.
    #[default]
    Idle,
    /// It is closed with 1000 `end of recording`.
    Close,
}

/// Intervals and limits of the servers (protocol/jetstream-v1.md §4.2 and §9). Tests scale
/// them.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Time between two pings.
    pub ping_every: Duration,
    /// Time for a pong, on v2 only.
    pub pong_within: Duration,
    /// Time for a write, on v2.
    pub v2_write_timeout: Duration,
    /// Time for a write, on legacy.
    pub legacy_write_timeout: Duration,
    /// Events in a connection's outgoing queue, on legacy at a paced rate.
    pub legacy_queue_events: usize,
    /// Events per second that a replay scans, before filters, on legacy at a paced rate.
    pub legacy_replay_per_second: u32,
    /// Events per second that a connection is sent, on legacy at a paced rate; `None`: no limit.
    pub legacy_send_per_second: Option<u32>,
    /// Whether the three limits of legacy also hold at rate `max`.
    pub legacy_limits_at_max: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(30),
            pong_within: Duration::from_secs(5),
            v2_write_timeout: Duration::from_secs(5),
            legacy_write_timeout: Duration::from_secs(10),
            legacy_queue_events: 50_000,
            legacy_replay_per_second: 50_000,
            legacy_send_per_second: None,
            legacy_limits_at_max: false,
        }
    }
}

impl ServerLimits {
    fn write_timeout(&self, kind: ServerKind) -> Duration {
        match kind {
            ServerKind::V2 => self.v2_write_timeout,
            ServerKind::Legacy => self.legacy_write_timeout,
        }
    }
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6008)),
            kind: None,
            rate: Rate::Max,
            looping: false,
            keeps_identities: false,
            restamp: false,
            history_events: 0,
            zstd: ZstdDictionary::Trained,
            v2_zstd: ZstdDictionary::Trained,
            retention_events: None,
            segment_events: DEFAULT_SEGMENT_EVENTS,
            block_events: DEFAULT_BLOCK_EVENTS,
            api_key: None,
            at_end: AtEnd::default(),
            limits: ServerLimits::default(),
            chaos: None,
        }
    }
}

/// Why a recording is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("can't listen on {address} (choose another address, or port 0 for any free one)")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The recording does not fit the kind of server.
    #[error(transparent)]
    Stamps(#[from] StampError),
    /// Only v2 servers have what is to be reused.
    #[error(
        "--chaos reuse: a legacy server has no seqs to assign again: leave it out, or serve with \
         --server-kind v2"
    )]
    NoSeqsToReuse,
    /// The dictionary is none.
    #[error("zstd can't use the dictionary")]
    Dictionary(#[source] io::Error),
}

/// A server that listens, but answers nobody until it is run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<ServerState>,
}

/// What all connections look at.
#[derive(Debug)]
struct ServerState {
    timeline: Timeline,
    limits: ServerLimits,
    at_end: AtEnd,
    dictionaries: Dictionaries,
    archive: Archive,
    chaos: Option<Chaos>,
}

impl ServerState {
    fn kind(&self) -> ServerKind {
        self.timeline.stamps.kind()
    }

    /// The dictionary of the v2 stream, as it is now.
    fn v2_dictionary(&self) -> Option<Arc<Dictionary>> {
        let generation = self.chaos.as_ref().map_or(0, Chaos::generation);
        self.dictionaries.v2(self.recording(), generation)
    }

    fn recording(&self) -> &Recording {
        self.timeline.stamps.recording()
    }
}

/// Makes a server and starts listening.
///
/// # Errors
/// [`ServeError`] where the address can't be listened on, the recording can't be served by
/// that kind of server, or the dictionary is none.
pub async fn bind(settings: ServeSettings, recording: Recording) -> Result<Server, ServeError> {
    let by_content = if recording.is_v2() { ServerKind::V2 } else { ServerKind::Legacy };
    let mut stamps = Stamps::new(recording, settings.kind.unwrap_or(by_content))?;
    let mut chaos = None;
    if let Some(spec) = &settings.chaos {
        if stamps.kind() == ServerKind::Legacy && spec.odds(Fault::Reuse).is_some() {
            return Err(ServeError::NoSeqsToReuse);
        }
        stamps = stamps.with_chaos(spec);
        let account = |event| chaos::account(&stamps.recorded_line(event));
        chaos = Some(Chaos::new(spec.clone(), stamps.len(), account));
    }
    if settings.looping && !settings.keeps_identities {
        stamps = stamps.with_new_event_ids();
    }
    let dictionaries = Dictionaries::new(settings.zstd.given(), settings.v2_zstd.given())
        .map_err(ServeError::Dictionary)?;
    let mut timeline = Timeline::new(
        stamps,
        settings.rate,
        settings.looping,
        settings.restamp,
        settings.history_events,
    )
    .with_segment_events(settings.segment_events);
    if let Some(events) = settings.retention_events {
        timeline = timeline.with_retention(events);
    }
    if let Some(behind) = settings.chaos.as_ref().and_then(|spec| spec.behind) {
        timeline = timeline.behind(behind);
    }
    if let Some(events) = settings.chaos.as_ref().and_then(|spec| spec.clamp) {
        timeline = timeline.with_held_events(events);
    }
    if settings.rate == Rate::Max {
        timeline.start(Instant::now(), crate::metrics::now_us());
    }
    let listen = |source| ServeError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
    let local_addr = listener.local_addr().map_err(listen)?;
    let (limits, at_end) = (settings.limits, settings.at_end);
    let archive = Archive {
        block_events: settings.block_events.max(1),
        api_key: settings.api_key,
        cache: SegmentCache::default(),
    };
    let shared = ServerState { timeline, limits, at_end, dictionaries, archive, chaos };
    Ok(Server { listener, local_addr, shared: Arc::new(shared) })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Which server it imitates.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.shared.kind()
    }

    /// Serves until `stop` is ready, then ends every connection the way this kind of server
    /// does. Returns when everything it started has ended.
    ///
    /// # Errors
    /// None yet: what goes wrong with one connection ends that connection.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut refusals = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        let mut numbers = 0_u64..;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = connections.join_next() => continue,
                Some(_) = refusals.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            let number = if accepted.is_ok() { numbers.next().unwrap_or(0) } else { 0 };
            match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    let (shared, stopped) = (Arc::clone(&self.shared), stopped.clone());
                    connections.spawn(async move {
                        connection::run(stream, number, &shared, stopped).await;
                    });
                }
                Ok((stream, _)) if refusals.len() < MAX_REFUSALS => {
                    refusals.spawn(connection::refuse(stream, Response::too_many_connections()));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
        drop(self.listener);
        let _ = stopping.send(true);
        refusals.shutdown().await;
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, all_ended).await.is_err() {
            connections.shutdown().await;
        }
        Ok(())
    }
}
