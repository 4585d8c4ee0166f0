//! Keeps, lists and restores the cursors of a consumer that were replaced.

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{NO_FILTER, Store, StoreError};
use crate::checkpoint::row::{self, SavedCursor};
use crate::position::TimeUs;
use crate::position::gap::Gap;

/// Maximum number of earlier cursors of one consumer. Each may have 512 KiB of dedup keys.
const MOST: u32 = 10;
/// How long an earlier cursor is kept: longer than any public server keeps events outside its
/// archive.
const KEPT_US: u64 = 30 * 24 * 3600 * 1_000_000;

/// The columns that are copied between the tables.
const COLUMNS: &str = "updated_at_us, server, server_kind, newest_time_us, newest_seq, \
    rewind_time_us, rewind_seq, latest_time_us, identities, stream, set_time_us, set_seq, set_server";

/// Moves the position, if there is one, to the columns that `cursors list` shows.
const KEEP_PREVIOUS: &str = "
UPDATE consumers SET
  previous_server = server, previous_time_us = newest_time_us, previous_seq = newest_seq,
  previous_updated_at_us = updated_at_us
WHERE name = :name AND server IS NOT NULL";

/// Finds a cursor that equals the latest earlier one, which is then not kept twice.
const SAME: &str = "
DELETE FROM earlier_positions WHERE consumer = :name AND EXISTS (
  SELECT 1 FROM consumers c WHERE c.name = :name
  AND c.server IS earlier_positions.server AND c.stream IS earlier_positions.stream
  AND c.newest_time_us IS earlier_positions.newest_time_us
  AND c.newest_seq IS earlier_positions.newest_seq
  AND c.identities IS earlier_positions.identities
  AND c.set_time_us IS earlier_positions.set_time_us AND c.set_seq IS earlier_positions.set_seq
  AND c.set_server IS earlier_positions.set_server)";

const RESET: &str = "
UPDATE consumers SET updated_at_us = :now,
  server = NULL, server_kind = NULL, newest_time_us = NULL, newest_seq = NULL,
  rewind_time_us = NULL, rewind_seq = NULL, latest_time_us = NULL, identities = NULL, stream = NULL,
  set_time_us = NULL, set_seq = NULL, set_server = NULL, is_asked_for = 0";

const FORGET: &str = "
DELETE FROM earlier_positions WHERE consumer = :name AND (replaced_at_us < :oldest OR rowid NOT IN (
  SELECT rowid FROM earlier_positions WHERE consumer = :name
  ORDER BY replaced_at_us DESC, rowid DESC LIMIT :most))";

const NEWEST: &str = "
SELECT rowid, * FROM earlier_positions WHERE consumer = ?1 AND replaced_at_us >= ?2
ORDER BY replaced_at_us DESC, rowid DESC LIMIT ?3";

/// A cursor that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierCursor {
    /// The cursor.
    pub cursor: SavedCursor,
    /// When it was saved.
    pub saved_at: TimeUs,
    /// When it was replaced.
    pub replaced_at: TimeUs,
}

/// What a run does with the saved cursor at its first save, because it starts elsewhere.
#[derive(Clone, Debug)]
pub struct CursorOverride {
    /// The gap between the saved cursor and the start of the run, if it starts later.
    pub skipped: Option<Gap>,
}

impl Store {
    /// Records whether the user asked this run to save. A run that was not asked to save does not
    /// replace a cursor of a run that was asked to.
    pub fn set_asked_for(&mut self, is_asked_for: bool) {
        self.is_asked_for = Some(is_asked_for);
    }

    /// Returns whether the saved cursor may be replaced only by a run that the user asked to save.
    /// A cursor of a state file of 0.1.0, which does not record this, counts as one.
    ///
    /// # Errors
    /// [`StoreError`] if the file can't be read.
    pub fn is_asked_for(&self, consumer: &str) -> Result<bool, StoreError> {
        let sql = "SELECT coalesce(is_asked_for, 1) FROM consumers WHERE name = ?1";
        let found = self.connection.query_row(sql, [consumer], |row| row.get(0)).optional();
        found.map(|found| found.unwrap_or(false)).map_err(|error| self.store_error(&error))
    }

    /// Makes the next save keep the cursor that it replaces, and record the gap that the run skips.
    /// A run that saves nothing changes nothing.
    pub fn set_cursor_override(&mut self, cursor_override: CursorOverride) {
        self.cursor_override = Some(cursor_override);
    }

    /// Returns whether nothing was saved since [`Store::set_cursor_override`].
    #[must_use]
    pub fn has_cursor_override(&self) -> bool {
        self.cursor_override.is_some()
    }

    pub(super) fn apply_cursor_override(
        &mut self,
        consumer: &str,
        now: TimeUs,
    ) -> Result<(), StoreError> {
        let Some(cursor_override) = self.cursor_override.clone() else { return Ok(()) };
        self.keep_earlier(consumer, now)?;
        if let Some(gap) = &cursor_override.skipped {
            self.record_gap(consumer, gap)?;
        }
        self.cursor_override = None;
        Ok(())
    }

    /// Keeps the current cursor as an earlier one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep_earlier(&mut self, consumer: &str, now: TimeUs) -> Result<(), StoreError> {
        self.in_transaction(|connection| keep(connection, consumer, now))
    }

    /// Returns the earlier cursors of a consumer, the one that was replaced last first.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Row`] if a row has an invalid value.
    pub fn earlier(&self, consumer: &str, now: TimeUs) -> Result<Vec<EarlierCursor>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            let time = |name| row.get::<_, i64>(name).map(|us| TimeUs(us.cast_unsigned()));
            let (saved_at, replaced_at) = (time("updated_at_us")?, time("replaced_at_us")?);
            let earlier = |cursor| EarlierCursor { cursor, saved_at, replaced_at };
            Ok(row::cursor(row).map(|cursor| cursor.map(earlier)))
        };
        let rows = self.rows_with(NEWEST, (consumer, oldest(now), MOST), read)?;
        let rows = rows.into_iter().filter_map(Result::transpose);
        rows.map(|row| row.map_err(|bad| self.bad_row(consumer, bad))).collect()
    }

    /// Forgets the cursor saved under a name, and keeps it as an earlier one. The name stays, with
    /// its gaps and outputs. A run need not be asked to save in its place. Returns whether the
    /// name exists. The caller holds the lease on it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is then changed.
    pub fn reset(&mut self, consumer: &str, now: TimeUs) -> Result<bool, StoreError> {
        self.in_transaction(|connection| {
            keep(connection, consumer, now)?;
            // The next run begins as the first one, with all entries of its lists.
            super::additions::clear(connection, consumer)?;
            let params = named_params! { ":name": consumer, ":now": now.0.cast_signed() };
            let sql = format!("{RESET}, {NO_FILTER} WHERE name = :name");
            connection.execute(&sql, params).map(|changed| changed > 0)
        })
    }

    /// Makes the earlier cursor with this number (1 for the one that was replaced last) the current
    /// one, and keeps the current one as an earlier one. The caller holds the lease on the name.
    /// Returns whether there is such a cursor.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is then changed.
    pub fn restore(
        &mut self,
        consumer: &str,
        number: usize,
        now: TimeUs,
    ) -> Result<bool, StoreError> {
        let Some(index) = number.checked_sub(1) else { return Ok(false) };
        self.in_transaction(|connection| {
            let mut statement = connection.prepare(NEWEST)?;
            let params = (consumer, oldest(now), MOST);
            let rows: Vec<i64> = statement
                .query_map(params, |row| row.get("rowid"))?
                .collect::<rusqlite::Result<_>>()?;
            let Some(row) = rows.get(index) else { return Ok(false) };
            // The copy comes first, because keeping the current cursor may remove the tenth.
            let sql = format!(
                "CREATE TEMP TABLE restored AS SELECT {COLUMNS} FROM earlier_positions WHERE rowid = ?1"
            );
            connection.execute(&sql, [row])?;
            connection.execute("DELETE FROM earlier_positions WHERE rowid = ?1", [row])?;
            keep(connection, consumer, now)?;
            let sql = format!(
                "UPDATE consumers SET ({COLUMNS}) = (SELECT * FROM restored), is_asked_for = 1, {NO_FILTER} WHERE name = ?1"
            );
            connection.execute(&sql, [consumer])?;
            connection.execute("DROP TABLE restored", [])?;
            Ok(true)
        })
    }
}

/// Keeps the current cursor as an earlier one, and deletes those that are too old or too many.
pub(super) fn keep(connection: &Connection, consumer: &str, now: TimeUs) -> rusqlite::Result<()> {
    let name = named_params! { ":name": consumer };
    connection.execute(KEEP_PREVIOUS, name)?;
    connection.execute(SAME, name)?;
    let sql = format!(
        "INSERT INTO earlier_positions (consumer, replaced_at_us, {COLUMNS}) \
         SELECT name, :now, {COLUMNS} FROM consumers WHERE name = :name \
         AND (server IS NOT NULL OR set_time_us IS NOT NULL OR set_seq IS NOT NULL)"
    );
    let now_us = now.0.cast_signed();
    connection.execute(&sql, named_params! { ":name": consumer, ":now": now_us })?;
    let params = named_params! { ":name": consumer, ":oldest": oldest(now), ":most": MOST };
    connection.execute(FORGET, params).map(drop)
}

fn oldest(now: TimeUs) -> i64 {
    now.0.saturating_sub(KEPT_US).cast_signed()
}

#[cfg(test)]
mod tests;
