//! Positions in a server's stream, and where a run starts.
//!
//! This module defines the types. [`dedup_window`] has the identities of the events that were
//! written, and [`gap::Gap`] describes events that were not available. `checkpoint` stores
//! positions on disk.

pub mod clock;
pub mod cursor_unit;
pub mod dedup_window;
mod filter_stamp;
pub mod gap;
pub mod rollover;
mod stream_kind;

use std::fmt;
use std::sync::Arc;

pub use filter_stamp::{FilterSince, FilterStamp};
pub use stream_kind::StreamKind;

/// An instant in microseconds since the Unix epoch, as Jetstream's `time_us` counts it.
///
/// Source: protocol/jetstream-v1.md §7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeUs(pub u64);

/// A sequence number of one v2 server. It has no meaning on another server.
///
/// Source: protocol/jetstream-v1.md §4.1; always at least 1 and below [`Seq::LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The first integer that a server reads as an instant instead of a sequence number
    /// (protocol/jetstream-v1.md §4.1).
    pub const LIMIT: u64 = 1_000_000_000_000_000;
}

/// How far ahead of this machine's clock an event's time may be and still be trusted, in
/// microseconds: a day, because clocks may be wrong. An absurd time must not become a cursor,
/// because a server reads a time in the future as "live", and all events before it would be lost
/// (protocol/jetstream-v1.md §4). Nor may it end a replay or a run.
pub const BELIEVED_AHEAD_US: u64 = 86_400_000_000;

impl TimeUs {
    /// Returns the instant `us` microseconds earlier, but not before the epoch.
    #[must_use]
    pub fn minus_us(self, us: u64) -> Self {
        Self(self.0.saturating_sub(us))
    }

    /// Formats the instant like [`fmt::Display`], cut to whole seconds, for messages.
    #[must_use]
    pub fn to_seconds(self) -> String {
        let text = self.to_string();
        text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
    }

    /// Returns the instant `us` microseconds later.
    #[must_use]
    pub fn plus_us(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
}

impl fmt::Display for TimeUs {
    /// RFC 3339 in UTC with microseconds; the bare number if the calendar does not reach it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp =
            i64::try_from(self.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        match timestamp {
            Some(t) => write!(f, "{t:.6}"),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Which of the two servers that speak v1 answered (protocol/jetstream-v1.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// The original server: its cursor is `time_us`, strictly increasing.
    Legacy,
    /// The current server: every event carries its own sequence number as `cursor`.
    V2,
}

impl ServerKind {
    /// Returns the word for messages and for the state file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::V2 => "v2",
        }
    }
}

/// Which stream of which server a position belongs to.
#[derive(Clone, Debug, Eq)]
pub struct Origin {
    /// The server's name as the user gave it, without secrets: `host` or `host:port`, or
    /// `demo`.
    pub server: Arc<str>,
    /// The kind of server that answered.
    pub kind: ServerKind,
    /// The fingerprint of the filter that the server applies; 0 if not known. With another filter
    /// a server omits other events, and then a missing event proves nothing.
    pub filter_fingerprint: u64,
}

impl PartialEq for Origin {
    /// Each event compares its origin with that of the position, and both mostly share the name.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let Self { server, kind, filter_fingerprint } = other;
        self.filter_fingerprint == *filter_fingerprint
            && self.kind == *kind
            && (Arc::ptr_eq(&self.server, server) || self.server == *server)
    }
}

/// The position of one event in its server's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPosition {
    /// `time_us` of the event.
    pub time: TimeUs,
    /// `cursor` of the event; a legacy server sends none.
    pub seq: Option<Seq>,
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "seq {} at {}", seq.0, self.time),
            None => self.time.fmt(f),
        }
    }
}

/// How far the output has come, and the cursor to resume from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stream that the event positions belong to.
    pub origin: Origin,
    /// The newest event that was processed (written, or filtered out).
    pub newest: EventPosition,
    /// The identities of all events written since this one are known, so that a replay from here
    /// can be deduplicated event by event.
    pub rewind_to: EventPosition,
    /// The latest `time_us` of all events: `newest.time`, unless the server's clock stepped back
    /// or the server imported older events.
    pub max_time: TimeUs,
}

/// A position with its identities: all that a resume needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// How far the output has come.
    pub position: Position,
    /// The identities of the events written since `position.rewind_to`, oldest first.
    pub identities: Vec<u64>,
}

/// Where a run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// At the live tip.
    Live,
    /// At the oldest event that the server still has.
    Oldest,
    /// At an instant.
    Time(TimeUs),
    /// At a sequence number of the v2 server that answers.
    Seq(Seq),
    /// After the last event of an earlier run.
    Resume(Box<Resume>),
}
