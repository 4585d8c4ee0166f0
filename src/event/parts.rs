//! What a header consists of. How it is read from a line, `header` knows.

use std::borrow::Cow;

/// What kind of event it is (protocol/jetstream-v1.md §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An operation on a record.
    Commit,
    /// A change of handle or identity document.
    Identity,
    /// A change of an account's status.
    Account,
    /// A repository that was replaced or repaired as a whole (v2 §3).
    Sync,
    /// A kind of a later server: passed through, never a failure.
    Other,
}

/// What a commit does to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A new record.
    Create,
    /// A changed record.
    Update,
    /// A removed record.
    Delete,
    /// A word of a later server.
    Other,
}

impl Operation {
    /// What a word means.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "create" => Self::Create,
            "update" => Self::Update,
            "delete" => Self::Delete,
            _ => Self::Other,
        }
    }

    /// Its word; `other` for those of later servers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }
}

/// The header fields of one event. Strings are decoded (borrowed unless they held escapes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The repository.
    pub did: Cow<'a, str>,
    /// Unix microseconds.
    pub time_us: u64,
    /// The sequence number that v2 servers write as `cursor`.
    pub cursor: Option<u64>,
    /// The kind.
    pub kind: Kind,
    /// The word behind `kind`.
    pub kind_text: Cow<'a, str>,
    /// `commit`'s fields; `Some` exactly for commits that have such a member.
    pub commit: Option<Commit<'a>>,
    /// The relay's `seq` inside `identity`, `account` or `sync`, whichever the kind names.
    pub relay_seq: Option<u64>,
}

/// The fields of a commit that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// The revision, one per commit.
    pub rev: Cow<'a, str>,
    /// What was done.
    pub operation: Operation,
    /// The word behind `operation`.
    pub operation_text: Cow<'a, str>,
    /// The NSID.
    pub collection: Cow<'a, str>,
    /// The record key.
    pub rkey: Cow<'a, str>,
}
