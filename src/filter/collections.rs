//! A set of NSIDs and NSID patterns. The time of a match does not depend on the size of the set.

use std::collections::HashSet;

use super::FilterError;
use super::syntax::{is_nsid, is_pattern_prefix};

/// The number of names up to which a comparison with each takes less time than a hash: most filters.
const FEW: usize = 4;

/// A set of NSIDs and `prefix.*` patterns. An empty set matches every collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    exact: HashSet<String>,
    /// `app.bsky.feed.` for the pattern `app.bsky.feed.*`.
    prefixes: HashSet<String>,
}

impl Collections {
    /// Adds one NSID or pattern.
    ///
    /// # Errors
    /// [`FilterError::Collection`] if `value` is neither.
    pub fn add(&mut self, value: &str) -> Result<(), FilterError> {
        match value.strip_suffix(".*") {
            Some(prefix) if is_pattern_prefix(prefix) => self.prefixes.insert(format!("{prefix}.")),
            None if is_nsid(value) => self.exact.insert(value.into()),
            _ => return Err(FilterError::Collection(value.into())),
        };
        Ok(())
    }

    /// Returns whether the set has no entries, and so matches every collection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.prefixes.len()
    }

    /// Returns the entries in the form that [`Collections::add`] takes, sorted.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        let prefixes = self.prefixes.iter().map(|p| format!("{p}*"));
        let mut all: Vec<String> = self.exact.iter().cloned().chain(prefixes).collect();
        all.sort();
        all
    }

    /// Returns whether the set has the collection, or a pattern for it, or is empty.
    #[must_use]
    pub fn matches(&self, collection: &str) -> bool {
        self.is_empty() || self.contains(collection)
    }

    /// As [`Collections::matches`], for bytes that may be no text.
    #[must_use]
    #[inline]
    pub fn may_match(&self, collection: &[u8]) -> bool {
        if self.prefixes.is_empty() && (1..=FEW).contains(&self.exact.len()) {
            return self.exact.iter().any(|name| name.as_bytes() == collection);
        }
        self.is_empty() || str::from_utf8(collection).is_ok_and(|name| self.contains(name))
    }

    /// Returns whether the set has the collection, or a pattern for it.
    #[must_use]
    pub fn contains(&self, collection: &str) -> bool {
        let is_exact = match self.exact.len() {
            0..=FEW => self.exact.iter().any(|name| name == collection),
            _ => self.exact.contains(collection),
        };
        if is_exact {
            return true;
        }
        !self.prefixes.is_empty()
            && collection
                .match_indices('.')
                .filter_map(|(dot, _)| collection.get(..=dot))
                .any(|prefix| self.prefixes.contains(prefix))
    }

    /// Returns whether the set has every collection of `other`, which is not empty.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.exact.iter().chain(&other.prefixes).all(|name| self.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> Collections {
        let mut set = Collections::default();
        values.iter().for_each(|v| set.add(v).unwrap());
        set
    }

    #[test]
    fn a_pattern_matches_whole_labels_at_any_depth() {
        let feed = set(&["app.bsky.feed.*"]);
        assert!(feed.matches("app.bsky.feed.post"));
        assert!(feed.matches("app.bsky.feed.deep.er"));
        assert!(!feed.matches("app.bsky.feedgen.x"));
        assert!(!feed.matches("app.bsky.feed"));
        assert!(!feed.matches(""));
    }

    #[test]
    fn bytes_match_as_text_does() {
        let names = ["a.b.c", "a.b.d", "a.b.c.e", "x.y.z", ""];
        for patterns in
            [&[][..], &["a.b.c"], &["a.b.*"], &["a.b.c", "a.b.d", "c.d.e", "c.d.f", "c.d.g"]]
        {
            let set = set(patterns);
            for name in names {
                assert_eq!(
                    set.may_match(name.as_bytes()),
                    set.matches(name),
                    "{patterns:?} {name}"
                );
            }
            assert_eq!(set.may_match(b"a.b.\xff"), set.is_empty());
        }
    }

    #[test]
    fn a_set_covers_another_by_its_patterns() {
        let all = set(&["app.bsky.*", "a.b.c"]);
        assert!(all.covers(&set(&[
            "app.bsky.feed.post",
            "app.bsky.*",
            "app.bsky.graph.*",
            "a.b.c"
        ])));
        for more in ["app.*", "a.b.d", "a.b.c.*"] {
            assert!(!all.covers(&set(&["a.b.c", more])), "{more}");
        }
        assert!(!set(&[]).contains("a.b.c") && set(&[]).matches("a.b.c"));
    }

    #[test]
    fn rejects_values_that_are_neither_nsid_nor_pattern() {
        for bad in ["", "*", ".*", "app.bsky.fo*", "app.*.post", "post", "app.bsky.feed.*x"] {
            assert_eq!(set(&[]).add(bad), Err(FilterError::Collection(bad.into())), "{bad}");
        }
    }

    #[test]
    fn repeated_entries_count_once() {
        assert_eq!(set(&["a.b.c", "a.b.c", "a.*", "a.*"]).patterns(), ["a.*", "a.b.c"]);
    }
}
