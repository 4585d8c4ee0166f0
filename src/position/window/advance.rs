//! How an event moves the window on: the clock, the numbers and the milestones.

use super::{MAX_EVENTS, MILESTONES, Milestone, Window};
use crate::position::{Mark, TimeUs};

impl Window {
    /// Sets this machine's clock, and starts the stream's by the first events if it stands.
    pub fn begin_batch(&mut self, now: TimeUs, first: impl FnOnce() -> Vec<TimeUs>) {
        self.clock.set_now(now);
        if self.latest() == TimeUs(0) {
            self.clock.start(&first());
        }
    }

    /// Notes an event that was dealt with; call it before [`Window::insert`] for the same one.
    /// Returns the newest event whose place is supported by now: this one, or the one before.
    pub fn advance(&mut self, mark: Mark) -> Option<Mark> {
        self.advance_to(mark, mark.time)
    }

    /// As [`Window::advance`], for an event that claims another time than its place has.
    pub fn advance_to(&mut self, mark: Mark, claimed: TimeUs) -> Option<Mark> {
        let is_ahead = self.is_ahead(mark);
        self.is_replaying &= !is_ahead;
        self.see_time(claimed);
        if let Some(seq) = mark.seq {
            self.numbers.note(seq);
        }
        self.current = mark.seq;
        let supported = self.take_supported();
        let here = self.milestone(self.bounded(mark));
        self.events += 1;
        if !self.supports(mark) {
            // The lowest one: a lie is higher than what follows it.
            let is_lower = |than: &Milestone| Milestone { mark, ..here }.is_before(than.mark);
            if is_ahead && self.pending.as_ref().is_none_or(is_lower) {
                self.pending = Some(Milestone { mark, ..here });
            }
            let is_far = self.milestones.back().is_none_or(|last| self.is_far(last));
            if is_far {
                self.milestones.push_back(here);
            }
            return supported.or_else(|| is_far.then_some(here.mark));
        }
        self.pending = None;
        self.divide(here, is_ahead);
        Some(mark)
    }

    /// Notes the time of an event that was not dealt with.
    pub fn see_time(&mut self, time: TimeUs) {
        let before = self.latest();
        self.clock.note(time);
        if self.latest() < before {
            self.turn_back();
        }
    }

    /// The clock had believed a wrong time: nothing lies ahead of it now.
    pub(super) fn turn_back(&mut self) {
        let latest = self.latest();
        for milestone in &mut self.milestones {
            milestone.clock = milestone.clock.min(latest);
            milestone.mark.time = milestone.mark.time.min(latest);
        }
        self.latest_again = self.latest_again.min(latest);
    }

    /// Returns whether an event's place is more than its own claim.
    pub(super) fn supports(&self, mark: Mark) -> bool {
        match mark.seq {
            Some(seq) => self.numbers.supports(seq),
            None => mark.time <= self.latest(),
        }
    }

    /// Returns the mark without what only the event itself claims.
    pub(super) fn bounded(&self, mark: Mark) -> Mark {
        match self.supports(mark) {
            true => mark,
            false => Mark { time: self.latest(), seq: mark.seq.and(self.numbers.highest()) },
        }
    }

    /// Returns the sparse stream's last event, if it has got its support, and divides there.
    pub(super) fn take_supported(&mut self) -> Option<Mark> {
        let pending = self.pending.filter(|pending| self.supports(pending.mark))?;
        self.pending = None;
        self.divide(Milestone { clock: self.latest(), ..pending }, true);
        Some(pending.mark)
    }

    pub(super) fn milestone(&self, mark: Mark) -> Milestone {
        let (index, events) = (self.entered(), self.events);
        Milestone { mark, clock: self.latest(), index, keeps_from: index, events }
    }

    /// Sets a milestone at an event, if it is time for one.
    pub(super) fn divide(&mut self, here: Milestone, is_ahead: bool) {
        let due = self.milestones.back().is_none_or(|last| {
            let seen = here.events - last.events;
            let clock_due = last.clock.plus_us(self.span_us / MILESTONES);
            let regular = here.clock >= clock_due || seen >= MAX_EVENTS / MILESTONES;
            (regular && is_ahead) || seen >= MAX_EVENTS
        });
        if due {
            self.milestones.push_back(here);
        }
    }
}
