//! Counts by name in bounded memory. Names come from the network, so their number and length are
//! limited; one count covers all other names.

use std::collections::HashMap;

/// Values of type `T` by name.
#[derive(Clone, Debug)]
pub struct NameCounts<T> {
    counts: HashMap<String, T>,
    max_names: usize,
    max_name_bytes: usize,
    /// The value of all names that exceed the limits.
    pub others: T,
}

impl<T: Default> NameCounts<T> {
    /// Creates an empty map for at most `max_names` names of at most `max_name_bytes` bytes.
    #[must_use]
    pub fn new(max_names: usize, max_name_bytes: usize) -> Self {
        Self { counts: HashMap::new(), max_names, max_name_bytes, others: T::default() }
    }

    /// Returns the value of a name, or of [`Self::others`] if the name exceeds the limits.
    pub fn entry(&mut self, name: &str) -> &mut T {
        let is_new = !self.counts.contains_key(name);
        if is_new && (self.counts.len() >= self.max_names || name.len() > self.max_name_bytes) {
            return &mut self.others;
        }
        if is_new {
            self.counts.insert(name.to_owned(), T::default());
        }
        // The name was inserted above.
        self.counts.get_mut(name).unwrap_or(&mut self.others)
    }

    /// Returns whether a new name would be counted with the others.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.counts.len() >= self.max_names
    }

    /// Removes the names whose value `keep` rejects, to make room for new ones.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.counts.retain(|_, count| keep(count));
    }

    /// Returns all names, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.counts.iter().map(|(name, count)| (name.as_str(), count))
    }

    /// Returns all names in descending order of `weight`, then by name.
    pub fn sorted(&self, weight: impl Fn(&T) -> u64) -> Vec<(&str, &T)> {
        let mut all: Vec<(&str, &T)> = self.iter().collect();
        all.sort_by(|(a, x), (b, y)| weight(y).cmp(&weight(x)).then(a.cmp(b)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_and_too_long_names_are_counted_together() {
        let mut names = NameCounts::<u64>::new(2, 3);
        for name in ["b", "a", "a", "c", "long", "b", "a"] {
            *names.entry(name) += 1;
        }
        assert_eq!(names.sorted(|n| *n), [("a", &3), ("b", &2)]);
        assert_eq!(names.others, 2);
        assert!(names.is_full());
        names.retain(|n| *n > 2);
        *names.entry("c") += 1;
        assert_eq!(names.sorted(|n| *n), [("a", &3), ("c", &1)]);
    }
}
