//! Converts one event's line, in the format of `/subscribe`, into a row.

use serde::Deserialize;
use serde_json::Value;

use super::record;
use crate::archive::cid;
use crate::archive::row::{Row, RowKind};
use crate::position::Seq;

/// A row that owns its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBuf {
    /// See [`Row::seq`].
    pub seq: Seq,
    /// See [`Row::witnessed_at_us`].
    pub witnessed_at_us: i64,
    /// See [`Row::indexed_at_us`].
    pub indexed_at_us: i64,
    /// See [`Row::kind`].
    pub kind: RowKind,
    /// See [`Row::did`].
    pub did: String,
    /// See [`Row::collection`].
    pub collection: String,
    /// See [`Row::rkey`].
    pub rkey: String,
    /// See [`Row::rev`].
    pub rev: String,
    /// See [`Row::payload`].
    pub payload: Vec<u8>,
}

/// Why a line can't be converted into a row.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It is not JSON, or a member has the wrong type.
    #[error("not an event: {0}")]
    Json(#[from] serde_json::Error),
    /// A member that its kind requires is missing.
    #[error("the event has no {0}")]
    Missing(&'static str),
    /// The archive has no number for its kind or operation.
    #[error("the archive has no rows of {what} {word:?}")]
    Unknown {
        /// `kind` or `operation`.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// A number does not fit into an i64.
    #[error("the integer {0} does not fit into 64 bits with a sign")]
    Integer(serde_json::Number),
}

#[derive(Deserialize)]
struct Event {
    did: String,
    time_us: i64,
    #[serde(default)]
    cursor: u64,
    kind: String,
    commit: Option<Commit>,
    identity: Option<Value>,
    account: Option<Value>,
    sync: Option<Value>,
}

#[derive(Deserialize)]
struct Commit {
    rev: String,
    operation: String,
    collection: String,
    rkey: String,
    /// The record, which may be `null`; `None` if there is no such member.
    #[serde(default, deserialize_with = "present")]
    record: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl RowBuf {
    /// Converts an event's line. The row's seq is `seq`, or the line's `cursor` if `seq` is `None`.
    /// The line's `time_us` becomes the witness time. A `cid` in the line is ignored
    /// because readers compute it.
    ///
    /// # Errors
    /// [`ConvertError`].
    pub fn from_line(line: &[u8], seq: Option<Seq>) -> Result<Self, ConvertError> {
        let event: Event = serde_json::from_slice(line)?;
        let seq = match (seq, event.cursor) {
            (Some(seq), _) => seq,
            (None, 0) => return Err(ConvertError::Missing("cursor")),
            (None, cursor) => Seq(cursor),
        };
        let mut row = Self {
            seq,
            witnessed_at_us: event.time_us,
            indexed_at_us: 0,
            kind: RowKind::Delete,
            did: event.did,
            collection: String::new(),
            rkey: String::new(),
            rev: String::new(),
            payload: Vec::new(),
        };
        let (kind, body) = match event.kind.as_str() {
            "commit" => {
                let commit = event.commit.ok_or(ConvertError::Missing("commit"))?;
                return row.with_commit(commit);
            }
            "identity" => (RowKind::Identity, event.identity),
            "account" => (RowKind::Account, event.account),
            "sync" => (RowKind::Sync, event.sync),
            _ => return Err(ConvertError::Unknown { what: "kind", word: event.kind }),
        };
        let body = body.filter(Value::is_object).ok_or(ConvertError::Missing(kind.as_str()))?;
        if kind == RowKind::Sync {
            // An event that a server made itself may have no revision (v2 §3).
            row.rev = body.get("rev").and_then(Value::as_str).unwrap_or_default().to_owned();
        }
        row.kind = kind;
        record::append(&body, &mut row.payload).map_err(ConvertError::Integer)?;
        Ok(row)
    }

    fn with_commit(mut self, commit: Commit) -> Result<Self, ConvertError> {
        self.kind = match commit.operation.as_str() {
            "create" => RowKind::Create,
            "update" => RowKind::Update,
            "delete" => RowKind::Delete,
            _ => {
                let word = commit.operation;
                return Err(ConvertError::Unknown { what: "operation", word });
            }
        };
        (self.collection, self.rkey, self.rev) = (commit.collection, commit.rkey, commit.rev);
        if self.kind != RowKind::Delete {
            let record = commit.record.ok_or(ConvertError::Missing("commit.record"))?;
            record::append(&record, &mut self.payload).map_err(ConvertError::Integer)?;
        }
        Ok(self)
    }

    /// Returns a [`Row`] that borrows the columns.
    #[must_use]
    pub fn as_row(&self) -> Row<'_> {
        Row {
            seq: self.seq,
            witnessed_at_us: self.witnessed_at_us,
            indexed_at_us: self.indexed_at_us,
            kind: self.kind,
            did: &self.did,
            collection: &self.collection,
            rkey: &self.rkey,
            rev: &self.rev,
            payload: &self.payload,
            payload_at: 0,
        }
    }
}

impl From<&Row<'_>> for RowBuf {
    fn from(row: &Row<'_>) -> Self {
        Self {
            seq: row.seq,
            witnessed_at_us: row.witnessed_at_us,
            indexed_at_us: row.indexed_at_us,
            kind: row.kind,
            did: row.did.to_owned(),
            collection: row.collection.to_owned(),
            rkey: row.rkey.to_owned(),
            rev: row.rev.to_owned(),
            payload: row.payload.to_vec(),
        }
    }
}

/// Converts a record's JSON into canonical DAG-CBOR, and computes its CID.
///
/// # Errors
/// [`ConvertError`].
pub fn record_to_cbor(json: &[u8]) -> Result<(Vec<u8>, String), ConvertError> {
    let value: Value = serde_json::from_slice(json)?;
    let mut payload = Vec::new();
    record::append(&value, &mut payload).map_err(ConvertError::Integer)?;
    let cid = cid::record_cid(&payload);
    Ok((payload, cid))
}
