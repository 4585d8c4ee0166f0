//! Converts a row of `consumers` into checked values, and back. A row may have been edited by hand
//! or damaged, so every column is checked.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, ValueRef};

use super::CursorValue;
use crate::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind, TimeUs};

/// Maximum number of dedup keys that are read. A window has 65,536; this leaves room for a larger
/// window and still bounds the memory for a damaged file (8 MiB).
const MOST_IDENTITIES: usize = 1 << 20;

/// The saved cursor of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavedCursor {
    /// The position at which a run stopped.
    Position(Resume),
    /// The cursor of `skytail cursors set`. No run has written from there yet, so there are no
    /// dedup keys.
    Manual(ManualCursor),
}

/// A cursor that a person set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualCursor {
    /// Where to start.
    pub at: CursorValue,
    /// The label of the server that it was set for; `None` for any server.
    pub server: Option<Arc<str>>,
}

/// The position that was replaced last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousCursor {
    /// The server of the position.
    pub server: String,
    /// The newest event that had been written or dropped.
    pub newest: EventPosition,
    /// When it had been saved.
    pub saved_at: TimeUs,
}

/// Everything that is saved under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The consumer's name.
    pub name: String,
    /// Its cursor; `None` after `skytail cursors reset`.
    pub cursor: Option<SavedCursor>,
    /// When the cursor was saved.
    pub saved_at: TimeUs,
    /// The position that it replaced.
    pub previous: Option<PreviousCursor>,
}

/// A column with an invalid value.
#[derive(Debug)]
pub(super) struct BadColumn {
    pub(super) column: &'static str,
    pub(super) problem: String,
}

type Checked<T> = Result<T, BadColumn>;

pub(super) fn entry(name: String, row: &Row<'_>) -> Checked<Entry> {
    Ok(Entry {
        name,
        cursor: cursor(row)?,
        saved_at: time(row, "updated_at_us")?,
        previous: previous(row)?,
    })
}

/// Returns the cursor; `None` for a name whose position was reset.
pub(super) fn cursor(row: &Row<'_>) -> Checked<Option<SavedCursor>> {
    let server: Option<String> = column(row, "server")?;
    let set = by_hand(row)?;
    match (server, set) {
        (Some(server), None) => resume(row, server).map(SavedCursor::Position).map(Some),
        (None, Some(set)) => Ok(Some(SavedCursor::Manual(set))),
        (None, None) if is_reset(row)? => Ok(None),
        (None, None) => bad("server", "is empty, and no cursor was set by hand"),
        (Some(_), Some(_)) => bad("server", "has a value, although a cursor was set by hand"),
    }
}

/// Returns whether no part of a position is left.
fn is_reset(row: &Row<'_>) -> Checked<bool> {
    let newest = integer(row, "newest_time_us")?;
    let identities: Option<Vec<u8>> = column(row, "identities")?;
    Ok(newest.is_none() && identities.is_none())
}

fn by_hand(row: &Row<'_>) -> Checked<Option<ManualCursor>> {
    let server: Option<String> = column(row, "set_server")?;
    let at = match (integer(row, "set_time_us")?, integer(row, "set_seq")?) {
        (None, None) => return Ok(None),
        (Some(us), None) if us >= Seq::LIMIT => CursorValue::Time(TimeUs(us)),
        (Some(us), None) => return bad("set_time_us", format!("is {us}, too early for a cursor")),
        (None, Some(seq)) if (1..Seq::LIMIT).contains(&seq) => CursorValue::Seq(Seq(seq)),
        (None, Some(seq)) => {
            return bad("set_seq", format!("is {seq}, which is not a sequence number"));
        }
        (Some(_), Some(_)) => return bad("set_seq", "has a value, although set_time_us has one"),
    };
    Ok(Some(ManualCursor { at, server: server.map(Arc::from) }))
}

fn resume(row: &Row<'_>, server: String) -> Checked<Resume> {
    let kind: Option<String> = column(row, "server_kind")?;
    let kind = match kind.as_deref() {
        Some("legacy") => ServerKind::Legacy,
        Some("v2") => ServerKind::V2,
        Some(other) => return bad("server_kind", format!("is {other:?}, neither legacy nor v2")),
        None => return bad("server_kind", "is empty"),
    };
    let position = Position {
        origin: Origin {
            server: Arc::from(server),
            kind,
            filter_fingerprint: integer(row, "stream")?.unwrap_or(0),
        },
        newest: mark(row, "newest_time_us", "newest_seq")?,
        rewind_to: mark(row, "rewind_time_us", "rewind_seq")?,
        max_time: time(row, "latest_time_us")?,
    };
    let blob: Option<Vec<u8>> = column(row, "identities")?;
    let Some(blob) = blob else { return bad("identities", "is empty") };
    Ok(Resume { position, identities: identities(&blob)? })
}

fn previous(row: &Row<'_>) -> Checked<Option<PreviousCursor>> {
    let server: Option<String> = column(row, "previous_server")?;
    let Some(server) = server else { return Ok(None) };
    Ok(Some(PreviousCursor {
        server,
        newest: mark(row, "previous_time_us", "previous_seq")?,
        saved_at: time(row, "previous_updated_at_us")?,
    }))
}

fn mark(row: &Row<'_>, time_us: &'static str, seq: &'static str) -> Checked<EventPosition> {
    Ok(EventPosition { time: time(row, time_us)?, seq: integer(row, seq)?.map(Seq) })
}

fn time(row: &Row<'_>, name: &'static str) -> Checked<TimeUs> {
    match integer(row, name)? {
        Some(us) => Ok(TimeUs(us)),
        None => bad(name, "is empty"),
    }
}

fn integer(row: &Row<'_>, name: &'static str) -> Checked<Option<u64>> {
    let stored: Option<i64> = column(row, name)?;
    Ok(stored.map(i64::cast_unsigned))
}

fn column<T: FromSql>(row: &Row<'_>, name: &'static str) -> Checked<Option<T>> {
    let value = row.get_ref(name).or_else(|error| bad(name, format!("can't be read: {error}")))?;
    Option::<T>::column_result(value).or_else(|error| bad(name, mismatch(value, &error)))
}

fn mismatch(value: ValueRef<'_>, error: &FromSqlError) -> String {
    match error {
        FromSqlError::InvalidType => {
            format!("has the wrong type, {}", value.data_type())
        }
        other => format!("can't be read: {other}"),
    }
}

/// Returns the stored form of dedup keys: little-endian, 8 bytes each.
pub(super) fn identity_bytes(identities: &[u64]) -> Vec<u8> {
    identities.iter().flat_map(|identity| identity.to_le_bytes()).collect()
}

fn identities(blob: &[u8]) -> Checked<Vec<u64>> {
    let (whole, rest) = blob.as_chunks::<8>();
    if !rest.is_empty() {
        return bad("identities", format!("has {} bytes, not a multiple of 8", blob.len()));
    }
    if whole.len() > MOST_IDENTITIES {
        return bad("identities", format!("has {} entries, over {MOST_IDENTITIES}", whole.len()));
    }
    Ok(whole.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
}

fn bad<T>(column: &'static str, problem: impl Into<String>) -> Checked<T> {
    Err(BadColumn { column, problem: problem.into() })
}
