//! Jetstream v2: what is asked of `subscribeEvents`, what its messages come to, and the
//! dictionary of each server.
//!
//! Source: protocol/jetstream-v2.md. How a message is read is known to `event::v2`; bytes and
//! frames are `stream`'s work.

pub mod dictionaries;
pub mod fetch;
pub mod intake;
pub mod request;

/// Where it is served, below an endpoint's base path.
pub const PATH: &str = "/xrpc/network.bsky.jetstream.subscribeEvents";

/// The subprotocol to offer (§1).
pub const SUBPROTOCOL: &str = "xrpc.v1.json";
