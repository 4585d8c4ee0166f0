//! The WebSocket part of a request head (RFC 6455 §4.2.1).

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::answer::Answer;
use super::head::Head;
use crate::position::ServerKind;

/// Returns the value of the `Sec-WebSocket-Accept` header.
pub(super) fn accept_key(head: &Head, kind: ServerKind) -> Result<String, Answer> {
    if head.method != "GET" {
        return Err(Answer::wrong_method());
    }
    if !head.has_token("Connection", "upgrade") || !head.has_token("Upgrade", "websocket") {
        return Err(match kind {
            ServerKind::V2 => Answer {
                headers: "Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned(),
                ..Answer::text("426 Upgrade Required", "WebSocket upgrade required")
            },
            ServerKind::Legacy => Answer::bad_request("Bad Request"),
        });
    }
    if !head.has_token("Sec-WebSocket-Version", "13") {
        return Err(Answer {
            headers: "Sec-WebSocket-Version: 13\r\n".to_owned(),
            ..Answer::bad_request("unsupported WebSocket version: only 13 is spoken")
        });
    }
    // 16 bytes in base64.
    match head.header("Sec-WebSocket-Key").next().map(str::trim) {
        Some(key) if key.len() == 24 && key.ends_with("==") => {
            Ok(derive_accept_key(key.as_bytes()))
        }
        _ => Err(Answer::bad_request("bad Sec-WebSocket-Key")),
    }
}
