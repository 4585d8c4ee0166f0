//! The highest sequence number that is supported, and which event was seen under a number.
//!
//! As with times ([`crate::position::clock`]), a single number that lies far ahead proves
//! nothing: it would hide every later gap. It counts once a second one lies as far ahead.

use std::collections::VecDeque;

use super::keys::make_room;
use crate::position::Seq;

/// How far a single event moves the highest number on: about a minute of the whole network.
const STEP: u64 = 100_000;

/// So many new events in a row, each with a higher number than the last one, and all far below
/// the highest, prove that the highest one was a lie.
const MANY: u32 = 8;

/// The highest number, and what is known about numbers beyond it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    highest: Option<Seq>,
    /// A number far beyond, that one event has.
    suspect: Option<Seq>,
    /// The last of the new numbers far below, and how many came in a row.
    below: (u64, u32),
}

impl Numbers {
    pub(super) fn highest(&self) -> Option<Seq> {
        self.highest
    }

    pub(super) fn set(&mut self, highest: Option<Seq>) {
        *self = Self { highest, ..Self::default() };
    }

    pub(super) fn reach(&mut self, seq: Option<Seq>) {
        self.highest = self.highest.max(seq);
    }

    /// Returns whether a number is the highest so far.
    pub(super) fn is_ahead(&self, seq: Seq) -> bool {
        self.highest.is_none_or(|highest| seq > highest)
    }

    /// Returns whether a number is supported: it is the highest one, or below.
    pub(super) fn supports(&self, seq: Seq) -> bool {
        self.highest.is_some_and(|highest| seq <= highest)
    }

    /// Notes the number of a new event.
    #[inline]
    pub(super) fn note(&mut self, seq: Seq) {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            return;
        };
        match seq.0.checked_sub(highest.0) {
            Some(1..=STEP) => {
                (self.suspect, self.below) = (None, (0, 0));
                self.highest = Some(seq);
            }
            Some(0) => {}
            Some(_) => self.jump(seq),
            None if highest.0 - seq.0 > STEP => self.fall(seq),
            None => self.below = (0, 0),
        }
    }

    #[cold]
    fn jump(&mut self, seq: Seq) {
        match self.suspect {
            None => self.suspect = Some(seq),
            // The same event again is no second one.
            Some(suspect) if suspect == seq => {}
            Some(suspect) => {
                self.highest = Some(suspect.min(seq));
                let beyond = suspect.max(seq);
                let is_near = self.highest.is_some_and(|highest| beyond.0 - highest.0 <= STEP);
                self.suspect = (!is_near).then_some(beyond);
                self.highest = if is_near { Some(beyond) } else { self.highest };
            }
        }
    }

    #[cold]
    fn fall(&mut self, seq: Seq) {
        let (last, count) = self.below;
        let count = if seq.0 > last { count + 1 } else { 1 };
        self.below = (seq.0, count);
        if count >= MANY {
            self.set(Some(seq));
        }
    }
}

/// The numbers of the remembered events, in the order of the ring; 0 without one.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(VecDeque<u64>);

impl Held {
    #[inline(always)]
    pub(super) fn push(&mut self, seq: Option<Seq>) {
        make_room(&mut self.0);
        self.0.push_back(seq.map_or(0, |seq| seq.0));
    }

    pub(super) fn pop_front(&mut self) {
        self.0.pop_front();
    }

    pub(super) fn pop_back(&mut self) {
        self.0.pop_back();
    }

    /// Forgets the numbers, not the events: another server's numbers mean something else.
    pub(super) fn forget(&mut self) {
        self.0.iter_mut().for_each(|seq| *seq = 0);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the place of the event with this number. Numbers increase from event to event;
    /// if a server broke that rule, an event may not be found.
    pub(super) fn place(&self, seq: Seq) -> Option<usize> {
        let place = self.0.partition_point(|held| *held < seq.0);
        (self.0.get(place) == Some(&seq.0)).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn highest(seqs: impl IntoIterator<Item = u64>) -> u64 {
        let mut numbers = Numbers::default();
        seqs.into_iter().for_each(|seq| numbers.note(Seq(seq)));
        numbers.highest().map_or(0, |seq| seq.0)
    }

    #[test]
    fn a_single_number_far_ahead_counts_for_nothing() {
        let far = Seq::LIMIT - 1;
        assert_eq!(highest((1..50).chain([far])), 49);
        assert_eq!(highest((1..50).chain([far, far])), 49);
        assert_eq!(highest((1..50).chain([far]).chain(50..60).chain([far - 9]).chain(60..70)), 69);
    }

    #[test]
    fn sparse_numbers_are_one_event_behind() {
        assert_eq!(highest((1..10).map(|i| i * 1_000_000)), 8_000_000);
    }

    #[test]
    fn a_first_number_that_lied_is_given_up() {
        assert_eq!(highest([Seq::LIMIT - 1].into_iter().chain(1..8)), Seq::LIMIT - 1);
        assert_eq!(highest([Seq::LIMIT - 1].into_iter().chain(1..=8)), 8);
        // Not by numbers that are no stream.
        assert_eq!(highest([Seq::LIMIT - 1].into_iter().chain([5; 20])), Seq::LIMIT - 1);
    }
}
