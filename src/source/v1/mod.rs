//! Jetstream v1: one connection to `/subscribe`, as lines.
//!
//! Source: protocol/jetstream-v1.md. Knows nothing of reconnecting: that is the reader's.

pub mod request;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::compression::inflate::Inflater;
use crate::filter::Filter;
use crate::metrics::Metrics;
use crate::source::Asked;
use crate::source::dial::{self, DialError};
use crate::source::endpoint::Endpoint;
use crate::source::handshake::{self, HandshakeError};
use crate::source::proxy::Proxies;
use crate::source::tls::TlsContext;

pub use stream::{Fill, Stream, StreamError};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No byte stream.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No WebSocket on it.
    #[error("{server}: {source}")]
    Handshake {
        /// The server.
        server: Arc<str>,
        /// What went wrong.
        source: HandshakeError,
    },
}

impl ConnectError {
    /// Whether asking this server again is useless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_permanent(),
            Self::Handshake { source, .. } => source.is_permanent(),
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Dial(_) => None,
            Self::Handshake { source, .. } => source.retry_after(),
        }
    }
}

/// What all connections of a run have in common.
#[derive(Debug)]
pub struct Client {
    /// What to ask for.
    pub filter: Filter,
    /// Proxies from the environment.
    pub proxies: Proxies,
    /// Trust.
    pub tls: TlsContext,
    /// Time for all steps of connecting together.
    pub connect_timeout: Duration,
    /// Largest message, in bytes, after decompression.
    pub max_message_bytes: usize,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

impl Client {
    /// Connects to `endpoint` and asks for events from `asked` on. With an `inflater`,
    /// messages are asked for in zstd. `number` tells the run's connections apart.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        &self,
        endpoint: &Endpoint,
        asked: Asked,
        inflater: Option<Inflater>,
        number: u64,
    ) -> Result<Stream, ConnectError> {
        let deadline = Instant::now() + self.connect_timeout;
        let subscription = request::Subscription::new(&self.filter, asked, inflater.is_some());
        let transport = dial::dial(endpoint, &self.proxies, &self.tls, deadline).await?;
        let request = handshake::Request {
            path: "/subscribe".into(),
            query: subscription.query,
            ..handshake::Request::default()
        };
        let in_handshake =
            |source| ConnectError::Handshake { server: Arc::clone(&endpoint.label), source };
        let upgraded = handshake::upgrade(transport, endpoint, &request, deadline)
            .await
            .map_err(in_handshake)?;
        let limits = stream::Limits { max_message_bytes: self.max_message_bytes };
        let metrics = Arc::clone(&self.metrics);
        let about = stream::About {
            label: Arc::clone(&endpoint.label),
            stream: self.filter.fingerprint(),
            asked,
            number,
        };
        let mut stream = Stream::new(upgraded, limits, inflater, about, metrics);
        if let Some(hello) = subscription.hello {
            stream.say(&hello, deadline).await.map_err(|e| in_handshake(HandshakeError::Cut(e)))?;
        }
        Ok(stream)
    }
}
