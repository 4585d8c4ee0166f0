//! Gaps: spans without events that are longer than a threshold.

use crate::position::TimeUs;

/// Maximum number of stored gaps; the longest are kept.
const MAX_KEPT: usize = 100;

/// A gap starts at the latest of this many preceding events, so that a single event with an old
/// time (an import, a clock step) starts no gap.
const LOOKBACK_EVENTS: usize = 16;

/// A span without events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeGap {
    /// Time of the event before the gap.
    pub from: TimeUs,
    /// Time of the event after the gap.
    pub to: TimeUs,
}

impl TimeGap {
    /// Returns the length in microseconds.
    #[must_use]
    pub fn us(&self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }
}

/// Finds the gaps in a sequence of event times.
#[derive(Clone, Debug)]
pub struct TimeGaps {
    /// Threshold in microseconds.
    pub over_us: u64,
    /// Number of gaps.
    pub count: u64,
    /// Total length of all gaps, in microseconds.
    pub sum_us: u64,
    last: [u64; LOOKBACK_EVENTS],
    next_slot: usize,
    longest: Vec<TimeGap>,
}

impl TimeGaps {
    /// Creates a detector for gaps longer than `over_us` microseconds.
    #[must_use]
    pub fn new(over_us: u64) -> Self {
        let last = [0; LOOKBACK_EVENTS];
        Self { over_us, count: 0, sum_us: 0, last, next_slot: 0, longest: Vec::new() }
    }

    /// Adds the time of the next event.
    pub fn add(&mut self, time: TimeUs) {
        let latest = self.last.iter().copied().max().unwrap_or(0);
        if latest > 0 && time.0.saturating_sub(latest) > self.over_us {
            self.record(TimeGap { from: TimeUs(latest), to: time });
        }
        if let Some(slot) = self.last.get_mut(self.next_slot % LOOKBACK_EVENTS) {
            *slot = time.0;
        }
        self.next_slot = (self.next_slot + 1) % LOOKBACK_EVENTS;
    }

    fn record(&mut self, gap: TimeGap) {
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(gap.us());
        self.longest.push(gap);
        // Sorting only when twice as many are stored keeps the cost per gap low.
        if self.longest.len() >= 2 * MAX_KEPT {
            self.longest = self.longest(MAX_KEPT);
        }
    }

    /// Returns the `limit` longest gaps (at most 100), in descending order of length.
    #[must_use]
    pub fn longest(&self, limit: usize) -> Vec<TimeGap> {
        let mut longest = self.longest.clone();
        longest.sort_by_key(|gap| (std::cmp::Reverse(gap.us()), gap.from));
        longest.truncate(limit.min(MAX_KEPT));
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = u64>) -> TimeGaps {
        let mut gaps = TimeGaps::new(10);
        times.into_iter().for_each(|time| gaps.add(TimeUs(time)));
        gaps
    }

    #[test]
    fn a_gap_is_longer_than_the_threshold() {
        let gaps = of([1000, 1010, 1021, 1022, 1050]);
        assert_eq!((gaps.count, gaps.sum_us), (2, 39));
        let gap = |from, to| TimeGap { from: TimeUs(from), to: TimeUs(to) };
        assert_eq!(gaps.longest(9), [gap(1022, 1050), gap(1010, 1021)]);
        assert_eq!(gaps.longest(1), [gap(1022, 1050)]);
        assert_eq!(of([5]).count, 0);
    }

    #[test]
    fn a_single_old_time_starts_no_gap() {
        assert_eq!(of([1000, 1001, 3, 1002, 1003]).count, 0);
    }

    #[test]
    fn the_longest_of_many_are_kept() {
        let gaps = of((0..1000u64).map(|n| 1 + n * (n + 100)));
        assert_eq!(gaps.count, 999);
        assert!(gaps.longest.len() < 2 * MAX_KEPT);
        let longest = gaps.longest(1000);
        assert_eq!(longest.len(), MAX_KEPT);
        assert_eq!(longest[0].us(), 999 * 1099 - 998 * 1098);
        assert!(longest.is_sorted_by_key(|gap| std::cmp::Reverse(gap.us())));
    }
}
