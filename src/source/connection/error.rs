//! The errors that end the stream of a connection.

use std::io;

use crate::compression::inflate::InflateError;
use crate::source::decoding::ServerClose;
use crate::source::websocket::frame::FrameError;

/// How a stream ended. The batch being filled keeps the lines that came before.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The server sent a close frame.
    #[error("the server closed the connection{}", close_text(*.code, .reason))]
    Closed {
        /// The status code, if the frame had one.
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
    /// The server violated RFC 6455.
    #[error("the server broke the WebSocket protocol with {0}")]
    Protocol(#[from] FrameError),
    /// The server compresses with a dictionary that the client does not have.
    #[error("{0}")]
    Dictionary(InflateError),
    /// The server announced that it ends the connection (protocol/jetstream-v2.md §5).
    #[error(transparent)]
    ServerClose(ServerClose),
    /// The first message was an object without `$type`.
    #[error(
        "the server answers on the v2 endpoint and does not speak v2 there: it sends objects without $type (is it a v1 server? then use --protocol v1)"
    )]
    NotV2,
    /// The request had a sequence number, and the server has none.
    #[error(
        "the server is a legacy one: it knows no sequence numbers, and would read one as a time in 1970"
    )]
    NoSequence,
}

impl StreamError {
    /// Returns whether the connection ended without a close frame or an error message.
    #[must_use]
    pub fn is_abrupt(&self) -> bool {
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
