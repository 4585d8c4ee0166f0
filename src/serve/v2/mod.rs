//! The XRPC endpoints of a v2 server: the v2 stream and the dictionary of its compression
//! (protocol/jetstream-v2.md; "v2 §" cites a section of it). The archive has its own module.
//!
//! Decides requests and builds messages; sockets are in `connection`.

mod dictionary;
mod frame;
mod subscribe;

use tokio::time::Instant;

use super::ServerState;
use super::head::RequestHead;
use super::response::{Response, XrpcErrorCode};
use super::subscription::Subscription;

pub use frame::message;
pub(super) use frame::{error, info};

/// Path prefix of XRPC methods.
pub(super) const XRPC: &str = "/xrpc/";
/// The subprotocol of the stream (v2 §1).
pub(super) const SUBPROTOCOL: &str = "xrpc.v1.json";

/// Routes a request for an XRPC method.
pub(super) fn route(
    method: &str,
    head: &RequestHead,
    connection: u64,
    shared: &ServerState,
    now: Instant,
) -> Result<Subscription, Response> {
    match method {
        "network.bsky.jetstream.subscribeEvents" => {
            subscribe::decide(head, connection, shared, now)
        }
        "network.bsky.jetstream.getZstdDictionary" => Err(match head.method.as_str() {
            "GET" | "HEAD" => dictionary::answer(head, shared),
            _ => Response::xrpc_method_not_allowed("GET, HEAD"),
        }),
        _ => Err(Response::xrpc(XrpcErrorCode::MethodNotImplemented, "method not implemented")),
    }
}
