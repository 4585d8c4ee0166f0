//! Frames from somewhere: turns "these filters, from this position" into lines.
//!
//! A source knows wire formats; nothing else does. It knows nothing of stdout.

pub mod archive;
pub mod backoff;
pub mod client;
pub mod dial;
pub mod download;
pub mod endpoint;
pub mod frame;
pub mod handle;
pub mod handshake;
mod head;
mod http;
pub mod liveness;
pub mod protocol;
pub mod protocols;
pub mod proxy;
mod refusal;
mod retry_after;
pub mod stream;
pub mod tls;
pub mod transport;
pub mod v1;
pub mod v2;

use std::fmt;

use crate::display::printable::printable;
use crate::event::shape::Shape;
use crate::metrics::Metrics;
use crate::position::{Origin, Seq, TimeUs};

use protocol::Protocol;

/// An instant that all servers understand, older than any event: small integers are sequence
/// numbers to a v2 server, and mean something else again to a legacy one
/// (protocol/jetstream-v1.md §4.2).
const OLDEST_US: u64 = Seq::LIMIT;

/// One connection, as those who get its lines need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Counts the connections of a run.
    pub number: u64,
    /// The server.
    pub origin: Origin,
    /// What it was asked for.
    pub asked: Asked,
    /// The protocol spoken.
    pub protocol: Protocol,
    /// The shape of its lines.
    pub shape: Shape,
    /// Whether the server said that it no longer holds the instant it was asked for
    /// (protocol/jetstream-v2.md §4, `OutdatedCursor`).
    pub is_clamped: bool,
}

impl Connection {
    /// A connection that speaks v1.
    #[must_use]
    pub fn v1(number: u64, origin: Origin, asked: Asked) -> Self {
        let (protocol, shape) = (Protocol::V1, Shape::V1);
        Self { number, origin, asked, protocol, shape, is_clamped: false }
    }
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
    /// At the oldest event it holds, since it had refused this sequence number as too old
    /// (protocol/jetstream-v2.md §5, `CursorTooOld`): what lies between is a gap.
    Floor(Seq),
    /// Not the stream but the archive: what lies before the live window.
    Past,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("the live tip"),
            Self::Oldest => f.write_str("the oldest event"),
            Self::Instant(instant) => write!(f, "{instant}"),
            Self::Seq(seq) => write!(f, "seq {}", seq.0),
            Self::Floor(seq) => write!(f, "the oldest event, because seq {} is too old", seq.0),
            Self::Past => f.write_str("the archive"),
        }
    }
}

/// Counts a message that is no event, and tells of the first, second, fourth and so on. It
/// begins with `head`, where that says anything.
fn reject(metrics: &Metrics, what: &str, head: &[u8]) {
    metrics.received.add(1);
    metrics.malformed.add(1);
    let total = metrics.malformed.get();
    if !total.is_power_of_two() {
        return;
    }
    if head.is_empty() {
        tracing::warn!(total, "skipped a message: {what}");
    } else {
        let head = printable(head, 120);
        tracing::warn!(total, "skipped a malformed event: {what}; it begins {head}");
    }
}
