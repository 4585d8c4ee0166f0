//! How a connection's stream of lines ends, in words.

use std::io;

use crate::compression::inflate::InflateError;
use crate::source::frame::FrameError;
use crate::source::v2::intake::Farewell;

/// How a stream ended. The batch being filled keeps the lines that came before.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A close frame.
    #[error("the server closed the connection{}", close_text(*.code, .reason))]
    Closed {
        /// The status code, if there was one.
        code: Option<u16>,
        /// The reason, made printable.
        reason: String,
    },
    /// The bytes ended without a close frame.
    #[error("the connection ended")]
    Ended,
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The server broke the WebSocket protocol.
    #[error("the server broke the WebSocket protocol with {0}")]
    Protocol(#[from] FrameError),
    /// The server compresses with another dictionary than ours.
    #[error("{0}")]
    Dictionary(InflateError),
    /// The server said why it ends the connection (protocol/jetstream-v2.md §5).
    #[error(transparent)]
    Farewell(Farewell),
    /// What came is not v2: an object without `$type`.
    #[error(
        "the server answers on the v2 endpoint and does not speak v2 there: it sends objects without $type (is it a v1 server? then use --protocol v1)"
    )]
    NotV2,
    /// A sequence number was asked for, and the server has none.
    #[error(
        "the server is a legacy one: it knows no sequence numbers, and would take one for an instant in 1970"
    )]
    NoSequence,
}

impl StreamError {
    /// Returns whether the connection ended without a word.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Ended | Self::Io(_))
    }
}

fn close_text(code: Option<u16>, reason: &str) -> String {
    match (code, reason) {
        (None, _) => String::new(),
        (Some(code), "") => format!(" with code {code}"),
        (Some(code), reason) => format!(" with code {code}: {reason}"),
    }
}
