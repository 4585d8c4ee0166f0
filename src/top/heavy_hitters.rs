//! The most frequent of very many names, in bounded memory: the frequent-items algorithm of Misra
//! and Gries (1982), in batches. When the table is full, the median is subtracted from all counters
//! and the exhausted ones are dropped. A count is never too high, and too low by at most
//! [`HeavyHitters::error_bound`], which never exceeds twice the number of events divided by the
//! number of counters.

use std::collections::HashMap;

/// Maximum length of a counted name, in bytes; most DIDs have 32.
const MAX_NAME_BYTES: usize = 256;

/// Approximate counts of the most frequent names.
#[derive(Clone, Debug)]
pub struct HeavyHitters {
    counts: HashMap<Box<str>, u64>,
    capacity: usize,
    error_bound: u64,
}

impl HeavyHitters {
    /// Creates a table with at most `capacity` counters, and at least two.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { counts: HashMap::new(), capacity: capacity.max(2), error_bound: 0 }
    }

    /// Counts a name once. Names that are too long to be DIDs are ignored.
    pub fn add(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
            return;
        }
        if name.len() > MAX_NAME_BYTES {
            return;
        }
        if self.counts.len() >= self.capacity {
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

    /// Returns the names and their counts, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, count)| (&**name, *count))
    }

    /// Returns how much too low a count may be at most.
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
        hitters.add(&"x".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(hitters.error_bound(), 0);
        let counts: HashMap<&str, u64> = hitters.iter().collect();
        assert_eq!(counts, HashMap::from([("a", 3), ("b", 1), ("c", 1), ("d", 1)]));
    }

    proptest! {
        #[test]
        fn no_count_is_too_high_or_too_low_by_more_than_the_bound(
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
