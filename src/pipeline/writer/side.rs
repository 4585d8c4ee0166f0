//! How the writer treats side history: it has a progress of its own.

use std::sync::Arc;

use crate::pipeline::dedup::SideFeed;
use crate::position::{EventPosition, TimeUs};
use crate::source::ConnectionInfo;

use super::Writer;

impl Writer {
    /// Notes when an event of the stream was processed. Side history says nothing about the stream.
    pub(super) fn note_processed(&self, is_side: bool) {
        if !is_side {
            self.config.metrics.last_event_at_us.set(crate::metrics::now_us());
        }
    }

    /// Notes that everything up to a position was in the lines so far.
    pub(super) fn advance_through(
        &mut self,
        connection: &Arc<ConnectionInfo>,
        side: Option<&SideFeed>,
        through: Option<EventPosition>,
        now: TimeUs,
    ) {
        match (side, through) {
            (_, None) => {}
            (None, Some(through)) => self.processor.advance_watermark(connection, through, now),
            (Some(feed), Some(through)) => {
                through.seq.into_iter().for_each(|seq| self.processor.advance_side(feed, seq));
            }
        }
    }
}
