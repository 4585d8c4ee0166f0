//! Opens v1 connections.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Client, ConnectError, ConnectRequest, handshake_error};
use crate::position::StreamKind;
use crate::source::connection::EventConnection;
use crate::source::decoder::Decoder;
use crate::source::protocol::Protocol;
use crate::source::v1::decoder::V1Decoder;
use crate::source::v1::request::Subscription;
use crate::source::websocket::handshake::{HandshakeError, UpgradeRequest};

impl Client {
    pub(super) async fn connect_v1(
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
        let filter = self.filter();
        let subscription = Subscription::new(&filter, request.cursor, !is_plain);
        let upgrade = UpgradeRequest {
            path: Protocol::V1.path().into(),
            query: subscription.query,
            ..UpgradeRequest::default()
        };
        let deadline = Instant::now() + self.connect_timeout;
        let upgraded = self.upgrade(request, &upgrade, deadline).await?;
        if is_plain && !request.uncompressed && self.dictionaries.take_plain_text_warning() {
            tracing::warn!(
                "receiving uncompressed, which takes twice the bytes: for zstd with v1, install the dictionary with `skytail dictionary install` (--compress off silences this warning)"
            );
        }
        let decoder = Decoder::V1(V1Decoder::new(decompressor, Arc::clone(&self.metrics)));
        let fingerprint = StreamKind::V1.fingerprint(filter.fingerprint());
        let mut connection = self.connection(upgraded, decoder, fingerprint, request);
        connection.set_filter_update(subscription.filter_update);
        if let Some(hello) = subscription.hello {
            let sent = connection.send_text(&hello, deadline).await;
            sent.map_err(|e| handshake_error(request, HandshakeError::Interrupted(e)))?;
        }
        Ok(connection)
    }
}
