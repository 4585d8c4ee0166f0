//! The client side of WebSocket (RFC 6455): the opening handshake and the frames after it.

pub mod frame;
pub mod handshake;
mod inline;
