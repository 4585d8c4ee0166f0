//! Why there is no connection, and what that says about the server.

use std::sync::Arc;
use std::time::Duration;

use crate::compression::inflate::InflateError;
use crate::source::dial::DialError;
use crate::source::handshake::HandshakeError;
use crate::source::protocol::Protocol;
use crate::source::v2::dictionaries::DictionaryTrouble;

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
    /// zstd is demanded, and the server's dictionary can't be had.
    #[error("{server}: {source}; {}", advice(source))]
    Dictionary {
        /// The server.
        server: Arc<str>,
        /// What went wrong.
        source: DictionaryTrouble,
    },
    /// A person's sequence number, and a server that has none: it was sent nothing.
    #[error("{server}: the server has no v2, so it is a legacy one that knows no sequence numbers")]
    NoSequence {
        /// The server.
        server: Arc<str>,
    },
    /// zstd is required, the server speaks v1, and the v1 dictionary is not installed.
    #[error(
        "{server}: --compress on: the server speaks v1, and there is no zstd dictionary for that here: install it with `skytail dictionary install`, or name one with --zstd-dictionary FILE"
    )]
    NoDictionary {
        /// The server.
        server: Arc<str>,
    },
    /// A dictionary that can't be used.
    #[error("{server}: {source}")]
    BadDictionary {
        /// The server.
        server: Arc<str>,
        /// What zstd says.
        source: InflateError,
    },
}

impl ConnectError {
    /// Whether asking this server again is useless.
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

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Handshake { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// Whether the server refuses a sequence number as older than what it holds
    /// (protocol/jetstream-v2.md §5).
    #[must_use]
    pub fn is_cursor_too_old(&self) -> bool {
        self.xrpc_name() == Some("CursorTooOld")
    }

    /// Whether the server picked a subprotocol that was not offered. A server that has worked
    /// before may do better the next time.
    #[must_use]
    pub fn is_wrong_echo(&self) -> bool {
        matches!(self, Self::Handshake { source: HandshakeError::Subprotocol { .. }, .. })
    }

    /// The name of the server's own error, if it has one.
    pub(super) fn xrpc_name(&self) -> Option<&str> {
        match self {
            Self::Handshake { source, .. } => Some(&source.xrpc()?.name),
            _ => None,
        }
    }

    /// The server's words behind that name.
    pub(super) fn xrpc_message(&self) -> &str {
        match self {
            Self::Handshake { source, .. } => source.xrpc().map_or("", |xrpc| &xrpc.message),
            _ => "",
        }
    }

    /// Whether the server answered, and not as one that speaks this protocol would.
    pub(super) fn is_no_server_of(&self, protocol: Protocol) -> bool {
        if let Self::Dictionary { source: DictionaryTrouble::Fetch(error), .. } = self {
            return error.is_no_such_endpoint();
        }
        let Self::Handshake { source, .. } = self else { return false };
        match (protocol, source) {
            (Protocol::V1, _) => source.is_permanent(),
            (Protocol::V2, HandshakeError::Refused { status: 404 | 501, .. }) => true,
            // Its own error names say that it is one.
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
fn advice(trouble: &DictionaryTrouble) -> &'static str {
    match trouble {
        DictionaryTrouble::Fetch(error) if error.is_no_such_endpoint() => {
            "a legacy server has zstd on v1: use --protocol v1 after `skytail dictionary install`, or --compress auto to go on without"
        }
        _ => "use --compress auto to go on without",
    }
}
