//! Converts a row of `consumers` into checked values, and back. A row may have been edited by hand
//! or damaged, so every column is checked.

use std::sync::Arc;

use rusqlite::Row;

use super::CursorValue;
use crate::position::{EventPosition, FilterSince, FilterStamp, Resume, Seq, TimeUs};
use crate::sink::position_row::{Checked, bad, column, integer, mark, resume, server_kind, time};

pub(super) use crate::sink::position_row::{BadColumn, identity_bytes};

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

/// Returns the filter in force at the position; `None` if it is not known.
pub(super) fn filter_stamp(row: &Row<'_>) -> Checked<Option<FilterStamp>> {
    let Some(fingerprint) = integer(row, "filter_fingerprint")? else { return Ok(None) };
    let server: Option<String> = column(row, "filter_since_server")?;
    let since = match server {
        None => None,
        Some(server) => Some(FilterSince {
            server: Arc::from(server),
            kind: server_kind(row, "filter_since_kind")?,
            at: mark(row, "filter_since_time_us", "filter_since_seq")?,
        }),
    };
    Ok(Some(FilterStamp { fingerprint, since }))
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
