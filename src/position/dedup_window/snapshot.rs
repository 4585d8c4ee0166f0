//! The state of the window before a batch, for a sink that refuses a part of the batch.

use super::numbers::Numbers;
use super::{DedupWindow, RewindPoint};
use crate::position::EventPosition;
use crate::position::clock::Clock;

/// The state that [`DedupWindow::restore_snapshot`] returns to.
#[derive(Clone, Copy, Debug)]
pub struct WindowSnapshot {
    rewind_points: usize,
    inserted: u64,
    events: u64,
    clock: Clock,
    doubt_from: Option<u64>,
    numbers: Numbers,
    pending: Option<RewindPoint>,
}

impl DedupWindow {
    /// Returns the state to return to if the sink refuses events from here on. No key leaves the
    /// window until [`DedupWindow::settle`].
    #[must_use]
    pub fn snapshot(&self) -> WindowSnapshot {
        WindowSnapshot {
            rewind_points: self.rewind_points.len(),
            inserted: self.inserted(),
            events: self.events,
            clock: self.clock,
            doubt_from: self.doubt_from,
            numbers: self.numbers,
            pending: self.pending,
        }
    }

    /// Removes the keys that were inserted since `snapshot`, except the first `accepted`. Call
    /// [`DedupWindow::see_again`] with the position of each of those afterwards.
    pub fn restore_snapshot(&mut self, snapshot: WindowSnapshot, accepted: usize) {
        self.keep((snapshot.inserted - self.keys.evicted()) as usize + accepted);
        // The very first rewind point stays: it is the first event, and no connection has asked for
        // anything before it.
        self.rewind_points.truncate(snapshot.rewind_points.max(1));
        self.oldest = self.oldest.min(self.rewind_points.len().saturating_sub(1));
        self.events = snapshot.events;
        (self.clock, self.numbers, self.pending) =
            (snapshot.clock, snapshot.numbers, snapshot.pending);
        self.doubt_from = snapshot.doubt_from;
    }

    /// Notes the position of an event that was accepted before the rest of its batch was refused.
    pub fn see_again(&mut self, at: EventPosition) {
        self.see_time(at.time);
        at.seq.into_iter().for_each(|seq| self.numbers.note(seq));
    }

    /// Restores a snapshot and keeps the first keys since, whose positions are `accepted`.
    #[cfg(test)]
    pub(super) fn roll_back(&mut self, snapshot: WindowSnapshot, accepted: &[EventPosition]) {
        self.restore_snapshot(snapshot, accepted.len());
        accepted.iter().for_each(|at| self.see_again(*at));
    }

    /// Removes all keys except the oldest ones.
    pub(super) fn keep(&mut self, oldest: usize) {
        while self.keys.len() > oldest {
            self.keys.pop_back();
            self.held.pop_back();
        }
    }
}
