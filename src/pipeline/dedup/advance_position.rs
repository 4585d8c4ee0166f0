//! How events move the position, and when the stream starts again on another server.

use crate::position::{EventPosition, Origin, Position, StreamKind, TimeUs};
use crate::source::ConnectionInfo;

use super::{EventProcessor, PreviousServer};

impl EventProcessor {
    /// Notes an event that came again. Until the first new event of another server, or of one that
    /// has renumbered, all positions are still those from before, and say nothing of this one.
    pub(super) fn on_duplicate(&mut self, identity: u64, at: EventPosition) {
        let is_same = self.connection.as_ref().is_some_and(|c| self.is_at_stream_of(c));
        if is_same && self.renumbered_connection.is_none() && !self.holds_position() {
            self.window.on_duplicate(identity, at);
        }
    }

    pub(super) fn advance(&mut self, at: EventPosition, claimed: TimeUs, is_new: bool) {
        // Before anything changes: the window must fit the position.
        if self.connection.is_none() || self.holds_position() {
            return;
        }
        let resets_stream = self.resets_stream(at);
        // The position does not follow a false time; the next event decides.
        let at = match self.window.advance_to(at, claimed) {
            Some(supported) => supported,
            None if resets_stream => EventPosition { time: self.time_reached(), ..at },
            None => return,
        };
        let highest_seq = self.window.highest_seq();
        let Some(ConnectionInfo { origin, .. }) = self.connection.as_deref() else { return };
        match &mut self.position {
            // A replay brings unwanted events again, too, and they are not the newest for that.
            Some(position) if position.origin == *origin => {
                let is_newest = match (position.newest.seq, at.seq) {
                    (None, None) => {
                        is_new || self.replays_until.is_none_or(|until| until <= at.time)
                    }
                    // A newest one above the highest was a false claim of an earlier event.
                    (newest, seq) => newest <= seq || newest > highest_seq,
                };
                if resets_stream || is_newest {
                    position.newest = at;
                    self.replays_until = None;
                }
            }
            position => *position = Some(first_position(origin, at)),
        }
    }

    /// Returns whether the position is of the stream that a connection reads. The stream is the same
    /// one after a change of the filter: the server's numbers and times stay, so that a replay after
    /// the change must not move the position back.
    pub(super) fn is_at_stream_of(&self, connection: &ConnectionInfo) -> bool {
        self.position.as_ref().is_some_and(|at| self.is_of_stream(at, connection))
    }

    /// Returns whether a position is of the stream that a connection reads.
    pub(super) fn is_of_stream(&self, at: &Position, connection: &ConnectionInfo) -> bool {
        let (at, of) = (&at.origin, &connection.origin);
        at == of
            || (at.server == of.server
                && at.kind == of.kind
                && match self.stream_of(at) {
                    Some(kind) => kind == connection.stream(),
                    // The filter changed while no run was active.
                    None => connection.stream() != StreamKind::Archive,
                })
    }

    /// Returns whether the output continues on another server, or on one that has renumbered its
    /// events: then from `at` on.
    pub(super) fn resets_stream(&mut self, at: EventPosition) -> bool {
        let mut is_other = false;
        if let Some(connection) = &self.connection
            && self.position.as_ref().is_some_and(|p| p.origin != connection.origin)
        {
            is_other = !self.is_at_stream_of(connection);
            let position = self.position.as_mut().filter(|_| !is_other);
            position.into_iter().for_each(|p| p.origin.clone_from(&connection.origin));
        }
        let resets_stream = is_other || self.renumbered_connection.take().is_some();
        if resets_stream {
            if !is_other {
                // The numbers of a change of the filter mean nothing any more, either.
                self.filter_changes.clear();
            }
            if self.backlog.is_enabled() {
                let (window, position) = (self.window.clone(), self.position.clone());
                self.previous_server = Some(PreviousServer { window, position });
                self.backlog.change_server();
            }
            let is_claim = self.window.is_jump(at.time);
            let time = if is_claim { self.time_reached() } else { at.time };
            self.window.change_server(EventPosition { time, ..at });
        }
        resets_stream
    }
}

pub(super) fn first_position(origin: &Origin, at: EventPosition) -> Position {
    Position { origin: origin.clone(), newest: at, rewind_to: at, max_time: at.time }
}
