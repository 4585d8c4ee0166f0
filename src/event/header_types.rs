//! The types of an event's header fields. `header` parses them from a line.

use std::borrow::Cow;

/// The kind of an event (protocol/jetstream-v1.md §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An operation on a record.
    Commit,
    /// An account's handle or DID document changed.
    Identity,
    /// An account's hosting status changed.
    Account,
    /// A repository was replaced or repaired as a whole (protocol/jetstream-v2.md §3).
    Sync,
    /// A kind that only later servers have. Such events are output, never an error.
    Other,
}

/// What a commit does to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The record is new.
    Create,
    /// The record replaces an earlier one.
    Update,
    /// The record is gone; the commit has no record and no CID.
    Delete,
    /// An operation that only later servers have.
    Other,
}

impl Kind {
    /// Returns the word of v1 lines; empty for kinds of later servers. For syncs, which v1 never
    /// had, it is our choice.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Identity => "identity",
            Self::Account => "account",
            Self::Sync => "sync",
            Self::Other => "",
        }
    }
}

impl Operation {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "create" => Self::Create,
            "update" => Self::Update,
            "delete" => Self::Delete,
            _ => Self::Other,
        }
    }

    /// Returns the word that servers use; `other` for those of later servers.
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

/// The header fields of one event. Strings are decoded, and borrowed unless they had escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The DID of the repository.
    pub did: Cow<'a, str>,
    /// The server's timestamp in Unix microseconds.
    pub time_us: u64,
    /// The sequence number that v2 servers add as `cursor`; legacy servers have none.
    pub cursor: Option<u64>,
    /// [`Kind::Other`] if `kind` is missing or unknown.
    pub kind: Kind,
    /// The text of `kind`, which also names the kinds of later servers; empty if it is missing.
    pub kind_text: Cow<'a, str>,
    /// The fields of `commit`; `Some` exactly for events of kind commit that have such an object.
    pub commit: Option<Commit<'a>>,
    /// The relay's `seq`, from the object `identity`, `account` or `sync` that the kind names.
    pub relay_seq: Option<u64>,
}

/// The fields that name a commit. A field that is missing is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// The repository's revision; all operations of one commit share it.
    pub rev: Cow<'a, str>,
    /// [`Operation::Other`] if it is missing or unknown.
    pub operation: Operation,
    /// The text of `operation`, which also names those of later servers.
    pub operation_text: Cow<'a, str>,
    /// The collection's NSID.
    pub collection: Cow<'a, str>,
    /// The record key.
    pub rkey: Cow<'a, str>,
}
