//! Which filter is in force at a position, and from which event on.

use std::sync::Arc;

use super::{EventPosition, Origin, Position, ServerKind};

/// The filter in force, as the state file records it beside a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterStamp {
    /// The filter's fingerprint.
    pub fingerprint: u64,
    /// Where the filter replaced another one while a run was active; `None` if it did not.
    pub since: Option<FilterSince>,
}

/// The position at which one filter replaced another: events up to it passed the old filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSince {
    /// The server that the position is of.
    pub server: Arc<str>,
    /// The kind of that server.
    pub kind: ServerKind,
    /// The last event under the old filter.
    pub at: EventPosition,
}

impl FilterSince {
    /// Returns a change at the newest event of a position. A position may go back, but a change never
    /// lies before `earlier`, the one before it.
    #[must_use]
    pub fn at_newest(position: &Position, earlier: Option<&Self>) -> Self {
        let Origin { server, kind, .. } = &position.origin;
        let covering =
            earlier.filter(|since| since.is_of(&position.origin) && since.covers(position.newest));
        let at = covering.map_or(position.newest, |since| since.at);
        Self { server: Arc::clone(server), kind: *kind, at }
    }

    /// Returns whether the position is of this server.
    #[must_use]
    pub fn is_of(&self, origin: &Origin) -> bool {
        origin.server == self.server && origin.kind == self.kind
    }

    /// Returns whether a place on this server is not after the last event under the old filter.
    #[must_use]
    pub fn covers(&self, at: EventPosition) -> bool {
        match (at.seq, self.at.seq) {
            (Some(seq), Some(last)) => seq <= last,
            _ => at.time <= self.at.time,
        }
    }

    /// Moves the change to `position` if that lies before it, because lines after it were taken
    /// back.
    pub fn limit_to(&mut self, position: &Position) {
        if self.is_of(&position.origin) && self.covers(position.newest) {
            self.at = position.newest;
        }
    }
}
