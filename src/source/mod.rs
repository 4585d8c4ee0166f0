//! Frames from somewhere: turns "these filters, from this position" into lines.
//!
//! A source knows wire formats; nothing else does. It knows nothing of stdout.

pub mod backoff;
pub mod dial;
pub mod endpoint;
pub mod frame;
pub mod handshake;
mod head;
pub mod liveness;
pub mod proxy;
mod refusal;
pub mod tls;
pub mod transport;
pub mod v1;

use crate::position::{Origin, Seq, TimeUs};

/// One connection, as those who get its lines need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Counts the connections of a run.
    pub number: u64,
    /// The server.
    pub origin: Origin,
    /// What it was asked for.
    pub asked: Asked,
}

/// Where a server was asked to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// At its live tip.
    Live,
    /// At the oldest event it holds.
    Oldest,
    /// At an instant, inclusive.
    Instant(TimeUs),
    /// At one of its sequence numbers, inclusive.
    Seq(Seq),
}
