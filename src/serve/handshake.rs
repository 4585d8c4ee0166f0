//! Validates the WebSocket headers of a request (RFC 6455 §4.2.1).

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::head::RequestHead;
use super::response::Response;
use crate::position::ServerKind;

/// Returns the value of the `Sec-WebSocket-Accept` header.
pub(super) fn accept_key(head: &RequestHead, kind: ServerKind) -> Result<String, Response> {
    if head.method != "GET" {
        return Err(Response::method_not_allowed());
    }
    if !head.has_token("Connection", "upgrade") || !head.has_token("Upgrade", "websocket") {
        return Err(match kind {
            ServerKind::V2 => Response {
                headers: "Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned(),
                ..Response::text("426 Upgrade Required", "WebSocket upgrade required")
            },
            ServerKind::Legacy => Response::bad_request("Bad Request"),
        });
    }
    if !head.has_token("Sec-WebSocket-Version", "13") {
        return Err(Response {
            headers: "Sec-WebSocket-Version: 13\r\n".to_owned(),
            ..Response::bad_request("unsupported WebSocket version: only 13 is supported")
        });
    }
    // 16 bytes in base64.
    match head.header("Sec-WebSocket-Key").next().map(str::trim) {
        Some(key) if key.len() == 24 && key.ends_with("==") => {
            Ok(derive_accept_key(key.as_bytes()))
        }
        _ => Err(Response::bad_request("bad Sec-WebSocket-Key")),
    }
}
