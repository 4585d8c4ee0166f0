//! The files that consumers write, as rows: their lengths are part of a checkpoint, so that
//! position and files always agree.

use std::path::PathBuf;

use rusqlite::{Connection, Row, named_params};

use super::{Store, StoreError};
use crate::checkpoint::row::BadColumn;
use crate::position::TimeUs;
use crate::sink::output_record::{OutputRecord, OutputState};

/// A file that was begun again becomes the newest; one that is only longer keeps its place.
const PUT: &str = "
INSERT INTO outputs (consumer, path, ordinal, pattern, rotation, state, length_bytes, tail_hash,
  period_start_us, number)
VALUES (:consumer, :path,
  (SELECT coalesce(max(ordinal), 0) + 1 FROM outputs WHERE consumer = :consumer),
  :pattern, :rotation, :state, :length_bytes, :tail_hash, :period_start, :number)
ON CONFLICT (consumer, path) DO UPDATE SET
  ordinal = iif(:begins, excluded.ordinal, ordinal), pattern = excluded.pattern,
  rotation = excluded.rotation, state = excluded.state, length_bytes = excluded.length_bytes,
  tail_hash = excluded.tail_hash, period_start_us = excluded.period_start_us,
  number = excluded.number";

/// How many of the files that a consumer finished are remembered: hours of six weeks. A run
/// never goes back to one by itself (the files that it may have to cut, or go on with, are
/// `open` or `clean`); a person who replays the past into the same files does.
const FINISHED: i64 = 1_000;

const FORGET: &str = "
DELETE FROM outputs WHERE consumer = :consumer AND state = 'done' AND ordinal <=
  (SELECT max(ordinal) FROM outputs WHERE consumer = :consumer) - :kept";

/// Forgets the files that were finished long ago.
pub(super) fn forget_old(connection: &Connection, consumer: &str) -> rusqlite::Result<()> {
    let params = named_params! { ":consumer": consumer, ":kept": FINISHED };
    connection.prepare_cached(FORGET)?.execute(params).map(drop)
}

/// Writes a row. `begins` where the file is the newest from now on.
pub(super) fn put(
    connection: &Connection,
    consumer: &str,
    record: &OutputRecord,
    begins: bool,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(PUT)?
        .execute(named_params! {
            ":consumer": consumer,
            ":path": record.path.to_string_lossy(),
            ":pattern": record.pattern,
            ":rotation": record.rotation,
            ":state": record.state.as_str(),
            ":length_bytes": record.length_bytes.cast_signed(),
            ":tail_hash": record.tail_hash.cast_signed(),
            ":period_start": record.period_start.map(|time| time.0.cast_signed()),
            ":number": record.number,
            ":begins": begins,
        })
        .map(drop)
}

impl Store {
    /// Makes every later commit last through a power cut. Needed where files are written: a
    /// file must never have bytes that no row knows of.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn make_durable(&self) -> Result<(), StoreError> {
        let done = self.connection.pragma_update(None, "synchronous", "FULL");
        done.map_err(|error| self.store_error(&error))
    }

    /// The files of a consumer, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Row`] where a row makes no sense.
    pub fn outputs(&self, consumer: &str) -> Result<Vec<OutputRecord>, StoreError> {
        let sql = "SELECT * FROM outputs WHERE consumer = ?1 ORDER BY ordinal";
        let rows = self.rows_with(sql, [consumer], |row| Ok(record(row)))?;
        rows.into_iter().map(|row| row.map_err(|bad| self.bad_row(consumer, bad))).collect()
    }

    /// The newest files of a consumer, newest first, at most `most`.
    ///
    /// # Errors
    /// As [`Store::outputs`].
    pub fn newest_outputs(
        &self,
        consumer: &str,
        most: u32,
    ) -> Result<Vec<OutputRecord>, StoreError> {
        let sql = "SELECT * FROM outputs WHERE consumer = ?1 ORDER BY ordinal DESC LIMIT ?2";
        let rows = self.rows_with(sql, (consumer, most), |row| Ok(record(row)))?;
        rows.into_iter().map(|row| row.map_err(|bad| self.bad_row(consumer, bad))).collect()
    }

    /// Notes that a file begins, or is begun again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn persist_output(
        &mut self,
        consumer: &str,
        record: &OutputRecord,
    ) -> Result<(), StoreError> {
        put(&self.connection, consumer, record, true).map_err(|error| self.store_error(&error))
    }

    /// Replaces what is noted of a file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_output(&mut self, consumer: &str, record: &OutputRecord) -> Result<(), StoreError> {
        put(&self.connection, consumer, record, false).map_err(|error| self.store_error(&error))
    }

    /// Notes that the files of a consumer ended exactly as they are noted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn close_outputs(&mut self, consumer: &str) -> Result<(), StoreError> {
        let sql = "UPDATE outputs SET state = 'clean' WHERE consumer = ?1 AND state = 'open'";
        let done = self.connection.execute(sql, [consumer]);
        done.map(drop).map_err(|error| self.store_error(&error))
    }
}

fn record(row: &Row<'_>) -> Result<OutputRecord, BadColumn> {
    let state: String = column(row, "state")?;
    let states = [OutputState::Open, OutputState::Done, OutputState::Clean];
    let known = states.into_iter().find(|known| known.as_str() == state);
    let unsigned = |name| column::<i64>(row, name).map(i64::cast_unsigned);
    Ok(OutputRecord {
        path: PathBuf::from(column::<String>(row, "path")?),
        pattern: column(row, "pattern")?,
        rotation: column(row, "rotation")?,
        state: known.ok_or_else(|| BadColumn {
            column: "state",
            problem: format!("is {state:?}, neither open, done nor clean"),
        })?,
        length_bytes: unsigned("length_bytes")?,
        tail_hash: unsigned("tail_hash")?,
        period_start: column::<Option<i64>>(row, "period_start_us")?
            .map(|us| TimeUs(us.cast_unsigned())),
        number: column(row, "number")?,
    })
}

fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, name: &'static str) -> Result<T, BadColumn> {
    row.get(name).map_err(|error| BadColumn { column: name, problem: error.to_string() })
}
