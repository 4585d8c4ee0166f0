//! Decides which events a run outputs. The same rules apply to requests to servers, to the output,
//! and to `skytail serve`.

pub mod additions;
mod collections;
mod diff;
mod fingerprint;
mod grep;
pub mod known_collections;
mod languages;
mod markers;
mod record_rules;
mod sample;
pub mod syntax;

use std::collections::HashSet;

pub use collections::Collections;
pub use diff::FilterDiff;
pub use grep::{Grep, GrepError};
pub use languages::{InvalidLanguage, Languages};
pub use markers::{Markers, Taken};
pub use sample::{Sample, SampleBy};

use crate::event::header::{Header, Kind, Operation};
use crate::event::header_spans::HeaderSpans;

/// The events to output. An empty list does not restrict anything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// NSIDs and `prefix.*` patterns. They restrict commits only; `kinds` can exclude other events.
    pub collections: Collections,
    /// DIDs of repositories.
    pub dids: HashSet<String>,
    /// Kinds of events.
    pub kinds: Vec<Kind>,
    /// Operations of commits. Like `collections`, they restrict commits only.
    pub operations: Vec<Operation>,
    /// The longest event, in bytes of its JSON.
    pub max_message_bytes: Option<u32>,
    /// NSIDs and patterns of commits to leave out. No server knows this rule.
    pub excluded: Collections,
    /// Languages of records. They restrict commits only, and no server knows them.
    pub languages: Languages,
    /// What a string of a record must match. It restricts commits only, and no server knows it.
    pub grep: Option<Grep>,
    /// The part of all events to take. No server knows it.
    pub sample: Option<Sample>,
    /// Whether to take markers too, which most of the rules above would drop.
    pub markers: Markers,
}

/// Why a filter value is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The value is neither an NSID nor a pattern.
    #[error(
        "{0:?} is not a collection: write an NSID like app.bsky.feed.post, or a prefix like app.bsky.feed.*"
    )]
    Collection(String),
    /// The value is not a DID.
    #[error(
        "{0:?} is not a DID: write one like did:plc:z72i7hdynmk6r22z27h6tvur or did:web:example.com"
    )]
    Did(String),
}

/// Checks the syntax of a DID.
///
/// # Errors
/// [`FilterError::Did`] if `value` is not a DID.
pub fn check_did(value: &str) -> Result<(), FilterError> {
    if syntax::is_did(value) { Ok(()) } else { Err(FilterError::Did(value.into())) }
}

impl Filter {
    /// Returns whether the filter accepts an event of `line_bytes` bytes by everything but its
    /// record: see [`Filter::wants_record`]. It may take other events as markers:
    /// [`Filter::take`].
    #[must_use]
    pub fn wants(&self, header: &Header<'_>, line_bytes: usize) -> bool {
        self.wants_kind(header)
            && (self.dids.is_empty() || self.dids.contains(&*header.did))
            && self.max_message_bytes.is_none_or(|max| line_bytes <= max as usize)
            && self.sample.is_none_or(|sample| {
                let commit = header.commit.as_ref();
                let record = commit.map(|commit| (&*commit.collection, &*commit.rkey));
                sample.includes(&header.did, record)
            })
    }

    /// Returns whether the filter takes an event of this account by everything but its size and
    /// its record. `commit` holds the operation, the collection and the record key of a commit.
    #[must_use]
    pub fn may_want(&self, kind: Kind, did: &str, commit: Option<(Operation, &str, &str)>) -> bool {
        let marker = commit.map(|(operation, collection, _)| (operation, collection));
        if self.is_marker(kind, did, marker) {
            return true;
        }
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.dids.is_empty() || self.dids.contains(did))
            && commit
                .is_none_or(|(operation, collection, _)| self.wants_commit(collection, operation))
            && self.sample.is_none_or(|sample| {
                sample.includes(did, commit.map(|(_, collection, rkey)| (collection, rkey)))
            })
    }

    /// Returns whether a v1 server that filters by collections and repositories sends this
    /// event (protocol/jetstream-v1.md §3).
    #[must_use]
    pub fn server_would_send(&self, header: &Header<'_>) -> bool {
        (self.dids.is_empty() || self.dids.contains(&*header.did))
            && header.commit.as_ref().is_none_or(|c| self.collections.matches(&c.collection))
    }

    /// Returns `false` only for an event that the filter does not take. It reads one field of the line,
    /// and so costs less than a header, for which the whole line is checked as text.
    #[must_use]
    #[inline]
    pub fn may_take(&self, spans: &HeaderSpans, line: &[u8]) -> bool {
        // Both rules hold for markers, too.
        let collection = spans.plain_collection(line);
        collection
            .is_none_or(|collection| self.wants_commits() && self.collections.may_match(collection))
    }

    /// Returns whether the filter accepts every event, so that events need not be checked.
    #[must_use]
    pub fn accepts_all(&self) -> bool {
        self.requests_all() && !self.has_rules_of_its_own()
    }

    /// Returns whether servers are asked for every event. Rules that no server knows may still
    /// drop some.
    #[must_use]
    pub fn requests_all(&self) -> bool {
        self.collections.is_empty()
            && self.dids.is_empty()
            && self.kinds.is_empty()
            && self.operations.is_empty()
            && self.max_message_bytes.is_none()
    }

    /// Returns whether there is a rule of `--exclude`, `--lang`, `--grep` or `--sample`. No server
    /// knows them, and version 0.1.0 did not have them.
    #[must_use]
    pub fn has_rules_of_its_own(&self) -> bool {
        !self.excluded.is_empty() || self.reads_records() || self.sample.is_some()
    }

    fn wants_kind(&self, header: &Header<'_>) -> bool {
        if !self.kinds.is_empty() && !self.kinds.contains(&header.kind) {
            return false;
        }
        if header.kind != Kind::Commit {
            return true;
        }
        let (collection, operation) = match &header.commit {
            Some(commit) => (&*commit.collection, commit.operation),
            None => ("", Operation::Other),
        };
        self.wants_commit(collection, operation)
    }

    fn wants_commit(&self, collection: &str, operation: Operation) -> bool {
        self.collections.matches(collection)
            && !self.excluded.contains(collection)
            && (self.operations.is_empty() || self.operations.contains(&operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header::parse;

    const POST: &str = r#"{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"app.bsky.feed.post","rkey":"k"}}"#;
    const IDENTITY: &str = r#"{"did":"did:plc:b","time_us":1,"kind":"identity","identity":{}}"#;

    fn wants(filter: &Filter, line: &str) -> bool {
        filter.wants(&parse(line.as_bytes()).unwrap(), line.len())
    }

    #[test]
    fn an_empty_filter_accepts_every_event() {
        let filter = Filter::default();
        assert!(filter.accepts_all() && wants(&filter, POST) && wants(&filter, IDENTITY));
    }

    #[test]
    fn each_list_restricts_independently() {
        let by_kind = Filter { kinds: vec![Kind::Commit], ..Filter::default() };
        assert!(wants(&by_kind, POST) && !wants(&by_kind, IDENTITY));
        let by_operation = Filter { operations: vec![Operation::Delete], ..Filter::default() };
        assert!(!wants(&by_operation, POST) && wants(&by_operation, IDENTITY));
        let by_did = Filter { dids: HashSet::from(["did:plc:b".into()]), ..Filter::default() };
        assert!(!wants(&by_did, POST) && wants(&by_did, IDENTITY));
        let by_size = Filter { max_message_bytes: Some(100), ..Filter::default() };
        assert!(!wants(&by_size, POST) && wants(&by_size, IDENTITY));
    }

    #[test]
    fn collections_restrict_commits_only() {
        let mut filter = Filter::default();
        filter.collections.add("app.bsky.graph.*").unwrap();
        assert!(!wants(&filter, POST) && wants(&filter, IDENTITY));
        filter.collections.add("app.bsky.feed.post").unwrap();
        assert!(wants(&filter, POST));
    }
}
