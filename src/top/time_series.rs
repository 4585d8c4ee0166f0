//! Counts over the last sixty complete slices of time and the current slice. Slices are numbered;
//! the caller defines their length. Slices without events cost nothing.

/// Number of complete slices that are kept.
pub const COMPLETE_SLICES: usize = 60;
/// Complete slices and the current one.
const SLICES: usize = COMPLETE_SLICES + 1;

/// Counts by slice, and their total.
#[derive(Clone, Debug)]
pub struct TimeSeries {
    counts: [u64; SLICES],
    newest: u64,
    total: u64,
}

impl Default for TimeSeries {
    fn default() -> Self {
        Self { counts: [0; SLICES], newest: 0, total: 0 }
    }
}

impl TimeSeries {
    /// Adds `n` to the slice `now`. Slice numbers must not decrease.
    pub fn add(&mut self, now: u64, n: u64) {
        let elapsed = now.saturating_sub(self.newest).min(SLICES as u64);
        for back in 0..elapsed {
            *self.slot(now - back) = 0;
        }
        self.newest = self.newest.max(now);
        let count = self.slot(now);
        *count = count.saturating_add(n);
        self.total = self.total.saturating_add(n);
    }

    fn slot(&mut self, slice: u64) -> &mut u64 {
        &mut self.counts[(slice % SLICES as u64) as usize]
    }

    /// Returns the count of a slice; 0 for slices that have expired or are in the future.
    fn count_at(&self, slice: u64) -> u64 {
        let is_known = slice <= self.newest && self.newest - slice < SLICES as u64;
        if is_known { self.counts[(slice % SLICES as u64) as usize] } else { 0 }
    }

    /// Returns the sum of the current slice `now` and of `complete` complete slices before it.
    #[must_use]
    pub fn sum_of_last(&self, now: u64, complete: u64) -> u64 {
        // Many series have been inactive for longer than that.
        let from = now.saturating_sub(complete.min(COMPLETE_SLICES as u64));
        (from..=now.min(self.newest)).map(|slice| self.count_at(slice)).sum()
    }

    /// Returns the counts of the complete slices before `now`, in order.
    #[must_use]
    pub fn series(&self, now: u64) -> Vec<u64> {
        let back = |back: u64| now.checked_sub(back).map_or(0, |slice| self.count_at(slice));
        (1..=COMPLETE_SLICES as u64).rev().map(back).collect()
    }

    /// Returns the sum of all counts since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slices_older_than_sixty_count_only_in_the_total() {
        let mut slices = TimeSeries::default();
        slices.add(0, 5);
        slices.add(3, 1);
        slices.add(3, 2);
        assert_eq!(
            (slices.sum_of_last(3, 0), slices.sum_of_last(3, 3), slices.sum_of_last(5, 3)),
            (3, 8, 3)
        );
        assert_eq!(slices.series(5)[54..], [0, 5, 0, 0, 3, 0]);
        assert_eq!(slices.series(3)[57..], [5, 0, 0]);
        slices.add(62, 7);
        assert_eq!((slices.sum_of_last(62, 60), slices.total()), (10, 15));
        assert_eq!(slices.sum_of_last(400, 60), 0);
        assert_eq!(slices.series(63).iter().sum::<u64>(), 10);
    }

    proptest! {
        #[test]
        fn it_matches_a_plain_list(steps in prop::collection::vec((0u64..90, 0u64..9), 1..50)) {
            let (mut slices, mut list, mut now) = (TimeSeries::default(), vec![0; 5000], 0);
            for (step, n) in steps {
                now += step;
                slices.add(now, n);
                list[now as usize] += n;
                let from = (now as usize).saturating_sub(COMPLETE_SLICES);
                prop_assert_eq!(slices.sum_of_last(now, 60), list[from..=now as usize].iter().sum::<u64>());
                prop_assert_eq!(slices.series(now).iter().sum::<u64>(), list[from..now as usize].iter().sum::<u64>());
            }
            prop_assert_eq!(slices.total(), list.iter().sum::<u64>());
        }
    }
}
