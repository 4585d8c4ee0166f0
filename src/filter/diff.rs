//! What a change of the lists of a filter adds and removes.

use super::{Collections, Filter};

/// The entries by which the lists of two filters differ, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterDiff {
    /// Accounts that only the new filter lists.
    pub added_dids: Vec<String>,
    /// Accounts that only the old filter lists.
    pub removed_dids: Vec<String>,
    /// Collections and patterns that only the new filter lists.
    pub added_collections: Vec<String>,
    /// Collections and patterns that only the old filter lists.
    pub removed_collections: Vec<String>,
    /// Collections and patterns that only the new filter leaves out.
    pub added_exclusions: Vec<String>,
    /// Collections and patterns that only the old filter leaves out.
    pub removed_exclusions: Vec<String>,
}

impl FilterDiff {
    /// Compares the lists of `before` and `after`.
    #[must_use]
    pub fn between(before: &Filter, after: &Filter) -> Self {
        let only = |a: &Filter, b: &Filter| {
            let mut dids: Vec<String> = a.dids.difference(&b.dids).cloned().collect();
            dids.sort_unstable();
            dids
        };
        Self {
            added_dids: only(after, before),
            removed_dids: only(before, after),
            added_collections: entries_of(&after.collections, &before.collections),
            removed_collections: entries_of(&before.collections, &after.collections),
            added_exclusions: entries_of(&after.excluded, &before.excluded),
            removed_exclusions: entries_of(&before.excluded, &after.excluded),
        }
    }

    /// Returns whether the lists are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns how many entries came and went: accounts, collections, and excluded collections.
    #[must_use]
    pub fn counts(&self) -> [(usize, usize); 3] {
        [
            (self.added_dids.len(), self.removed_dids.len()),
            (self.added_collections.len(), self.removed_collections.len()),
            (self.added_exclusions.len(), self.removed_exclusions.len()),
        ]
    }
}

/// Returns the entries of `of` that `than` does not list.
fn entries_of(of: &Collections, than: &Collections) -> Vec<String> {
    let (entries, others) = (of.patterns(), than.patterns());
    entries.into_iter().filter(|entry| others.binary_search(entry).is_err()).collect()
}

impl Filter {
    /// Returns whether servers that apply this filter's lists send every event that a server with
    /// the lists of `after` would send. The filters differ in their lists only.
    #[must_use]
    pub fn requests_cover(&self, after: &Self) -> bool {
        let dids =
            self.dids.is_empty() || (!after.dids.is_empty() && after.dids.is_subset(&self.dids));
        let collections = self.collections.is_empty()
            || (!after.collections.is_empty() && self.collections.covers(&after.collections));
        dids && collections
    }

    /// Returns whether both filters ask servers for the same events. The filters differ in their
    /// lists only.
    #[must_use]
    pub fn requests_equal(&self, other: &Self) -> bool {
        self.dids == other.dids && self.collections == other.collections
    }

    /// Returns whether the lists of both filters are the same.
    #[must_use]
    pub fn lists_equal(&self, other: &Self) -> bool {
        self.requests_equal(other) && self.excluded == other.excluded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::header::{Header, parse};

    const ACCOUNTS: [&str; 4] = ["did:plc:a", "did:plc:b", "did:plc:c", "did:plc:d"];
    const PATTERNS: [&str; 6] = ["a.b.c", "a.b.d", "a.b.*", "a.*", "x.y.z", "a.b.c.d"];

    fn filters() -> impl Strategy<Value = Filter> {
        let lists = (
            prop::collection::vec(0..ACCOUNTS.len(), 0..4),
            prop::collection::vec(0..PATTERNS.len(), 0..4),
            prop::collection::vec(0..PATTERNS.len(), 0..3),
        );
        lists.prop_map(|(dids, collections, excluded)| {
            let dids = dids.into_iter().map(|i| ACCOUNTS[i].to_owned()).collect();
            let mut filter = Filter { dids, ..Filter::default() };
            collections.into_iter().for_each(|i| filter.collections.add(PATTERNS[i]).unwrap());
            excluded.into_iter().for_each(|i| filter.excluded.add(PATTERNS[i]).unwrap());
            filter
        })
    }

    fn events() -> Vec<String> {
        let mut events = Vec::new();
        for did in ACCOUNTS {
            events
                .push(format!(r#"{{"did":"{did}","time_us":1,"kind":"account","account":{{}}}}"#));
            for collection in ["a.b.c", "a.b.d", "a.b.c.d", "a.q.r", "x.y.z", "o.o.o"] {
                events.push(format!(
                    r#"{{"did":"{did}","time_us":1,"kind":"commit","commit":{{"rev":"r","operation":"create","collection":"{collection}","rkey":"k"}}}}"#
                ));
            }
        }
        events
    }

    fn with<T>(line: &str, look: impl FnOnce(&Header<'_>) -> T) -> T {
        look(&parse(line.as_bytes()).unwrap())
    }

    proptest! {
        /// Applying what a diff says to the old lists gives the new ones.
        #[test]
        fn a_diff_leads_from_one_filter_to_the_other(before in filters(), after in filters()) {
            let diff = FilterDiff::between(&before, &after);
            let mut dids = before.dids.clone();
            dids.extend(diff.added_dids.iter().cloned());
            diff.removed_dids.iter().for_each(|did| { dids.remove(did); });
            prop_assert_eq!(&dids, &after.dids);
            for (old, new, added, removed) in [
                (&before.collections, &after.collections, &diff.added_collections, &diff.removed_collections),
                (&before.excluded, &after.excluded, &diff.added_exclusions, &diff.removed_exclusions),
            ] {
                let mut entries: Vec<String> =
                    old.patterns().into_iter().filter(|e| !removed.contains(e)).collect();
                entries.extend(added.iter().cloned());
                entries.sort();
                prop_assert_eq!(entries, new.patterns());
            }
            let back = FilterDiff::between(&after, &before);
            prop_assert_eq!((diff.added_dids, diff.added_collections), (back.removed_dids, back.removed_collections));
        }

        /// If the old request covers the new one, a server that still applies the old one omits
        /// nothing that the new filter wants.
        #[test]
        fn a_request_that_covers_another_omits_none_of_its_events(
            before in filters(), after in filters()
        ) {
            let covers = before.requests_cover(&after);
            for line in events() {
                let (sent, wanted) = with(&line, |header| {
                    (before.server_would_send(header), after.server_would_send(header))
                });
                prop_assert!(!covers || sent || !wanted, "{line}");
            }
            prop_assert!(!before.requests_equal(&after) || covers);
        }
    }

    #[test]
    fn adding_to_a_list_is_not_covered_and_removing_is() {
        let dids = |dids: &[&str]| Filter {
            dids: dids.iter().map(|&did| did.to_owned()).collect(),
            ..Filter::default()
        };
        let (one, two) = (dids(&["did:plc:a"]), dids(&["did:plc:a", "did:plc:b"]));
        assert!(two.requests_cover(&one) && !one.requests_cover(&two));
        assert_eq!(FilterDiff::between(&one, &two).counts()[0], (1, 0));
        assert!(FilterDiff::between(&one, &one).is_empty());
    }
}
