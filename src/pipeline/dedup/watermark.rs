//! What a source reports beside its lines: that everything up to a position was in them, and that
//! it can't deliver events before them.

use std::sync::Arc;

use super::EventProcessor;
use super::advance_position::first_position;
use crate::pipeline::gap_detector::Anomaly;
use crate::pipeline::shutdown::StopReason;
use crate::position::clock::is_ahead_of_now;
use crate::position::gap::Gap;
use crate::position::{EventPosition, TimeUs};
use crate::settings::OnGap;
use crate::source::ConnectionInfo;

impl EventProcessor {
    /// Records that the server can't deliver the events before the next ones.
    pub fn report_gap(&mut self, gap: Gap) {
        if self.stop_reason.is_some() || self.holds_position() {
            return;
        }
        if self.config.on_gap == OnGap::Fail {
            self.stop_reason = Some(StopReason::Gap);
        }
        self.anomaly = Some(Anomaly::Gap(gap));
    }

    /// Moves the position to `through`: everything that `connection` has up to there was processed
    /// and committed, although its last events may be unwanted ones. A time of 0 is not known.
    /// Valid only between batches.
    pub fn advance_watermark(
        &mut self,
        connection: &Arc<ConnectionInfo>,
        through: EventPosition,
        now: TimeUs,
    ) {
        self.now = now;
        self.on_connection(connection);
        // The position must not pass an event that was neither written nor discarded yet.
        if !self.accepts(connection) || !self.undecided.is_empty() {
            return;
        }
        if self.has_passed_in_another_stream(connection, through) {
            return;
        }
        let time = match through.time {
            TimeUs(0) => self.window.latest(),
            // As with an event: an absurd time is placed where it came.
            time if is_ahead_of_now(time, now) => self.window.latest(),
            time => time,
        };
        let at = EventPosition { time, seq: through.seq };
        if self.is_past_until(time) || self.holds_position() {
            return;
        }
        let resets_stream = self.resets_stream(at);
        self.window.set_watermark(at);
        let origin = &connection.origin;
        match &mut self.position {
            Some(position) if position.origin == *origin => {
                // At the newest event's own seq, that event knows its time better.
                if resets_stream || position.newest.seq < at.seq {
                    position.newest = at;
                }
            }
            position => *position = Some(first_position(origin, at)),
        }
        self.update_position();
    }

    /// Returns whether the output has come further in another stream of the same server: an archive
    /// that is read in place of a replay begins with what the live stream has brought. The position
    /// must not go back there.
    fn has_passed_in_another_stream(
        &self,
        connection: &ConnectionInfo,
        through: EventPosition,
    ) -> bool {
        let origin = &connection.origin;
        self.renumbered_connection.is_none()
            && self.position.as_ref().is_some_and(|position| {
                position.origin != *origin
                    && position.origin.server == origin.server
                    && position.origin.kind == origin.kind
                    && position.newest.seq >= through.seq
            })
    }
}
