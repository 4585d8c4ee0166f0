//! Sources of events: a filter and a starting point go in, lines come out.
//!
//! Only this module knows wire formats, and it depends on no output. From top to bottom:
//!
//! - [`client`] opens one connection with the protocol that [`negotiation`] chose;
//! - [`connection`] reads its messages, and [`decoder`] turns them into lines;
//! - [`v1`], [`v2`] and [`archive`] hold what is special to each protocol;
//! - [`websocket`], [`http`] and [`net`] are the transport below them.

pub mod archive;
pub mod backoff;
pub mod client;
pub mod connection;
pub mod decoder;
mod decoding;
pub mod download;
pub mod endpoint;
pub mod handle;
pub mod http;
pub mod liveness;
pub mod negotiation;
pub mod net;
pub mod protocol;
pub mod v1;
pub mod v2;
pub mod websocket;

use std::fmt;

use crate::display::printable::printable;
use crate::event::format::EventFormat;
use crate::metrics::Metrics;
use crate::position::{Origin, Seq, StreamKind, TimeUs};

use protocol::Protocol;

/// The smallest cursor that every server takes for a time, in microseconds; no event is older.
/// A v2 server takes smaller integers for sequence numbers, and a legacy one reads them in yet
/// another way (protocol/jetstream-v1.md §4.2).
const OLDEST_US: u64 = Seq::LIMIT;

/// What the receiver of a connection's lines must know about the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Counts the connections of a run.
    pub number: u64,
    /// The server and its stream.
    pub origin: Origin,
    /// Where the connection asked the server to start.
    pub requested: RequestedCursor,
    /// The negotiated protocol.
    pub protocol: Protocol,
    /// The format of its lines.
    pub shape: EventFormat,
    /// Whether the server said that it no longer holds the requested time
    /// (protocol/jetstream-v2.md §4, `OutdatedCursor`).
    pub is_clamped: bool,
}

impl ConnectionInfo {
    /// Describes a connection that uses v1.
    #[must_use]
    pub fn v1(number: u64, origin: Origin, requested: RequestedCursor) -> Self {
        let (protocol, shape) = (Protocol::V1, EventFormat::V1);
        Self { number, origin, requested, protocol, shape, is_clamped: false }
    }

    /// Returns which stream of the server the connection reads.
    #[must_use]
    pub fn stream(&self) -> StreamKind {
        match (self.requested, self.protocol) {
            (RequestedCursor::Archive, _) => StreamKind::Archive,
            (_, Protocol::V1) => StreamKind::V1,
            (_, Protocol::V2) => StreamKind::V2,
        }
    }
}

/// Where a connection asks the server to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedCursor {
    /// The live tip.
    Live,
    /// The oldest event that the server holds.
    Oldest,
    /// A time, inclusive.
    Instant(TimeUs),
    /// A sequence number of this server, inclusive.
    Seq(Seq),
    /// The oldest event that the server holds, after it refused this sequence number as too old
    /// (protocol/jetstream-v2.md §5, `CursorTooOld`). The events between them are a gap.
    OldestInsteadOf(Seq),
    /// The archive, which holds the events from before the live window.
    Archive,
}

impl fmt::Display for RequestedCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("the live tip"),
            Self::Oldest => f.write_str("the oldest event"),
            Self::Instant(instant) => write!(f, "{instant}"),
            Self::Seq(seq) => write!(f, "seq {}", seq.0),
            Self::OldestInsteadOf(seq) => {
                write!(f, "the oldest event, because seq {} is too old", seq.0)
            }
            Self::Archive => f.write_str("the archive"),
        }
    }
}

/// Counts a message that is not an event, and logs the first, second, fourth and so on of them.
/// `head` is the start of the message, for the log; it may be empty.
fn count_malformed(metrics: &Metrics, what: &str, head: &[u8]) {
    metrics.received.add(1);
    metrics.malformed.add(1);
    let total = metrics.malformed.get();
    if !crate::display::log_throttle::is_doubling(total) {
        return;
    }
    if head.is_empty() {
        tracing::warn!(total, "skipped a message: {what}");
    } else {
        let head = printable(head, 120);
        tracing::warn!(total, "skipped a malformed event: {what}; it begins {head}");
    }
}
