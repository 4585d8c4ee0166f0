//! How events move the position, and when it begins anew.

use crate::position::{Mark, Origin, Position, TimeUs};
use crate::source::ConnectionInfo;

use super::{Earlier, Sieve};

impl Sieve {
    /// An event came again. Until the first new event of another server, or of one that
    /// counts anew, all marks are still those from before, and tell nothing of this one.
    pub(super) fn meet_again(&mut self, identity: u64, mark: Mark) {
        let origin = self.connection.as_ref().map(|connection| &connection.origin);
        let is_same = self.position.as_ref().map(|position| &position.origin) == origin;
        if is_same && self.renumbered.is_none() && !self.stands_still() {
            self.window.meet_again(identity, mark);
        }
    }

    pub(super) fn advance(&mut self, mark: Mark, claimed: TimeUs, is_new: bool) {
        // Before anything changes: what the window knows must fit the position.
        if self.connection.is_none() || self.stands_still() {
            return;
        }
        let begins_anew = self.begins_anew(mark);
        // Where a lie would lead, the position does not go; the next event decides.
        let mark = match self.window.advance_to(mark, claimed) {
            Some(supported) => supported,
            None if begins_anew => Mark { time: self.reached_or_latest(), ..mark },
            None => return,
        };
        let highest_seq = self.window.highest_seq();
        let Some(ConnectionInfo { origin, .. }) = self.connection.as_deref() else { return };
        match &mut self.position {
            // A replay brings what is not wanted again, too, and is not the newest for that.
            Some(position) if position.origin == *origin => {
                let is_newest = match (position.newest.seq, mark.seq) {
                    (None, None) => {
                        is_new || self.replays_until.is_none_or(|until| until <= mark.time)
                    }
                    // A newest one beyond the highest was a lie of an earlier event.
                    (newest, seq) => newest <= seq || newest > highest_seq,
                };
                if begins_anew || is_newest {
                    position.newest = mark;
                    self.replays_until = None;
                }
            }
            position => *position = Some(first_position(origin, mark)),
        }
    }

    /// Returns whether the output continues on another server, or on one that counts anew: then from
    /// `mark` on.
    pub(super) fn begins_anew(&mut self, mark: Mark) -> bool {
        let origin = self.connection.as_ref().map(|connection| &connection.origin);
        let is_other = self.position.as_ref().is_some_and(|p| Some(&p.origin) != origin);
        let begins_anew = is_other || self.renumbered.take().is_some();
        if begins_anew {
            if self.unread.is_watched() {
                let (window, position) = (self.window.clone(), self.position.clone());
                self.earlier = Some(Earlier { window, position });
                self.unread.change_server();
            }
            let is_claim = self.window.is_jump(mark.time);
            let time = if is_claim { self.reached_or_latest() } else { mark.time };
            self.window.change_server(Mark { time, ..mark });
        }
        begins_anew
    }
}

pub(super) fn first_position(origin: &Origin, mark: Mark) -> Position {
    Position { origin: origin.clone(), newest: mark, rewind_to: mark, latest_time: mark.time }
}
