//! Jetstream v2, `subscribeEvents`: its request, its decoder, and the zstd dictionary of each
//! server.
//!
//! Source: protocol/jetstream-v2.md. `event::v2` parses single messages.

pub mod decoder;
pub mod deferred;
pub mod dictionaries;
pub mod fetch;
pub mod request;

/// The WebSocket subprotocol that the client offers (§1).
pub const SUBPROTOCOL: &str = "xrpc.v1.json";
