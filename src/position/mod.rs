//! Where we are in a server's stream: the units, a position, and what to ask for to go on.
//!
//! Responsible for the types. The identities of what was already written live in
//! [`window`], what could not be had is a [`gap::Gap`]; reading and writing to disk is
//! `checkpoint`'s work.

pub mod clock;
pub mod cursor_unit;
pub mod dedup_window;
pub mod gap;
pub mod rollover;

use std::fmt;
use std::sync::Arc;

/// An instant in microseconds since the Unix epoch, as Jetstream's `time_us` counts it.
///
/// Source: protocol/jetstream-v1.md §7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeUs(pub u64);

/// A sequence number of one v2 server. Means nothing on any other server.
///
/// Source: protocol/jetstream-v1.md §4.1; always at least 1 and below [`Seq::LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The first integer that a server reads as an instant instead of a sequence number
    /// (protocol/jetstream-v1.md §4.1).
    pub const LIMIT: u64 = 1_000_000_000_000_000;
}

/// How far ahead of the present, in microseconds, an event's time may lie and still be
/// believed: a day, for clocks that are wrong. An absurd time must not become a cursor (a
/// server takes a later one for "live", and all in between is lost: protocol/jetstream-v1.md
/// §4), nor say that a replay or a run is at its end.
pub const BELIEVED_AHEAD_US: u64 = 86_400_000_000;

impl TimeUs {
    /// This instant moved back by `us` microseconds, not below the epoch.
    #[must_use]
    pub fn minus_us(self, us: u64) -> Self {
        Self(self.0.saturating_sub(us))
    }

    /// As it is displayed, cut to whole seconds: enough for a line that people read.
    #[must_use]
    pub fn to_seconds(self) -> String {
        let text = self.to_string();
        text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
    }

    /// This instant moved on by `us` microseconds.
    #[must_use]
    pub fn plus_us(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }
}

impl fmt::Display for TimeUs {
    /// RFC 3339 in UTC with microseconds; the bare number where no calendar reaches it.
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
    /// The word for people and for the state file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::V2 => "v2",
        }
    }
}

/// Which stream of which server a position belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The server's name as the user gave it, without secrets: `host` or `host:port`, or
    /// `demo`.
    pub server: Arc<str>,
    /// What the server turned out to be.
    pub kind: ServerKind,
    /// What was asked of it, as the filter's fingerprint; 0 where that is not known. A server
    /// that is asked for something else leaves out other events, so that a hole in what it
    /// sends proves nothing.
    pub stream: u64,
}

/// One event's place in its server's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPosition {
    /// `time_us` of the event.
    pub time: TimeUs,
    /// `cursor` of the event, where the server writes one.
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

/// How far the output has come, and from where to ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The server that the marks belong to.
    pub origin: Origin,
    /// The newest event that was dealt with (written, or filtered out).
    pub newest: EventPosition,
    /// From here on every event that was written is among the remembered identities, so a
    /// replay from here can be told apart, event by event, from what is new.
    pub rewind_to: EventPosition,
    /// The latest `time_us` seen, which is `newest.time` unless the server's clock stepped
    /// back or it imported older times.
    pub max_time: TimeUs,
}

/// A position with the identities that go with it: all that a resume needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Where the output stands.
    pub position: Position,
    /// The identities of the events written since `position.rewind_to`, oldest first.
    pub identities: Vec<u64>,
}

/// Where a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// At the live tip.
    Live,
    /// At the oldest event that the server still holds.
    Oldest,
    /// At an instant.
    Time(TimeUs),
    /// At a sequence number of whichever v2 server answers.
    Seq(Seq),
    /// Where an earlier run stopped.
    Resume(Box<Resume>),
}
