//! A position and its dedup keys in a row: of the table `consumers` in the state file, or of the table
//! `skytail_position` in a database, which have the same columns. A row may have been edited by hand
//! or damaged, so every column is checked.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, ValueRef};

use crate::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind, TimeUs};

/// Maximum number of dedup keys that are read. A window has 65,536; this leaves room for a larger
/// window and still bounds the memory for a damaged file (8 MiB).
const MOST_IDENTITIES: usize = 1 << 20;

/// A column with an invalid value.
#[derive(Debug)]
pub struct BadColumn {
    /// Its name.
    pub column: &'static str,
    /// What is wrong with it, as the end of a sentence that begins with the name.
    pub problem: String,
}

/// A value of a row, or the column with the problem.
pub type Checked<T> = Result<T, BadColumn>;

/// Reads a position and its dedup keys.
///
/// # Errors
/// [`BadColumn`].
pub fn resume(row: &Row<'_>, server: String) -> Checked<Resume> {
    let kind = server_kind(row, "server_kind")?;
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

/// Reads the kind of a server.
///
/// # Errors
/// [`BadColumn`].
pub fn server_kind(row: &Row<'_>, name: &'static str) -> Checked<ServerKind> {
    let kind: Option<String> = column(row, name)?;
    match kind.as_deref() {
        Some("legacy") => Ok(ServerKind::Legacy),
        Some("v2") => Ok(ServerKind::V2),
        Some(other) => bad(name, format!("is {other:?}, neither legacy nor v2")),
        None => bad(name, "is empty"),
    }
}

/// Reads the place of an event from two columns.
///
/// # Errors
/// [`BadColumn`].
pub fn mark(row: &Row<'_>, time_us: &'static str, seq: &'static str) -> Checked<EventPosition> {
    Ok(EventPosition { time: time(row, time_us)?, seq: integer(row, seq)?.map(Seq) })
}

/// Reads a time, which must be there.
///
/// # Errors
/// [`BadColumn`].
pub fn time(row: &Row<'_>, name: &'static str) -> Checked<TimeUs> {
    match integer(row, name)? {
        Some(us) => Ok(TimeUs(us)),
        None => bad(name, "is empty"),
    }
}

/// Reads an unsigned number, which is stored as a signed one.
///
/// # Errors
/// [`BadColumn`].
pub fn integer(row: &Row<'_>, name: &'static str) -> Checked<Option<u64>> {
    let stored: Option<i64> = column(row, name)?;
    Ok(stored.map(i64::cast_unsigned))
}

/// Reads a value that may be NULL.
///
/// # Errors
/// [`BadColumn`] if it has another type.
pub fn column<T: FromSql>(row: &Row<'_>, name: &'static str) -> Checked<Option<T>> {
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
#[must_use]
pub fn identity_bytes(identities: &[u64]) -> Vec<u8> {
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

/// Returns the error about a column.
///
/// # Errors
/// Always.
pub fn bad<T>(column: &'static str, problem: impl Into<String>) -> Checked<T> {
    Err(BadColumn { column, problem: problem.into() })
}
