//! Opens connections: chooses the protocol, sends the request, and returns an
//! [`EventConnection`]. The pipeline's reader reconnects; this module never does.
//!
//! Each wire format has a submodule with its request and its compression.

mod error;
mod v1;
mod v2;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::compression::dictionary::Dictionary;
use crate::compression::inflate::Inflater;
use crate::event::format::EventFormat;
use crate::filter::Filter;
use crate::metrics::Metrics;
use crate::position::{Origin, ServerKind, StreamKind};

use super::archive::api_key::ApiKey;
use super::archive::backfill::Backfill;
use super::archive::bounds::BackfillLimits;
use super::archive::client::{ArchiveClient, ArchiveClientConfig};
use super::archive::plan;
use super::archive::{BackfillError, BackfillStart};
use super::connection::{ConnectionParams, EventConnection};
use super::decoder::Decoder;
use super::decoding::Decompressor;
use super::endpoint::Endpoint;
use super::negotiation::{Candidates, Negotiator};
use super::net;
use super::net::proxy::Proxies;
use super::net::tls::TlsContext;
use super::protocol::Protocol;
use super::v2::dictionaries::Dictionaries;
use super::websocket::handshake::{self, HandshakeError, UpgradeRequest, Upgraded};
use super::{ConnectionInfo, RequestedCursor};

pub use error::ConnectError;

/// What all connections of a run share.
#[derive(Debug)]
pub struct Client {
    /// The filter to request; see [`Client::set_filter`].
    pub filter: Mutex<Arc<Filter>>,
    /// Chooses the protocol for each server.
    pub negotiator: Negotiator,
    /// The format of the lines of v2 events.
    pub shape: EventFormat,
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
    pub dictionaries: Arc<Dictionaries>,
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
    /// Returns the filter that new connections request.
    #[must_use]
    pub fn filter(&self) -> Arc<Filter> {
        Arc::clone(&self.filter.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the filter that new connections request.
    pub fn set_filter(&self, filter: Arc<Filter>) {
        *self.filter.lock().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    /// Opens a connection and requests events.
    ///
    /// # Errors
    /// [`ConnectError`]. If the server has neither protocol, it is the error from v1.
    pub async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<EventConnection, ConnectError> {
        let filter = self.filter();
        let Candidates { first, fallback } = self.negotiator.candidates(request.endpoint, &filter);
        self.negotiator.explain(request.endpoint, &filter);
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
        if protocol == Protocol::V1 && self.filter().markers.is_on() {
            self.negotiator.warn_of_missing_syncs();
        }
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
        StreamKind::Archive.fingerprint(self.filter().fingerprint())
    }

    /// Describes lines of the archive of the server with this label.
    #[must_use]
    pub fn archive_connection(&self, number: u64, server: Arc<str>) -> ConnectionInfo {
        ConnectionInfo {
            number,
            origin: Origin {
                server,
                kind: ServerKind::V2,
                filter_fingerprint: self.archive_fingerprint(),
            },
            requested: RequestedCursor::Archive,
            protocol: Protocol::V2,
            shape: self.shape,
            is_clamped: false,
        }
    }

    /// Starts to read a server's archive.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn start_backfill(
        &self,
        endpoint: &Endpoint,
        start: BackfillStart,
        key: Option<ApiKey>,
        limits: &BackfillLimits,
    ) -> Result<Backfill, BackfillError> {
        let client = Arc::new(self.archive_client(endpoint, key));
        Backfill::start(client, start, Filter::clone(&self.filter()), self.shape, limits).await
    }

    /// Returns the seq up to which a server's archive has everything after the seq `after`.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn sealed_tip(
        &self,
        endpoint: &Endpoint,
        after: u64,
        key: Option<ApiKey>,
    ) -> Result<u64, BackfillError> {
        plan::sealed_tip(&self.archive_client(endpoint, key), &self.filter(), after).await
    }

    fn archive_client(&self, endpoint: &Endpoint, key: Option<ApiKey>) -> ArchiveClient {
        self.side_archive(endpoint, key, Arc::clone(&self.metrics))
    }

    /// Returns a client for a server's archive that counts in `metrics`.
    #[must_use]
    pub fn side_archive(
        &self,
        endpoint: &Endpoint,
        key: Option<ApiKey>,
        metrics: Arc<Metrics>,
    ) -> ArchiveClient {
        ArchiveClient::new(ArchiveClientConfig {
            endpoint: endpoint.clone(),
            proxies: Arc::clone(&self.proxies),
            tls: Arc::clone(&self.tls),
            key,
            connect_timeout: self.connect_timeout,
            metrics,
        })
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

    async fn upgrade(
        &self,
        request: ConnectRequest<'_>,
        upgrade: &UpgradeRequest,
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
