//! Why a connection could not be opened, and what the error says about the server.

use std::sync::Arc;
use std::time::Duration;

use crate::compression::inflate::InflateError;
use crate::source::net::DialError;
use crate::source::protocol::Protocol;
use crate::source::v2::dictionaries::DictionaryUnavailable;
use crate::source::websocket::handshake::HandshakeError;

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// DNS, TCP, the proxy or TLS failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The WebSocket handshake failed.
    #[error("{server}: {source}")]
    Handshake {
        /// The server's label.
        server: Arc<str>,
        /// What went wrong.
        source: HandshakeError,
    },
    /// The user requires zstd, and the server's dictionary is not available.
    #[error("{server}: {source}; {}", advice(source))]
    Dictionary {
        /// The server's label.
        server: Arc<str>,
        /// Why the dictionary is not available.
        source: DictionaryUnavailable,
    },
    /// The user gave a sequence number, and the server has none. The number was not sent.
    #[error("{server}: the server has no v2, so it is a legacy one that knows no sequence numbers")]
    NoSequence {
        /// The server's label.
        server: Arc<str>,
    },
    /// The user requires zstd, the server speaks v1, and the v1 dictionary is not installed.
    #[error(
        "{server}: --compress on: the server speaks v1, and the zstd dictionary of v1 is not installed: install it with `skytail dictionary install`, or name one with --zstd-dictionary FILE"
    )]
    NoDictionary {
        /// The server's label.
        server: Arc<str>,
    },
    /// zstd does not accept the dictionary.
    #[error("{server}: {source}")]
    BadDictionary {
        /// The server's label.
        server: Arc<str>,
        /// What zstd reports.
        source: InflateError,
    },
}

impl ConnectError {
    /// Returns whether another attempt with this server is useless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_permanent(),
            Self::Handshake { source, .. } => source.is_permanent(),
            Self::Dictionary { source, .. } => source.is_permanent(),
            Self::NoDictionary { .. } | Self::BadDictionary { .. } | Self::NoSequence { .. } => {
                true
            }
        }
    }

    /// Returns how long the server asks the client to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Handshake { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// Returns whether the server refused a sequence number as older than what it holds
    /// (protocol/jetstream-v2.md §5).
    #[must_use]
    pub fn is_cursor_too_old(&self) -> bool {
        self.xrpc_name() == Some("CursorTooOld")
    }

    /// Returns whether the server picked a subprotocol that was not offered. A server that
    /// worked before may do better the next time.
    #[must_use]
    pub fn is_unoffered_subprotocol(&self) -> bool {
        matches!(self, Self::Handshake { source: HandshakeError::Subprotocol { .. }, .. })
    }

    /// Returns the name of the server's XRPC error, if its answer was one.
    pub(super) fn xrpc_name(&self) -> Option<&str> {
        match self {
            Self::Handshake { source, .. } => Some(&source.xrpc()?.name),
            _ => None,
        }
    }

    /// Returns the message of the server's XRPC error; may be empty.
    pub(super) fn xrpc_message(&self) -> &str {
        match self {
            Self::Handshake { source, .. } => source.xrpc().map_or("", |xrpc| &xrpc.message),
            _ => "",
        }
    }

    /// Returns whether the server's answer shows that it does not speak `protocol`.
    pub(super) fn means_no(&self, protocol: Protocol) -> bool {
        if let Self::Dictionary { source: DictionaryUnavailable::Fetch(error), .. } = self {
            return error.is_no_such_endpoint();
        }
        let Self::Handshake { source, .. } = self else { return false };
        match (protocol, source) {
            (Protocol::V1, _) => source.is_permanent(),
            (Protocol::V2, HandshakeError::Refused { status: 404 | 501, .. }) => true,
            // An XRPC error would show that the server knows v2.
            (Protocol::V2, HandshakeError::Refused { status, xrpc: None, is_cut: false, .. }) => {
                matches!(status, 200..=299 | 400..=428 | 430..=499)
            }
            (
                Protocol::V2,
                HandshakeError::Redirected { .. } | HandshakeError::Subprotocol { .. },
            ) => true,
            _ => false,
        }
    }
}

/// Returns what to do without a v2 server's dictionary. Legacy servers have zstd, too, and no
/// endpoint that serves its dictionary (protocol/jetstream-v1.md §5).
fn advice(unavailable: &DictionaryUnavailable) -> &'static str {
    match unavailable {
        DictionaryUnavailable::Fetch(error) if error.is_no_such_endpoint() => {
            "a legacy server has zstd on v1: use --protocol v1 after `skytail dictionary install`, or --compress auto to continue without"
        }
        _ => "use --compress auto to continue without",
    }
}
