//! The writer's access to the output that waits for the witness (`--witness-hold`).

use crate::pipeline::channel::Item;
use crate::position::TimeUs;

use super::hold::{MAX_BYTES, MAX_EVENTS, Step};
use super::serve::WitnessSide;

impl WitnessSide {
    /// Returns the most event time of a batch that is kept back, in microseconds.
    #[must_use]
    pub fn hold_step_us(&self) -> u64 {
        self.config.window_us / 8
    }

    /// Keeps a batch of the server in use back, after which its stream's clock is `clock`.
    pub fn hold(&mut self, item: Item, clock: TimeUs) {
        if let Some(hold) = &mut self.hold {
            hold.push(item, clock);
        }
    }

    /// Returns what has waited long enough; with `all`, whatever waits.
    pub fn next_held(&mut self, all: bool) -> Option<Step> {
        let reached = if all { TimeUs(u64::MAX) } else { self.main_reached };
        let hold = self.hold.as_mut()?;
        hold.set_offset(self.matcher.offset_us());
        hold.next(reached)
    }

    /// Publishes how much waits, and logs when it is more than may be kept.
    pub(super) fn publish_hold(&mut self) {
        let Some(hold) = &mut self.hold else { return };
        let (events, bytes) = hold.size();
        let metrics = &self.config.metrics.witness;
        metrics.held_events.set(events as u64);
        metrics.held_bytes.set(bytes as u64);
        let was_full = hold.take_was_full();
        if was_full && !std::mem::replace(&mut self.is_hold_full, true) {
            tracing::warn!(
                "more output waits for the witness than --witness-hold keeps ({MAX_EVENTS} events, {} MiB): the oldest is printed before the witness can complete it; shorten --witness-window",
                MAX_BYTES >> 20
            );
        }
        self.is_hold_full &= events > MAX_EVENTS / 2 || bytes > MAX_BYTES / 2;
    }
}
