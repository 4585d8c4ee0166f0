//! Opens connections: chooses the protocol and the compression, sends the request, and returns
//! an [`EventConnection`]. The pipeline's reader reconnects; this module never does.

mod error;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::compression::dictionary::Dictionary;
use crate::compression::inflate::Inflater;
use crate::event::shape::Shape;
use crate::filter::Filter;
use crate::metrics::Metrics;

use super::RequestedCursor;
use super::archive::fetch::Way as ArchiveWay;
use super::archive::key::ApiKey;
use super::archive::sweep::Sweep;
use super::archive::{Beginning, SweepError};
use super::connection::{ConnectionParams, EventConnection};
use super::decoder::Decoder;
use super::decoding::Decompressor;
use super::endpoint::Endpoint;
use super::negotiation::{Candidates, Negotiator};
use super::net;
use super::net::proxy::Proxies;
use super::net::tls::TlsContext;
use super::protocol::Protocol;
use super::v1::decoder::V1Decoder;
use super::v2::decoder::V2Decoder;
use super::v2::dictionaries::{Dictionaries, DictionaryUnavailable, FetchContext};
use super::v2::fetch::DictionaryFetchError;
use super::websocket::handshake::{self, HandshakeError, Upgraded};
use super::{v1, v2};

pub use error::ConnectError;

/// How often a server may name another dictionary while one connection is opened.
const MAX_ROTATIONS: usize = 3;

/// Distinguishes the filter fingerprint of a v2 stream from that of a v1 stream. A v2 stream
/// carries syncs and repaired events, and omits kinds that v1 always sends
/// (protocol/jetstream-v2.md §2, §7), so that a hole in one proves nothing about the other.
const V2_STREAM: u64 = 0x7632_0000_0000_7632;

/// The same for the archive, which omits superseded events (protocol/jetstream-v2-archive.md
/// §7): a position in it proves nothing about the stream.
const ARCHIVE_STREAM: u64 = 0x6a73_7330_0000_6a73;

/// What all connections of a run share.
#[derive(Debug)]
pub struct Client {
    /// The filter to request.
    pub filter: Filter,
    /// Chooses the protocol for each server.
    pub negotiator: Negotiator,
    /// The format of the lines of v2 events.
    pub shape: Shape,
    /// The proxies of the environment.
    pub proxies: Arc<Proxies>,
    /// The trusted certificates.
    pub tls: Arc<TlsContext>,
    /// The time for all steps of one connection together.
    pub connect_timeout: Duration,
    /// The largest message, in bytes, after decompression.
    pub max_message_bytes: usize,
    /// The dictionary of v1; `None` to request plain text there.
    pub v1_dictionary: Option<Dictionary>,
    /// The dictionaries of v2 servers.
    pub dictionaries: Dictionaries,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
}

/// A connection to open.
#[derive(Clone, Copy, Debug)]
pub struct ConnectRequest<'a> {
    /// The server.
    pub endpoint: &'a Endpoint,
    /// Where the server shall start.
    pub cursor: RequestedCursor,
    /// Whether to request plain text even if a dictionary is at hand.
    pub uncompressed: bool,
    /// The number of this connection within the run.
    pub number: u64,
    /// Whether to fail rather than send the sequence number in `cursor` to a server without v2.
    /// Such a server would take a small one for a time long ago (protocol/jetstream-v1.md §4.2).
    pub requires_seq: bool,
}

impl Client {
    /// Opens a connection and requests events.
    ///
    /// # Errors
    /// [`ConnectError`]. If the server has neither protocol, it is the error from v1.
    pub async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<EventConnection, ConnectError> {
        let Candidates { first, fallback } =
            self.negotiator.candidates(request.endpoint, &self.filter);
        self.negotiator.explain(request.endpoint, &self.filter);
        let error = match self.connect_with(first, request).await {
            Ok(connection) => return Ok(self.on_connected(connection, request)),
            Err(error) => error,
        };
        let Some(fallback) = fallback.filter(|_| error.means_no(first)) else {
            return Err(error);
        };
        let server = &request.endpoint.label;
        if request.requires_seq && first == Protocol::V2 {
            return Err(ConnectError::NoSequence { server: Arc::clone(server) });
        }
        tracing::info!(%server, "no {first} here ({error}): asking for {fallback}");
        match self.connect_with(fallback, request).await {
            Ok(connection) => Ok(self.on_connected(connection, request)),
            Err(_) if first == Protocol::V1 => Err(error),
            Err(error) => Err(error),
        }
    }

    fn on_connected(
        &self,
        connection: EventConnection,
        request: ConnectRequest<'_>,
    ) -> EventConnection {
        let protocol = connection.protocol();
        self.negotiator.record(request.endpoint, protocol);
        self.metrics.protocol.set(if protocol == Protocol::V2 { 2 } else { 1 });
        let server = &request.endpoint.label;
        tracing::info!(%server, %protocol, asked = %request.cursor, "connected");
        connection
    }

    /// Returns whether a server may have an archive. The filter does not matter, even if the v2
    /// stream cannot express it: an archive plan takes longer lists, and the client filters rows.
    #[must_use]
    pub fn may_have_archive(&self, endpoint: &Endpoint) -> bool {
        self.negotiator.pinned(endpoint) != Some(Protocol::V1)
    }

    /// Returns the filter fingerprint of positions in the archive.
    #[must_use]
    pub fn archive_fingerprint(&self) -> u64 {
        (self.filter.fingerprint() ^ ARCHIVE_STREAM).max(1)
    }

    /// Starts to read a server's archive.
    ///
    /// # Errors
    /// [`SweepError`].
    pub async fn sweep(
        &self,
        endpoint: &Endpoint,
        beginning: Beginning,
        key: Option<ApiKey>,
        parallelism: usize,
    ) -> Result<Sweep, SweepError> {
        let way = ArchiveWay {
            endpoint: endpoint.clone(),
            proxies: Arc::clone(&self.proxies),
            tls: Arc::clone(&self.tls),
            key,
            connect_timeout: self.connect_timeout,
            metrics: Arc::clone(&self.metrics),
        };
        Sweep::begin(Arc::new(way), beginning, self.filter.clone(), self.shape, parallelism).await
    }

    async fn connect_with(
        &self,
        protocol: Protocol,
        request: ConnectRequest<'_>,
    ) -> Result<EventConnection, ConnectError> {
        match protocol {
            Protocol::V1 => self.connect_v1(request).await,
            Protocol::V2 => self.connect_v2(request).await,
        }
    }

    async fn connect_v1(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<EventConnection, ConnectError> {
        let dictionary = self.v1_dictionary.as_ref().filter(|_| !request.uncompressed);
        if dictionary.is_none() && self.dictionaries.is_required() && !request.uncompressed {
            let server = Arc::clone(&request.endpoint.label);
            return Err(ConnectError::NoDictionary { server });
        }
        let decompressor = self.decompressor(dictionary, request)?;
        let is_plain = !decompressor.is_enabled();
        let subscription = v1::request::Subscription::new(&self.filter, request.cursor, !is_plain);
        let upgrade = handshake::UpgradeRequest {
            path: v1::PATH.into(),
            query: subscription.query,
            ..handshake::UpgradeRequest::default()
        };
        let deadline = Instant::now() + self.connect_timeout;
        let upgraded = self.upgrade(request, &upgrade, deadline).await?;
        if is_plain && !request.uncompressed && self.dictionaries.take_plain_text_warning() {
            tracing::warn!(
                "receiving uncompressed, which takes twice the bytes: for zstd with v1, install the dictionary with `skytail dictionary install` (--compress off says nothing)"
            );
        }
        let decoder = Decoder::V1(V1Decoder::new(decompressor, Arc::clone(&self.metrics)));
        let fingerprint = self.filter.fingerprint();
        let mut connection = self.connection(upgraded, decoder, fingerprint, request);
        connection.set_filter_update(subscription.filter_update);
        if let Some(hello) = subscription.hello {
            let sent = connection.send_text(&hello, deadline).await;
            sent.map_err(|e| handshake_error(request, HandshakeError::Interrupted(e)))?;
        }
        Ok(connection)
    }

    async fn connect_v2(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<EventConnection, ConnectError> {
        let context = FetchContext {
            endpoint: request.endpoint,
            proxies: &self.proxies,
            tls: &self.tls,
            timeout: self.connect_timeout,
        };
        let mut unavailable = None;
        let mut dictionary = match request.uncompressed {
            true => None,
            false => {
                let found = self.dictionaries.for_server(context).await;
                self.or_plain_text(found, request, &mut unavailable)?
            }
        };
        let mut rotations = 0;
        let upgraded = loop {
            let id = dictionary.as_ref().map(|dictionary| dictionary.id);
            let upgrade = handshake::UpgradeRequest {
                path: v2::PATH.into(),
                query: v2::request::query(&self.filter, request.cursor, id),
                subprotocols: vec![v2::SUBPROTOCOL.into()],
                ..handshake::UpgradeRequest::default()
            };
            // A timeout of its own: a server that is slow with its dictionary may still stream.
            let deadline = Instant::now() + self.connect_timeout;
            let error = match self.upgrade(request, &upgrade, deadline).await {
                Ok(upgraded) => break upgraded,
                Err(error) => error,
            };
            let (Some(id), true) = (id, error.xrpc_name() == Some("UnknownZstdDictionary")) else {
                return Err(error);
            };
            rotations += 1;
            let found = match rotations > MAX_ROTATIONS {
                true => Err(DictionaryUnavailable::StillRefused(id)),
                false => self.dictionaries.after_refusal(id, error.xrpc_message(), context).await,
            };
            dictionary = self.or_plain_text(found, request, &mut unavailable)?;
        };
        if let Some(unavailable) = unavailable {
            let server = &request.endpoint.label;
            tracing::warn!(%server, "{unavailable}; receiving uncompressed");
        }
        let decompressor = self.decompressor(dictionary.as_deref(), request)?;
        let metrics = Arc::clone(&self.metrics);
        let decoder = Decoder::V2(V2Decoder::new(self.shape, decompressor, metrics));
        let fingerprint = (self.filter.fingerprint() ^ V2_STREAM).max(1);
        Ok(self.connection(upgraded, decoder, fingerprint, request))
    }

    /// Falls back to plain text without a dictionary, unless the user requires zstd. The reason
    /// goes to `unavailable` and is logged only once there is a stream: a v1 server has no
    /// dictionary to serve, and that is not worth a warning.
    fn or_plain_text(
        &self,
        found: v2::dictionaries::DictionaryResult,
        request: ConnectRequest<'_>,
        unavailable: &mut Option<DictionaryUnavailable>,
    ) -> Result<Option<Arc<Dictionary>>, ConnectError> {
        match found {
            Ok(found) => Ok(found),
            // That the server can't be reached is worth more than that it has no dictionary.
            Err(DictionaryUnavailable::Fetch(DictionaryFetchError::Dial(error))) => {
                Err(error.into())
            }
            Err(source) if self.dictionaries.is_required() => {
                let server = Arc::clone(&request.endpoint.label);
                Err(ConnectError::Dictionary { server, source })
            }
            Err(source) => {
                *unavailable = Some(source);
                Ok(None)
            }
        }
    }

    async fn upgrade(
        &self,
        request: ConnectRequest<'_>,
        upgrade: &handshake::UpgradeRequest,
        deadline: Instant,
    ) -> Result<Upgraded, ConnectError> {
        let endpoint = request.endpoint;
        let transport = net::dial(endpoint, &self.proxies, &self.tls, deadline).await?;
        let upgraded = handshake::upgrade(transport, endpoint, upgrade, deadline).await;
        upgraded.map_err(|source| handshake_error(request, source))
    }

    fn connection(
        &self,
        upgraded: Upgraded,
        decoder: Decoder,
        filter_fingerprint: u64,
        request: ConnectRequest<'_>,
    ) -> EventConnection {
        let params = ConnectionParams {
            label: Arc::clone(&request.endpoint.label),
            filter_fingerprint,
            requested: request.cursor,
            number: request.number,
            max_message_bytes: self.max_message_bytes,
        };
        EventConnection::new(upgraded, decoder, params, Arc::clone(&self.metrics))
    }

    fn decompressor(
        &self,
        dictionary: Option<&Dictionary>,
        request: ConnectRequest<'_>,
    ) -> Result<Decompressor, ConnectError> {
        let inflater = dictionary.map(|dictionary| Inflater::new(&dictionary.bytes)).transpose();
        let inflater = inflater.map_err(|source| ConnectError::BadDictionary {
            server: Arc::clone(&request.endpoint.label),
            source,
        })?;
        Ok(Decompressor::new(inflater, self.max_message_bytes))
    }
}

fn handshake_error(request: ConnectRequest<'_>, source: HandshakeError) -> ConnectError {
    ConnectError::Handshake { server: Arc::clone(&request.endpoint.label), source }
}
