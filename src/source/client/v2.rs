//! Opens v2 connections, with the zstd dictionary that the server accepts.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Client, ConnectError, ConnectRequest};
use crate::compression::dictionary::Dictionary;
use crate::position::StreamKind;
use crate::source::connection::EventConnection;
use crate::source::decoder::Decoder;
use crate::source::protocol::Protocol;
use crate::source::v2::SUBPROTOCOL;
use crate::source::v2::decoder::V2Decoder;
use crate::source::v2::dictionaries::{DictionaryResult, DictionaryUnavailable, FetchContext};
use crate::source::v2::fetch::DictionaryFetchError;
use crate::source::v2::request::query;
use crate::source::websocket::handshake::UpgradeRequest;

/// How often a server may name another dictionary while one connection is opened.
const MAX_ROTATIONS: usize = 3;

impl Client {
    pub(super) async fn connect_v2(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<EventConnection, ConnectError> {
        let context = FetchContext {
            endpoint: request.endpoint,
            proxies: &self.proxies,
            tls: &self.tls,
            timeout: self.connect_timeout,
        };
        let filter = self.filter();
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
            let upgrade = UpgradeRequest {
                path: Protocol::V2.path().into(),
                query: query(&filter, request.cursor, id),
                subprotocols: vec![SUBPROTOCOL.into()],
                ..UpgradeRequest::default()
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
        let fingerprint = StreamKind::V2.fingerprint(filter.fingerprint());
        Ok(self.connection(upgraded, decoder, fingerprint, request))
    }

    /// Falls back to plain text without a dictionary, unless the user requires zstd. The reason
    /// goes to `unavailable` and is logged only once there is a stream: a v1 server has no
    /// dictionary to serve, and that is not worth a warning.
    fn or_plain_text(
        &self,
        found: DictionaryResult,
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
}
