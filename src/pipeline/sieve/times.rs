//! What an event's time and number say, and how far they are believed: the surplus in front of
//! an instant, the end of the run, the event's place, and a number that was given twice.

use crate::event::batch::Batch;
use crate::event::header::Header;
use crate::event::shape::Shape;
use crate::pipeline::continuity::Finding;
use crate::pipeline::shutdown::StopReason;
use crate::position::clock::{FIRST_EVENTS, has_clock, is_ahead_of_now};
use crate::position::{BELIEVED_AHEAD_US, Mark, Seq, TimeUs};

use super::early::{Early, Surplus};
use super::{REORDER_US, Sieve};

impl Sieve {
    pub(super) fn is_early(&mut self, time: TimeUs) -> bool {
        let Some(instant) = self.skip_until else { return false };
        match self.early.look(time, instant) {
            Surplus::Early => true,
            Surplus::Wanted => false,
            Surplus::Over => {
                (self.skip_until, self.early) = (None, Early::default());
                false
            }
        }
    }

    /// `--until`: nothing at or after it is written, and the position stays in front of it. One
    /// event does not end the run, and holds the position only until the next one contradicts.
    pub(super) fn is_past_until(&mut self, time: TimeUs) -> bool {
        let Some(until) = self.rules.until else { return false };
        if time < until && !self.held {
            return false;
        }
        self.window.see_time(time);
        if time < until {
            self.held = self.window.is_in_doubt();
            return false;
        }
        if self.window.is_jump(time) {
            self.held = true;
        } else {
            self.frozen = true;
        }
        if self.window.latest() >= until.plus_us(REORDER_US) {
            self.frozen = true;
            self.stop = Some(StopReason::Until);
        }
        true
    }

    /// Returns an event's place in the stream, and notes how far the connection has come. An
    /// event with an absurd time is placed where it came.
    pub(super) fn place(&mut self, header: &Header<'_>) -> Mark {
        let time = TimeUs(header.time_us);
        let seq = header.cursor.map(Seq);
        if !self.window.is_jump(time) {
            self.reached = self.reached.max(time);
            return Mark { time, seq };
        }
        Mark { time: if self.is_absurd(time) { self.reached_or_latest() } else { time }, seq }
    }

    /// Returns whether a time is not believed for the time being. It has to be ahead of the
    /// stream, too: this machine's clock may be the one that is wrong.
    pub(super) fn is_absurd(&self, time: TimeUs) -> bool {
        let latest = self.window.latest();
        self.window.is_jump(time)
            && match has_clock(self.now) {
                true => is_ahead_of_now(time, self.now),
                // Without a clock of this machine, a day is what servers' clocks may be wrong by.
                false => latest > TimeUs(0) && time > latest.plus_us(BELIEVED_AHEAD_US),
            }
    }

    /// Returns how far the connection has come. A replay begins before the latest time of the
    /// stream, and events in front of that time may still be to come.
    pub(super) fn reached_or_latest(&self) -> TimeUs {
        let known = [self.reached, self.window.latest()];
        known.into_iter().find(|time| *time > TimeUs(0)).unwrap_or(self.now)
    }

    /// The output has caught up once several events are as late as the start of the run.
    pub(super) fn catch_up(&mut self) {
        if self.rules.live_at.is_some_and(|live_at| self.window.latest() >= live_at) {
            self.stop = Some(StopReason::CaughtUp);
        }
    }

    /// Compares an event with the one that was written under its number: another one means that
    /// the server crashed and gave the number again. Reported once for each connection.
    pub(super) fn notice_reuse(&mut self, mark: Mark, identity: Option<u64>) {
        let (Some(seq), Some(identity), Some(connection)) = (mark.seq, identity, &self.connection)
        else {
            return;
        };
        let number = connection.number;
        let is_same = self.position.as_ref().is_some_and(|p| p.origin == connection.origin);
        if is_same
            && self.reusing != number
            && self.renumbered.is_none()
            && self.window.is_held_by_another(seq, identity)
        {
            self.reusing = number;
            self.finding = self.finding.take().or(Some(Finding::Reused { seq }));
        }
    }

    /// Whether the position may not move for now.
    pub(super) fn stands_still(&self) -> bool {
        self.frozen || self.held
    }
}

/// The times of a batch's first events since `instant`, by which the stream's clock starts.
pub(super) fn first_times(batch: &Batch, shape: Shape, instant: TimeUs) -> Vec<TimeUs> {
    let headers = batch.lines().filter_map(|line| shape.parse(line).ok());
    let times = headers.take(FIRST_EVENTS).map(|header| TimeUs(header.time_us));
    times.filter(|time| *time >= instant).collect()
}
