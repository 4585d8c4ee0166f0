//! The filters of the v2 stream and their error texts (protocol/jetstream-v2.md §2). The parent
//! module has the different rules of `/subscribe`.

use std::collections::HashSet;

use crate::event::header::{self, Kind};
use crate::filter::{Collections, check_did};

const KINDS: [&str; 4] = ["commit", "identity", "account", "sync"];
/// The limits count raw values, including duplicates.
const MAX_KINDS: usize = 4;
const MAX_DIDS: usize = 10_000;
const MAX_COLLECTIONS: usize = 100;

/// The filter of a v2 connection.
#[derive(Clone, Debug, Default)]
pub(in crate::serve) struct V2Filter {
    kinds: Vec<&'static str>,
    dids: HashSet<String>,
    collections: Collections,
    /// Size of the largest event, in bytes; 0: unlimited.
    pub max_message_bytes: u32,
}

impl V2Filter {
    /// Builds a filter from lists of raw values; an empty list matches everything.
    ///
    /// # Errors
    /// The message of a 400 response.
    pub(in crate::serve) fn from_lists(
        kinds: &[String],
        dids: &[String],
        collections: &[String],
    ) -> Result<Self, String> {
        too_many("kinds", kinds.len(), MAX_KINDS)?;
        too_many("dids", dids.len(), MAX_DIDS)?;
        too_many("collections", collections.len(), MAX_COLLECTIONS)?;
        let mut filter = Self::default();
        for kind in kinds {
            let known = KINDS.into_iter().find(|k| k == kind);
            filter.kinds.push(known.ok_or_else(|| {
                format!("invalid kind: {kind:?}: expected commit, identity, account or sync")
            })?);
        }
        for did in dids {
            check_did(did).map_err(|_| format!("invalid DID: {did:?}"))?;
            filter.dids.insert(did.clone());
        }
        for collection in collections {
            // `PREFIX.*` requires that `PREFIX.x` is an NSID, so that the prefix has two labels at
            // least.
            let is_short = collection.strip_suffix(".*").is_some_and(|p| !p.contains('.'));
            let added = filter.collections.add(collection);
            if is_short || added.is_err() {
                return Err(format!("invalid collection: {collection:?}"));
            }
        }
        if !filter.collections.is_empty() && !filter.wants_kind("commit") {
            return Err("collections restrict commits, but kinds does not include commit".into());
        }
        Ok(filter)
    }

    fn wants_kind(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Returns whether a block may have matching events, given its collection names (a name with
    /// `$` denotes a kind, archive §4) and `has_did`, which returns whether it may have events of
    /// an account.
    pub(in crate::serve) fn may_match<'a>(
        &self,
        mut names: impl Iterator<Item = &'a str>,
        has_did: impl Fn(&str) -> bool,
    ) -> bool {
        let has_account = self.dids.is_empty() || self.dids.iter().any(|did| has_did(did));
        has_account
            && names.any(|name| match name.strip_prefix('$') {
                Some(kind) => self.wants_kind(kind),
                None => self.wants_kind("commit") && self.collections.matches(name),
            })
    }

    /// Returns whether an event matches, apart from its size.
    pub(in crate::serve) fn matches_event(&self, line: &[u8]) -> bool {
        if self.kinds.is_empty() && self.dids.is_empty() && self.collections.is_empty() {
            return true;
        }
        // Lines were validated when the recording was read.
        let Ok(header) = header::parse(line) else { return true };
        if !self.wants_kind(&header.kind_text)
            || !(self.dids.is_empty() || self.dids.contains(&*header.did))
        {
            return false;
        }
        let collection = header.commit.as_ref().map_or("", |commit| &*commit.collection);
        header.kind != Kind::Commit || self.collections.matches(collection)
    }
}

fn too_many(name: &str, count: usize, max: usize) -> Result<(), String> {
    if count > max { Err(format!("too many {name}: {count} > {max}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIKE: &[u8] = br#"{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"app.bsky.feed.like","rkey":"k"}}"#;
    const SYNC: &[u8] = br#"{"did":"did:plc:b","time_us":1,"kind":"sync","sync":{}}"#;

    fn filter(kinds: &[&str], dids: &[&str], collections: &[&str]) -> Result<V2Filter, String> {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        V2Filter::from_lists(&owned(kinds), &owned(dids), &owned(collections))
    }

    #[test]
    fn kinds_and_dids_restrict_all_and_collections_commits_only() {
        for (kinds, dids, collections, like, sync) in [
            (&[][..], &[][..], &[][..], true, true),
            (&["commit"], &[], &[], true, false),
            (&["sync", "identity"], &[], &[], false, true),
            (&[], &["did:plc:b"], &[], false, true),
            (&[], &[], &["app.bsky.feed.post"], false, true),
            (&[], &[], &["app.bsky.*"], true, true),
            (&["commit"], &[], &["app.bsky.feed.post"], false, false),
            (&["commit"], &["did:plc:a"], &["app.bsky.feed.like"], true, false),
        ] {
            let filter = filter(kinds, dids, collections).unwrap();
            let passed = (filter.matches_event(LIKE), filter.matches_event(SYNC));
            assert_eq!(passed, (like, sync), "{filter:?}");
        }
    }

    #[test]
    fn limits_count_duplicates_and_errors_name_the_value() {
        assert!(filter(&["commit"; 4], &["did:plc:a"; 10_000], &["app.bsky.x"; 100]).is_ok());
        for (kinds, dids, collections, words) in [
            (&["commit"; 5][..], &[][..], &[][..], "too many kinds: 5 > 4"),
            (&[], &["did:plc:a"; 10_001], &[], "too many dids: 10001 > 10000"),
            (&[], &[], &["app.bsky.x"; 101], "too many collections: 101 > 100"),
            (&["commits"], &[], &[], "invalid kind: \"commits\""),
            (&[""], &[], &[], "invalid kind: \"\""),
            (&[], &["bob"], &[], "invalid DID: \"bob\""),
            (&[], &[], &["app.*"], "invalid collection: \"app.*\""),
            (&[], &[], &[".*"], "invalid collection: \".*\""),
            (&[], &[], &["app.bsky.fo*"], "invalid collection"),
            (&["sync"], &[], &["app.bsky.*"], "does not include commit"),
        ] {
            let text = filter(kinds, dids, collections).unwrap_err();
            assert!(text.contains(words), "{text}");
        }
    }
}
