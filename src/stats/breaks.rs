//! Gaps: times without an event that are longer than they should be.

use crate::position::TimeUs;

/// Most gaps kept; the longest ones.
const MOST_KEPT: usize = 100;

/// A gap is measured from the latest of so many events before it: a single event with an old
/// time (an import, a clock that stepped) begins none.
const LOOKS_BACK: usize = 16;

/// One gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// The event in front of it.
    pub from: TimeUs,
    /// The event behind it.
    pub to: TimeUs,
}

impl Break {
    /// Its length, in microseconds.
    #[must_use]
    pub fn us(&self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }
}

/// The gaps of a stream of times.
#[derive(Clone, Debug)]
pub struct Breaks {
    /// What is longer than this is a gap, in microseconds.
    pub over_us: u64,
    /// How many.
    pub count: u64,
    /// Their lengths together, in microseconds.
    pub sum_us: u64,
    last: [u64; LOOKS_BACK],
    seen: usize,
    longest: Vec<Break>,
}

impl Breaks {
    /// Of more than `over_us` microseconds.
    #[must_use]
    pub fn new(over_us: u64) -> Self {
        let last = [0; LOOKS_BACK];
        Self { over_us, count: 0, sum_us: 0, last, seen: 0, longest: Vec::new() }
    }

    /// The next event's time.
    pub fn add(&mut self, time: TimeUs) {
        let latest = self.last.iter().copied().max().unwrap_or(0);
        if latest > 0 && time.0.saturating_sub(latest) > self.over_us {
            self.found(Break { from: TimeUs(latest), to: time });
        }
        if let Some(place) = self.last.get_mut(self.seen % LOOKS_BACK) {
            *place = time.0;
        }
        self.seen = (self.seen + 1) % LOOKS_BACK;
    }

    fn found(&mut self, gap: Break) {
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(gap.us());
        self.longest.push(gap);
        // Twice as many may wait, so that not each of many gaps costs a sort.
        if self.longest.len() >= 2 * MOST_KEPT {
            self.longest = self.longest(MOST_KEPT);
        }
    }

    /// The `most` longest gaps (of 100 at most), the longest first.
    #[must_use]
    pub fn longest(&self, most: usize) -> Vec<Break> {
        let mut longest = self.longest.clone();
        longest.sort_by_key(|gap| (std::cmp::Reverse(gap.us()), gap.from));
        longest.truncate(most.min(MOST_KEPT));
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = u64>) -> Breaks {
        let mut breaks = Breaks::new(10);
        times.into_iter().for_each(|time| breaks.add(TimeUs(time)));
        breaks
    }

    #[test]
    fn a_gap_is_more_than_allowed() {
        let breaks = of([1000, 1010, 1021, 1022, 1050]);
        assert_eq!((breaks.count, breaks.sum_us), (2, 39));
        let gap = |from, to| Break { from: TimeUs(from), to: TimeUs(to) };
        assert_eq!(breaks.longest(9), [gap(1022, 1050), gap(1010, 1021)]);
        assert_eq!(breaks.longest(1), [gap(1022, 1050)]);
        assert_eq!(of([5]).count, 0);
    }

    #[test]
    fn an_old_time_in_between_begins_no_gap() {
        assert_eq!(of([1000, 1001, 3, 1002, 1003]).count, 0);
    }

    #[test]
    fn the_longest_of_many_are_kept() {
        let breaks = of((0..1000u64).map(|n| 1 + n * (n + 100)));
        assert_eq!(breaks.count, 999);
        assert!(breaks.longest.len() < 2 * MOST_KEPT);
        let longest = breaks.longest(1000);
        assert_eq!(longest.len(), MOST_KEPT);
        assert_eq!(longest[0].us(), 999 * 1099 - 998 * 1098);
        assert!(longest.is_sorted_by_key(|gap| std::cmp::Reverse(gap.us())));
    }
}
