//! The time of a stream: the latest instant that several events support. Pure.
//!
//! A stranger can stamp an event with any time, and the clock decides about cursors, the end of
//! a run and the names of files. So a single event moves it on by `STEP_US` at most. A larger
//! step needs a second event that lies as far ahead. A step beyond this machine's own clock
//! needs `MANY` events, in case this machine's clock is the one that is wrong.

use super::{Position, TimeUs};

/// How far a single event may move the clock, in microseconds. A stream is hardly ever silent for
/// a whole second, and a new connection rewinds further than that.
const STEP_US: u64 = 1_000_000;

/// How far ahead of this machine's clock an event's time may be, in microseconds: both clocks may
/// be wrong.
const SLACK_US: u64 = 60_000_000;

/// An event that is older than the clock by no more than this, in microseconds, supports it.
/// Imported events, which prove nothing, are older.
const NEAR_US: u64 = 60_000_000;

/// How old an event may be when it arrives live, in microseconds.
const LATENCY_US: u64 = 5_000_000;

/// How many events outweigh this machine's clock.
const MANY: usize = 8;

/// The number of events that decide where the clock starts.
pub const FIRST_EVENTS: usize = 16;

/// 2024-01-01. A machine whose clock shows an earlier time has no clock.
const NO_CLOCK_BEFORE: TimeUs = TimeUs(1_704_067_200_000_000);

/// Returns whether this machine's clock is plausible.
#[must_use]
pub fn has_clock(now: TimeUs) -> bool {
    now >= NO_CLOCK_BEFORE
}

/// Returns whether `time` is further ahead of this machine's clock than two clocks differ. Without
/// a plausible clock no time is.
#[must_use]
pub fn is_ahead_of_now(time: TimeUs, now: TimeUs) -> bool {
    has_clock(now) && time > now.plus_us(SLACK_US)
}

/// The clock of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    latest: TimeUs,
    step_us: u64,
    /// This machine's clock at the latest batch.
    now: TimeUs,
    /// Times beyond `latest` that too few events support, at most one of each.
    suspects: [TimeUs; MANY],
    suspects_len: usize,
    /// Events since the start, as far as they matter.
    seen: usize,
    /// Events in a row that show this machine's time while `latest` lies ahead of it, or the time
    /// before the last jump.
    contradictions: usize,
    /// The clock before the last jump, and what came near it since; 0 once enough events support
    /// the jump.
    before_jump: TimeUs,
    /// Events that support the last jump.
    supports: usize,
}

impl Clock {
    /// Returns a clock that knows no time yet, for a stream that remembers `span_us`.
    #[must_use]
    pub fn new(span_us: u64) -> Self {
        Self {
            latest: TimeUs(0),
            // Less than the margin of a resume, which is half of the span.
            step_us: STEP_US.min(span_us / 4),
            now: TimeUs(0),
            suspects: [TimeUs(0); MANY],
            suspects_len: 0,
            seen: 0,
            contradictions: 0,
            before_jump: TimeUs(0),
            supports: 0,
        }
    }

    /// Returns the latest supported time; 0 before the first event.
    #[must_use]
    pub fn latest(&self) -> TimeUs {
        self.latest
    }

    /// Sets this machine's clock.
    pub fn set_now(&mut self, now: TimeUs) {
        self.now = now;
    }

    /// Sets the clock to a time that is known from elsewhere, such as a saved position.
    pub fn set(&mut self, latest: TimeUs) {
        (self.latest, self.suspects_len, self.seen) = (latest, 0, MANY);
        self.before_jump = TimeUs(0);
    }

    /// Advances the clock to a time that is known from elsewhere; never moves it back.
    pub fn reach(&mut self, time: TimeUs) {
        self.latest = self.latest.max(time);
    }

    /// Returns whether `time` is further ahead than a single event may move the clock.
    #[must_use]
    pub fn is_jump(&self, time: TimeUs) -> bool {
        // mutant: believes-one-event
        time > self.latest.plus_us(self.step_us)
    }

    /// Returns whether an event was ahead of the supported time, and no event since contradicts it.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.suspects_len > 0
    }

    /// Starts the clock from the times of the first events, in the order of arrival.
    pub fn start(&mut self, times: &[TimeUs]) {
        let Some(&first) = times.first() else { return };
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let middle = sorted.get((sorted.len() - 1) / 2).copied().unwrap_or(first);
        let is_near = |time: &&TimeUs| time.0.abs_diff(middle.0) <= NEAR_US;
        // The earliest one: the output must not begin after an event.
        let earliest = sorted.iter().find(is_near).copied().unwrap_or(middle);
        let start = if is_near(&&first) { first } else { earliest };
        let is_proven = times.len() >= MANY || !is_ahead_of_now(start, self.now);
        self.latest = if is_proven { start } else { self.now.minus_us(LATENCY_US) };
    }

    /// Updates the clock with the time of a new event.
    #[inline]
    pub fn note(&mut self, time: TimeUs) {
        let is_plain = !self.is_jump(time) && time.plus_us(NEAR_US) >= self.latest;
        let is_settled = self.suspects_len == 0 && self.before_jump == TimeUs(0);
        if is_plain && is_settled && self.seen >= MANY {
            self.contradictions = 0;
            self.latest = self.latest.max(time);
            return;
        }
        self.note_unusual(time);
    }

    #[cold]
    fn note_unusual(&mut self, time: TimeUs) {
        let is_first = self.latest == TimeUs(0);
        if is_first {
            self.start(&[time]);
        }
        self.seen += 1;
        if self.is_jump(time) {
            return self.suspect(time);
        }
        if time.plus_us(NEAR_US) >= self.latest {
            (self.suspects_len, self.contradictions) = (0, 0);
            self.latest = self.latest.max(time);
            self.supports += 1;
            if self.supports >= MANY {
                self.before_jump = TimeUs(0);
            }
            return;
        }
        if self.reverts_jump(time) {
            return;
        }
        // Much older: an imported event, or the first event's time was false, or a jump to a wrong
        // clock was accepted.
        let is_now = time.0.abs_diff(self.now.0) <= SLACK_US;
        if is_ahead_of_now(self.latest, self.now) && is_now {
            self.contradictions += 1;
        }
        if self.seen == 2 || self.contradictions >= MANY {
            (self.latest, self.suspects_len, self.contradictions) = (time, 0, 0);
        }
    }

    /// Reverts the last jump if many events in a row continue from the time before it: the
    /// events that supported it were all wrong. Returns whether it did.
    fn reverts_jump(&mut self, time: TimeUs) -> bool {
        let before = self.before_jump;
        if before == TimeUs(0) || time.0.abs_diff(before.0) > NEAR_US {
            return false;
        }
        self.before_jump = before.max(time);
        self.contradictions += 1;
        let is_wrong = self.contradictions >= MANY;
        if is_wrong {
            self.latest = self.before_jump;
            (self.before_jump, self.suspects_len, self.contradictions) = (TimeUs(0), 0, 0);
        }
        is_wrong
    }

    /// Adds a time that is too far ahead for one event, and jumps if enough events support it.
    fn suspect(&mut self, time: TimeUs) {
        // The same event, received again, does not count twice.
        if self.suspects().contains(&time) {
            return;
        }
        if self.suspects_len == MANY {
            self.suspects.rotate_left(1);
            self.suspects_len -= 1;
        }
        if let Some(free) = self.suspects.get_mut(self.suspects_len) {
            *free = time;
            self.suspects_len += 1;
        }
        let mut sorted = self.suspects;
        let Some(all) = sorted.get_mut(..self.suspects_len) else { return };
        all.sort_unstable();
        let plausible = all.partition_point(|time| !is_ahead_of_now(*time, self.now));
        let believed = match plausible {
            2.. => all.get(plausible - 2),
            _ if self.suspects_len == MANY => all.first(),
            _ => None,
        };
        if let Some(&believed) = believed {
            // If a second jump follows before the first one is supported, the time before the
            // first one counts.
            if self.before_jump == TimeUs(0) {
                self.before_jump = self.latest;
            }
            (self.supports, self.contradictions) = (0, 0);
            self.latest = believed;
            self.accept_suspects_within_step();
        }
    }

    /// Advances to the suspects that are within a step now, and forgets those.
    fn accept_suspects_within_step(&mut self) {
        let mut sorted = self.suspects;
        let Some(all) = sorted.get_mut(..self.suspects_len) else { return };
        all.sort_unstable();
        self.suspects_len = 0;
        for &time in all.iter() {
            if !self.is_jump(time) {
                self.latest = self.latest.max(time);
            } else if let Some(free) = self.suspects.get_mut(self.suspects_len) {
                *free = time;
                self.suspects_len += 1;
            }
        }
    }

    fn suspects(&self) -> &[TimeUs] {
        self.suspects.get(..self.suspects_len).unwrap_or_default()
    }
}

impl Position {
    /// Corrects those times of a saved position that are ahead of this machine's clock and that
    /// only one event supports: version 0.1.0 trusted it. Returns whether any time changed.
    pub fn recover(&mut self, now: TimeUs) -> bool {
        // A replay that begins after all written events would omit some.
        if self.rewind_to.seq.is_none() {
            self.rewind_to.time = self.rewind_to.time.min(self.max_time);
        }
        let (newest, rewind_to, latest) = (self.newest.time, self.rewind_to.time, self.max_time);
        let is_ahead = |time| is_ahead_of_now(time, now);
        // Events in a row, all ahead: this machine's clock is the one that is wrong.
        let is_wrong_here = [newest, rewind_to].iter().all(|time| is_ahead(*time))
            && rewind_to < newest
            && latest.0 - newest.0.min(latest.0) <= NEAR_US
            && latest <= now.plus_us(super::BELIEVED_AHEAD_US);
        if ![newest, rewind_to, latest].into_iter().any(is_ahead) || is_wrong_here {
            return false;
        }
        let known = [newest, rewind_to, latest].into_iter().filter(|time| !is_ahead(*time)).max();
        self.max_time = known.unwrap_or(now);
        self.newest.time = newest.min(self.max_time);
        self.rewind_to.time = rewind_to.min(self.max_time);
        true
    }
}

#[cfg(test)]
mod tests;
