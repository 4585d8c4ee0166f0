//! One row of a block: a view of its columns (protocol/jetstream-v2-archive.md §5).

use crate::position::Seq;

/// The kind of a row, with its number in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// A new record.
    Create = 1,
    /// A changed record.
    Update = 2,
    /// A removed record.
    Delete = 3,
    /// A change of handle or identity document.
    Identity = 4,
    /// A change of an account's status.
    Account = 5,
    /// The repository diverged.
    Sync = 6,
    /// A record that comes again after a sync; a line has it as a create.
    Resync = 7,
}

impl RowKind {
    /// Returns the kind of a number; `None` for an unknown number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Create,
            2 => Self::Update,
            3 => Self::Delete,
            4 => Self::Identity,
            5 => Self::Account,
            6 => Self::Sync,
            7 => Self::Resync,
            _ => return None,
        })
    }

    /// Returns the event's `kind`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create | Self::Update | Self::Delete | Self::Resync => "commit",
            Self::Identity => "identity",
            Self::Account => "account",
            Self::Sync => "sync",
        }
    }

    /// Returns the commit's `operation`; `None` for the other kinds.
    #[must_use]
    pub fn operation(self) -> Option<&'static str> {
        match self {
            Self::Create | Self::Resync => Some("create"),
            Self::Update => Some("update"),
            Self::Delete => Some("delete"),
            Self::Identity | Self::Account | Self::Sync => None,
        }
    }

    /// Returns its name in the collection index; `None` for commits, which are indexed
    /// by their collection (§4).
    #[must_use]
    pub fn sentinel(self) -> Option<&'static str> {
        match self {
            Self::Identity => Some("$identity"),
            Self::Account => Some("$account"),
            Self::Sync => Some("$sync"),
            _ => None,
        }
    }
}

/// One row. Borrows from the decompressed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its position in the server's order.
    pub seq: Seq,
    /// When the server saw it, in Unix microseconds.
    pub witnessed_at_us: i64,
    /// An imported time, in Unix microseconds; 0 for none.
    pub indexed_at_us: i64,
    /// Its kind.
    pub kind: RowKind,
    /// The repository.
    pub did: &'a str,
    /// The NSID; empty for all but commits.
    pub collection: &'a str,
    /// The record key; empty for all but commits.
    pub rkey: &'a str,
    /// The revision; empty for identity and account rows.
    pub rev: &'a str,
    /// DAG-CBOR: the record, or the body of the relay's event; empty for deletes.
    pub payload: &'a [u8],
    /// Where the payload starts in the decompressed block. Writers ignore it.
    pub payload_at: usize,
}

impl Row<'_> {
    /// Returns the event's `time_us`, in Unix microseconds: the imported time if there is one.
    #[must_use]
    pub fn display_time_us(&self) -> i64 {
        if self.indexed_at_us == 0 { self.witnessed_at_us } else { self.indexed_at_us }
    }
}
