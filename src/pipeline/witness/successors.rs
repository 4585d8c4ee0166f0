//! The events of each account in the order of the witness. Identity and account events have no rev, and
//! the servers' clocks differ, so that only this order says where a missing one belongs. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// Most accounts. The places of a few missing events are found by their times when there are more.
const MAX_ACCOUNTS: usize = 1 << 18;

/// The latest event of each account.
#[derive(Debug, Default)]
pub(super) struct Successors {
    latest: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Successors {
    /// Notes an event of an account by its dedup key. Returns that of the event before it.
    pub(super) fn note(&mut self, did: &str, identity: u64) -> Option<u64> {
        if self.latest.len() >= MAX_ACCOUNTS {
            self.latest.clear();
        }
        self.latest.insert(self.hasher.hash_one(did), identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_follows_the_one_before_it_of_its_account() {
        let mut successors = Successors::default();
        assert_eq!(successors.note("did:plc:a", 1), None);
        assert_eq!(successors.note("did:plc:b", 2), None);
        assert_eq!(successors.note("did:plc:a", 3), Some(1));
        assert_eq!(successors.note("did:plc:a", 4), Some(3));
        (0..2 * MAX_ACCOUNTS as u64).for_each(|i| {
            successors.note(&i.to_string(), i);
        });
        assert!(successors.latest.len() <= MAX_ACCOUNTS);
    }
}
