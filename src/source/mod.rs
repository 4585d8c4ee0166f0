//! Frames from somewhere: turns "these filters, from this position" into lines.
//!
//! A source knows wire formats; nothing else does. It knows nothing of stdout.

pub mod backoff;
pub mod dial;
pub mod endpoint;
pub mod handshake;
mod head;
pub mod proxy;
mod refusal;
pub mod tls;
