//! What a source says beside its lines: that everything up to some place was in them, and that
//! something in front of them can't be had.

use std::sync::Arc;

use super::Sieve;
use super::advance::first_position;
use crate::pipeline::continuity::Finding;
use crate::pipeline::shutdown::StopReason;
use crate::position::clock::is_ahead_of_now;
use crate::position::gap::Gap;
use crate::position::{Mark, TimeUs};
use crate::settings::OnGap;
use crate::source::ConnectionInfo;

impl Sieve {
    /// Events that can't be had lie in front of what comes next.
    pub fn miss(&mut self, gap: Gap) {
        if self.stop.is_some() || self.stands_still() {
            return;
        }
        if self.rules.on_gap == OnGap::Fail {
            self.stop = Some(StopReason::Gap);
        }
        self.finding = Some(Finding::Gap(gap));
    }

    /// Whatever `connection` has up to `through` was sifted and accepted, though its last
    /// events may be none that are wanted. A time of 0 is not known. Call it between batches.
    pub fn pass(&mut self, connection: &Arc<ConnectionInfo>, through: Mark, now: TimeUs) {
        self.now = now;
        self.meet(connection);
        // The position must not pass an event that was neither written nor left out yet.
        if !self.is_open_to(connection) || !self.undecided.is_empty() {
            return;
        }
        let time = match through.time {
            TimeUs(0) => self.window.latest(),
            // As with an event: an absurd time stands where it came.
            time if is_ahead_of_now(time, now) => self.window.latest(),
            time => time,
        };
        let mark = Mark { time, seq: through.seq };
        if self.is_past_until(time) || self.stands_still() {
            return;
        }
        let begins_anew = self.begins_anew(mark);
        self.window.pass(mark);
        let origin = &connection.origin;
        match &mut self.position {
            Some(position) if position.origin == *origin => {
                // Where it is the newest event's own place, that knows its time better.
                if begins_anew || position.newest.seq < mark.seq {
                    position.newest = mark;
                }
            }
            position => *position = Some(first_position(origin, mark)),
        }
        self.settle_position();
    }
}
