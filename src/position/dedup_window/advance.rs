//! How an event moves the window: the clock, the sequence numbers and the rewind points.

use super::{DedupWindow, REWIND_POINTS, RewindPoint};
use crate::position::{EventPosition, TimeUs};

impl DedupWindow {
    /// Sets this machine's clock, and starts the stream's clock by the first events unless it runs.
    pub fn begin_batch(&mut self, now: TimeUs, first: impl FnOnce() -> Vec<TimeUs>) {
        self.clock.set_now(now);
        if self.latest() == TimeUs(0) {
            self.clock.start(&first());
        }
    }

    /// Notes a processed event. Call it before [`DedupWindow::insert`] for the same event. Returns
    /// the newest event whose position is supported now: this one, or the one before.
    pub fn advance(&mut self, at: EventPosition) -> Option<EventPosition> {
        self.advance_to(at, at.time)
    }

    /// As [`DedupWindow::advance`], for an event that claims another time than its position has.
    pub fn advance_to(&mut self, at: EventPosition, claimed: TimeUs) -> Option<EventPosition> {
        // An event that was placed where it came shares its place with the event before it, and a
        // replay from there brings both: it is not a rewind point.
        let is_ahead = claimed == at.time && self.is_ahead(at);
        self.is_replaying &= !is_ahead;
        self.see_time(claimed);
        if let Some(seq) = at.seq {
            self.numbers.note(seq);
        }
        self.current = at.seq;
        let supported = self.take_supported();
        let is_late = claimed != self.latest();
        let here = self.rewind_point(self.bounded(at), is_late);
        self.events += 1;
        if !self.supports(at) {
            // The lowest one: a false time is later than the events that follow it. Strictly,
            // because a replay from an instant brings the first event of that instant, too.
            let is_lower =
                |than: &RewindPoint| than.at != at && RewindPoint { at, ..here }.is_before(than.at);
            if is_ahead && self.pending.as_ref().is_none_or(is_lower) {
                self.pending = Some(RewindPoint { at, ..here });
            }
            let is_far = self.rewind_points.back().is_none_or(|last| self.is_far(last));
            if is_far {
                self.add_rewind_point(here);
            }
            return supported.or_else(|| is_far.then_some(here.at));
        }
        self.pending = None;
        self.set_rewind_point(here, is_ahead);
        Some(at)
    }

    /// Notes the time of an event. While only one event claims that the stream has jumped ahead,
    /// the clock is late, and so are the rewind points. When the clock follows the jump, they do,
    /// too: otherwise the window would forget events of the present as if they were old.
    pub fn see_time(&mut self, time: TimeUs) {
        let before = self.latest();
        self.clock.note(time);
        let latest = self.latest();
        if latest < before {
            self.on_clock_reverted();
        }
        if latest > before && self.has_late_point {
            self.move_late_points(latest);
        }
        if self.doubt_from.is_some() || self.clock.is_in_doubt() {
            self.follow_jump(latest > before);
        }
    }

    /// Moves the clocks of the late rewind points to the first time since. An event with a time of
    /// long ago (an imported one) or of the future says nothing about the time at which it came:
    /// after a silence that may be much later than the clock shows, and another server's replay
    /// brings it for as much longer.
    #[cold]
    fn move_late_points(&mut self, latest: TimeUs) {
        self.has_late_point = false;
        for point in self.rewind_points.iter_mut().filter(|point| point.is_late) {
            (point.clock, point.is_late) = (latest, false);
        }
    }

    #[cold]
    fn follow_jump(&mut self, has_jumped: bool) {
        let (from, latest) = (self.doubt_from.unwrap_or(self.inserted()), self.latest());
        if has_jumped {
            let points = self.rewind_points.iter_mut().filter(|point| point.index >= from);
            points.for_each(|point| point.clock = point.clock.max(latest));
        }
        let from = if has_jumped { self.inserted() } else { from };
        self.doubt_from = self.clock.is_in_doubt().then_some(from);
    }

    /// Corrects the times that the clock had accepted before it fell back.
    pub(super) fn on_clock_reverted(&mut self) {
        let latest = self.latest();
        for rewind_point in &mut self.rewind_points {
            rewind_point.clock = rewind_point.clock.min(latest);
            rewind_point.at.time = rewind_point.at.time.min(latest);
        }
        self.max_replayed_time = self.max_replayed_time.min(latest);
    }

    /// Returns whether other events support an event's position.
    pub(super) fn supports(&self, at: EventPosition) -> bool {
        match at.seq {
            Some(seq) => self.numbers.supports(seq),
            None => at.time <= self.latest(),
        }
    }

    /// Returns the position without what only the event itself claims.
    pub(super) fn bounded(&self, at: EventPosition) -> EventPosition {
        match self.supports(at) {
            true => at,
            false => EventPosition { time: self.latest(), seq: at.seq.and(self.numbers.highest()) },
        }
    }

    /// Returns the last event of a sparse stream if the next one supports it, and sets a rewind
    /// point there.
    pub(super) fn take_supported(&mut self) -> Option<EventPosition> {
        let pending = self.pending.filter(|pending| self.supports(pending.at))?;
        self.pending = None;
        let point = RewindPoint { clock: self.latest(), is_late: false, ..pending };
        self.set_rewind_point(point, true);
        Some(pending.at)
    }

    fn rewind_point(&self, at: EventPosition, is_late: bool) -> RewindPoint {
        let (index, events, clock) = (self.inserted(), self.events, self.latest());
        RewindPoint { at, clock, index, retain_from: index, events, is_late }
    }

    fn add_rewind_point(&mut self, point: RewindPoint) {
        self.has_late_point |= point.is_late;
        self.rewind_points.push_back(point);
    }

    /// Sets a rewind point at an event if one is due.
    pub(super) fn set_rewind_point(&mut self, here: RewindPoint, is_ahead: bool) {
        let due = self.rewind_points.back().is_none_or(|last| {
            let seen = here.events - last.events;
            let clock_due = last.clock.plus_us(self.span_us / REWIND_POINTS);
            let regular = here.clock >= clock_due || seen >= self.max_events / REWIND_POINTS;
            (regular && is_ahead) || seen >= self.max_events
        });
        if due {
            self.add_rewind_point(here);
        }
    }
}
