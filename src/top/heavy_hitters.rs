//! The busiest of very many names, in bounded memory: a table of counters that drops the
//! smaller half when it is full, and takes from the others what that half had (the frequent
//! items of Misra and Gries, 1982, in batches). A count is never too high, and too low by
//! [`HeavyHitters::error_bound`] at most, which is never more than two times the events divided by the
//! counters of the table.

use std::collections::HashMap;

/// Longest name that is counted, in bytes; a DID of the AT Protocol has 32 mostly.
const LONGEST_NAME_BYTES: usize = 256;

/// Counts by name, of the hitters ones.
#[derive(Clone, Debug)]
pub struct HeavyHitters {
    counts: HashMap<Box<str>, u64>,
    most: usize,
    error_bound: u64,
}

impl HeavyHitters {
    /// A table of at most `most` counters, two at least.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { counts: HashMap::new(), most: most.max(2), error_bound: 0 }
    }

    /// Counts a name once. Names that can't be DIDs, by their length, are not counted.
    pub fn add(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
            return;
        }
        if name.len() > LONGEST_NAME_BYTES {
            return;
        }
        if self.counts.len() >= self.most {
            self.compact();
        }
        self.counts.insert(name.into(), 1);
    }

    fn compact(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.error_bound += median;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(median);
            *count > 0
        });
    }

    /// The names and their counts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, count)| (&**name, *count))
    }

    /// By how much a count may be too low at most.
    #[must_use]
    pub fn error_bound(&self) -> u64 {
        self.error_bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_names_are_counted_exactly() {
        let mut hitters = HeavyHitters::new(4);
        ["a", "b", "a", "c", "a", "d"].iter().for_each(|name| hitters.add(name));
        hitters.add(&"x".repeat(LONGEST_NAME_BYTES + 1));
        assert_eq!(hitters.error_bound(), 0);
        let counts: HashMap<&str, u64> = hitters.iter().collect();
        assert_eq!(counts, HashMap::from([("a", 3), ("b", 1), ("c", 1), ("d", 1)]));
    }

    proptest! {
        #[test]
        fn no_count_is_too_high_or_missed_by_more_than_it_says(
            names in prop::collection::vec(prop_oneof![0u32..4, 0u32..500], 0..2000)
        ) {
            let (mut hitters, mut truth) = (HeavyHitters::new(32), HashMap::<String, u64>::new());
            for name in &names {
                let name = name.to_string();
                hitters.add(&name);
                *truth.entry(name).or_default() += 1;
                prop_assert!(hitters.counts.len() <= 32);
            }
            prop_assert!(hitters.error_bound() <= 2 * names.len() as u64 / 32);
            let counted: HashMap<&str, u64> = hitters.iter().collect();
            for (name, true_count) in &truth {
                let count = counted.get(name.as_str()).copied().unwrap_or(0);
                prop_assert!(count <= *true_count && count + hitters.error_bound() >= *true_count);
            }
        }
    }
}
