//! What an event's time and sequence number decide, and how far the stage trusts them: the surplus
//! before an instant, the end of the run, the event's position, and a number that was used twice.

use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::event::header_spans::HeaderSpans;
use crate::pipeline::gap_detector::Anomaly;
use crate::pipeline::shutdown::StopReason;
use crate::position::clock::{FIRST_EVENTS, has_clock, is_ahead_of_now};
use crate::position::{BELIEVED_AHEAD_US, EventPosition, Seq, TimeUs};

use super::EventProcessor;
use super::surplus::{Surplus, SurplusFilter};

impl EventProcessor {
    pub(super) fn is_surplus(&mut self, time: TimeUs) -> bool {
        let Some(instant) = self.surplus_until else { return false };
        match self.surplus.classify(time, instant) {
            Surplus::Inside => true,
            Surplus::Outside => false,
            Surplus::Ended => {
                (self.surplus_until, self.surplus) = (None, SurplusFilter::default());
                false
            }
        }
    }

    /// Returns whether an event lies at or after `--until`. Such an event is not written, and the
    /// position stays before it. One event does not end the run, and holds the position only
    /// until the next one contradicts it.
    #[inline(always)]
    pub(super) fn is_past_until(&mut self, time: TimeUs) -> bool {
        self.config.until.is_some_and(|until| self.is_past(until, time))
    }

    fn is_past(&mut self, until: TimeUs, time: TimeUs) -> bool {
        if time < until && !self.is_held {
            return false;
        }
        self.window.see_time(time);
        if time < until {
            self.is_held = self.window.is_in_doubt();
            return false;
        }
        if self.window.is_jump(time) {
            self.is_held = true;
        } else {
            self.is_frozen = true;
        }
        if self.window.latest() >= until.plus_us(self.config.until_margin_us) {
            self.is_frozen = true;
            self.stop_reason = Some(StopReason::Until);
        }
        true
    }

    /// Returns an event's position in the stream, and notes how far the connection has come. An
    /// event with an absurd time is placed where it came.
    #[inline(always)]
    pub(super) fn place(&mut self, header: &HeaderSpans) -> EventPosition {
        let time = TimeUs(header.time_us);
        let seq = header.cursor().map(Seq);
        if !self.window.is_jump(time) {
            self.connection_time = self.connection_time.max(time);
            return EventPosition { time, seq };
        }
        let time = if self.is_absurd(time) { self.time_reached() } else { time };
        EventPosition { time, seq }
    }

    /// Returns whether a time is not trusted for the time being. It has to be ahead of the stream,
    /// too, because this machine's clock may be the wrong one.
    pub(super) fn is_absurd(&self, time: TimeUs) -> bool {
        let latest = self.window.latest();
        self.window.is_jump(time)
            && match has_clock(self.now) {
                true => is_ahead_of_now(time, self.now),
                // Without a clock of this machine, servers' clocks may be wrong by a day.
                false => latest > TimeUs(0) && time > latest.plus_us(BELIEVED_AHEAD_US),
            }
    }

    /// Returns how far the connection has come. A replay begins before the latest time of the
    /// stream, and events before that time may still follow.
    pub(super) fn time_reached(&self) -> TimeUs {
        let known = [self.connection_time, self.window.latest()];
        known.into_iter().find(|time| *time > TimeUs(0)).unwrap_or(self.now)
    }

    /// Ends the run once several events are as late as its start (`--exit-when-live`), and no history
    /// is to be read beside the stream.
    pub(super) fn check_caught_up(&mut self) {
        if !self.side.is_waiting()
            && self.config.live_at.is_some_and(|live_at| self.window.latest() >= live_at)
        {
            self.stop_reason = Some(StopReason::CaughtUp);
        }
    }

    /// Reports a number under which another event was written: the server crashed and used the
    /// number again. Reported once for each connection.
    pub(super) fn report_reuse(&mut self, at: EventPosition, identity: Option<u64>) {
        let (Some(seq), Some(identity), Some(connection)) = (at.seq, identity, &self.connection)
        else {
            return;
        };
        let number = connection.number;
        // In this order, because a new number is mostly the highest one, which decides.
        if self.window.is_held_by_another(seq, identity)
            && self.reuse_reported_on != number
            && self.renumbered_connection.is_none()
            && self.is_at_stream_of(connection)
        {
            self.reuse_reported_on = number;
            self.anomaly = self.anomaly.take().or(Some(Anomaly::Reused { seq }));
        }
    }

    /// Returns whether the position may not move for now.
    pub(super) fn holds_position(&self) -> bool {
        self.is_frozen || self.is_held
    }
}

/// Returns the times of a batch's first events since `instant`, which start the stream's clock.
pub(super) fn first_times(batch: &mut Batch, shape: EventFormat, instant: TimeUs) -> Vec<TimeUs> {
    let headers = (0..batch.len()).filter_map(|i| batch.header_or_parse(i, shape));
    let times = headers.take(FIRST_EVENTS).map(|header| TimeUs(header.time_us));
    times.filter(|time| *time >= instant).collect()
}
