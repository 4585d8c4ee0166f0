//! What the kind of a server says about its cursors and its replay.

use super::ServerKind;

/// What a server's cursors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorUnit {
    /// The time of an event, in microseconds.
    TimeUs,
    /// The sequence number that the server gave to an event.
    Seq,
}

impl ServerKind {
    /// Returns what the server's cursors count (protocol/jetstream-v1.md §2).
    #[must_use]
    pub fn cursor_unit(self) -> CursorUnit {
        match self {
            Self::Legacy => CursorUnit::TimeUs,
            Self::V2 => CursorUnit::Seq,
        }
    }

    /// Returns whether the server can skip events, without a word, where it switches from replay
    /// to live (protocol/jetstream-v1.md §4.2). The cutover to such a server needs a live
    /// connection beside the replay.
    #[must_use]
    pub fn replay_may_lose_events(self) -> bool {
        match self {
            Self::Legacy => true,
            Self::V2 => false,
        }
    }
}
