//! A Jetstream server that replays a recording. Users test their consumers with it; `tail --demo`
//! and skytail's own tests run on it.
//!
//! It imitates both servers that speak v1, with every difference that protocol/jetstream-v1.md
//! lists; in this module "§" cites a section of that document. As a v2 server it also offers the v2
//! stream (`v2`; "v2 §" cites protocol/jetstream-v2.md) and the archive (`archive`).
//!
//! It shares no parsing code with `source`, so that one misreading of the protocol can't hide in
//! both. Segments are written by `crate::archive`, which readers use too; golden files hold that
//! module to the format.
//!
//! ```text
//! recording ─▶ stamps (times, seqs) ─▶ timeline (playhead) ─▶ feed ─▶ connection ─▶ socket
//! └ cutover (legacy's losses)
//! ```
//!
//! `chaos` decides which faults to inject into stamps, timeline and connections.
//!
//! Not imitated: legacy's limit of 5,000 events/s per client address (only a limit per connection,
//! on request), v2's slow-reader rule (100,000 events behind the tip for a minute; `chaos` can
//! simulate its error), and permessage-deflate (declined).

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
mod settings;
mod stamp_fields;
mod stamps;
mod step;
mod subscription;
mod timeline;
mod v2;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
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
pub use settings::{AtEnd, DEFAULT_BLOCK_EVENTS, ServeSettings, ServerLimits, ZstdDictionary};
pub use stamps::StampError;
pub use timeline::DEFAULT_SEGMENT_EVENTS;
#[doc(hidden)]
pub use v2::message as v2_message;

use crate::position::ServerKind;
use archive::{Archive, SegmentCache};
use chaos::Chaos;
use dictionary::{Dictionaries, Dictionary};
use response::Response;
use stamps::Stamps;
use timeline::Timeline;

/// Maximum number of simultaneous connections.
const MAX_CONNECTIONS: usize = 1_024;
/// Maximum number of connections that receive a 503 at the same time; further ones are closed
/// without an answer.
const MAX_REFUSALS: usize = 64;
/// Time that connections have to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause after a failed accept, most often because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The reason why a recording can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use or does not belong to this machine.
    #[error("can't listen on {address} (choose another address, or port 0 for any free one)")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The recording does not fit this kind of server.
    #[error(transparent)]
    Stamps(#[from] StampError),
    /// `--chaos reuse` on a legacy server, which has no seqs.
    #[error(
        "--chaos reuse: a legacy server has no seqs to reuse: remove it, or serve with \
         --server-kind v2"
    )]
    NoSeqsToReuse,
    /// zstd rejected the dictionary.
    #[error("zstd can't use the dictionary")]
    Dictionary(#[source] io::Error),
}

/// A bound server. Clients can connect, but get no answer before [`Server::run`].
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<ServerState>,
}

/// State that all connections share.
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

    /// Returns the current dictionary of the v2 stream.
    fn v2_dictionary(&self) -> Option<Arc<Dictionary>> {
        let generation = self.chaos.as_ref().map_or(0, Chaos::generation);
        self.dictionaries.v2(self.recording(), generation)
    }

    fn recording(&self) -> &Recording {
        self.timeline.stamps.recording()
    }
}

/// Creates a server and binds its address.
///
/// # Errors
/// [`ServeError`] if the address can't be bound, the recording does not fit this kind of server, or
/// the dictionary is invalid.
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
    if settings.looping && !settings.keeps_event_ids {
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
        timeline = timeline.with_tip_behind(behind);
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
        compaction: settings.compacts.then(OnceLock::new),
    };
    let shared = ServerState { timeline, limits, at_end, dictionaries, archive, chaos };
    Ok(Server { listener, local_addr, shared: Arc::new(shared) })
}

impl Server {
    /// Returns the bound address.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the imitated kind of server.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.shared.kind()
    }

    /// Serves until `stop` resolves, then ends every connection as this kind of server does.
    /// Returns when all connections have ended, after at most three seconds.
    ///
    /// # Errors
    /// None at present: an error of one connection ends that connection only.
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
                    refusals
                        .spawn(connection::send_response(stream, Response::too_many_connections()));
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
