//! The files that consumers write and their offsets in brokers' streams. They are part of a
//! checkpoint, so a saved position and the outputs always agree.

use std::path::PathBuf;

use rusqlite::{Connection, Row, named_params};

use super::{Store, StoreError};
use crate::checkpoint::row::BadColumn;
use crate::position::TimeUs;
use crate::sink::output_record::{OutputRecord, OutputState};

/// A file that is begun again becomes the newest; a file that only grew keeps its place.
const PUT_FILE: &str = "
INSERT INTO outputs (consumer, path, ordinal, pattern, rotation, state, length_bytes, tail_hash,
  period_start_us, number)
VALUES (:consumer, :path,
  (SELECT coalesce(max(ordinal), 0) + 1 FROM
    (SELECT ordinal FROM outputs WHERE consumer = :consumer
     UNION ALL SELECT ordinal FROM broker_offsets WHERE consumer = :consumer)),
  :pattern, :rotation, :state, :length_bytes, :tail_hash, :period_start, :number)
ON CONFLICT (consumer, path) DO UPDATE SET
  ordinal = iif(:begins, excluded.ordinal, ordinal), pattern = excluded.pattern,
  rotation = excluded.rotation, state = excluded.state, length_bytes = excluded.length_bytes,
  tail_hash = excluded.tail_hash, period_start_us = excluded.period_start_us,
  number = excluded.number";

const REMOVE_FILE: &str = "DELETE FROM outputs WHERE consumer = ?1 AND path = ?2";

/// As [`PUT_FILE`], for a partition of a broker's stream.
const PUT_OFFSET: &str = "
INSERT INTO broker_offsets (consumer, target, partition, ordinal, state, next_offset)
VALUES (:consumer, :target, :partition,
  (SELECT coalesce(max(ordinal), 0) + 1 FROM
    (SELECT ordinal FROM outputs WHERE consumer = :consumer
     UNION ALL SELECT ordinal FROM broker_offsets WHERE consumer = :consumer)),
  :state, :next_offset)
ON CONFLICT (consumer, target, partition) DO UPDATE SET
  ordinal = iif(:begins, excluded.ordinal, ordinal), state = excluded.state,
  next_offset = excluded.next_offset";

/// Files and offsets of a consumer with the columns of both tables, to be ordered by `ordinal`.
const ALL: &str = "
SELECT ordinal, path, pattern, rotation, state, length_bytes, tail_hash, period_start_us, number,
  NULL AS target, NULL AS partition, NULL AS next_offset FROM outputs WHERE consumer = ?1
UNION ALL
SELECT ordinal, NULL, NULL, NULL, state, NULL, NULL, NULL, NULL,
  target, partition, next_offset FROM broker_offsets WHERE consumer = ?1";

/// How many finished files of a consumer are kept: hours of six weeks. A run returns to a finished
/// file only if a user replays the past into the same files, because the files that it may truncate
/// or continue are `open` or `clean`.
const FINISHED: i64 = 1_000;

const FORGET: &str = "
DELETE FROM outputs WHERE consumer = :consumer AND state = 'done' AND ordinal <=
  (SELECT max(ordinal) FROM outputs WHERE consumer = :consumer) - :kept";

/// Deletes the rows of files that were finished long ago.
pub(super) fn forget_old(connection: &Connection, consumer: &str) -> rusqlite::Result<()> {
    let params = named_params! { ":consumer": consumer, ":kept": FINISHED };
    connection.prepare_cached(FORGET)?.execute(params).map(drop)
}

/// Writes the row of a file or of a broker's partition. `begins` makes it the newest.
pub(super) fn put(
    connection: &Connection,
    consumer: &str,
    record: &OutputRecord,
    begins: bool,
) -> rusqlite::Result<()> {
    if record.is_broker() {
        let params = named_params! {
            ":consumer": consumer,
            ":target": record.pattern,
            ":partition": record.number,
            ":state": record.state.as_str(),
            ":next_offset": record.length_bytes.cast_signed(),
            ":begins": begins,
        };
        return connection.prepare_cached(PUT_OFFSET)?.execute(params).map(drop);
    }
    if record.state == OutputState::Gone {
        let path = record.path.to_string_lossy();
        return connection.prepare_cached(REMOVE_FILE)?.execute((consumer, path)).map(drop);
    }
    connection
        .prepare_cached(PUT_FILE)?
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
    /// Syncs every later commit, so that it survives a power cut. Needed when files are written: a
    /// file must never hold bytes that no row records.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn make_durable(&self) -> Result<(), StoreError> {
        let done = self.connection.pragma_update(None, "synchronous", "FULL");
        done.map_err(|error| self.store_error(&error))
    }

    /// Returns the outputs of a consumer, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Row`] if a row is not valid.
    pub fn outputs(&self, consumer: &str) -> Result<Vec<OutputRecord>, StoreError> {
        let sql = format!("{ALL} ORDER BY ordinal");
        let rows = self.rows_with(&sql, [consumer], |row| Ok(record(row)))?;
        rows.into_iter().map(|row| row.map_err(|bad| self.bad_row(consumer, bad))).collect()
    }

    /// Returns the newest outputs of a consumer, newest first, at most `most`.
    ///
    /// # Errors
    /// As [`Store::outputs`].
    pub fn newest_outputs(
        &self,
        consumer: &str,
        most: u32,
    ) -> Result<Vec<OutputRecord>, StoreError> {
        let sql = format!("{ALL} ORDER BY ordinal DESC LIMIT ?2");
        let rows = self.rows_with(&sql, (consumer, most), |row| Ok(record(row)))?;
        rows.into_iter().map(|row| row.map_err(|bad| self.bad_row(consumer, bad))).collect()
    }

    /// Records that an output begins, or is begun again.
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

    /// Replaces the record of an output.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_output(&mut self, consumer: &str, record: &OutputRecord) -> Result<(), StoreError> {
        put(&self.connection, consumer, record, false).map_err(|error| self.store_error(&error))
    }

    /// Records that the outputs of a consumer hold exactly what their rows say.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn close_outputs(&mut self, consumer: &str) -> Result<(), StoreError> {
        self.in_transaction(|connection| {
            for table in ["outputs", "broker_offsets"] {
                let sql = format!(
                    "UPDATE {table} SET state = 'clean' WHERE consumer = ?1 AND state = 'open'"
                );
                connection.execute(&sql, [consumer])?;
            }
            Ok(())
        })
    }
}

fn record(row: &Row<'_>) -> Result<OutputRecord, BadColumn> {
    let state = state(row)?;
    let unsigned = |name| column::<i64>(row, name).map(i64::cast_unsigned);
    if let Some(target) = column::<Option<String>>(row, "target")? {
        let next_offset = unsigned("next_offset")?;
        let record = OutputRecord::partition(&target, column(row, "partition")?, next_offset);
        if !record.is_broker() {
            let problem = format!("is {target:?}, which is not the address of a broker");
            return Err(BadColumn { column: "target", problem });
        }
        return Ok(OutputRecord { state, ..record });
    }
    Ok(OutputRecord {
        path: PathBuf::from(column::<String>(row, "path")?),
        pattern: column(row, "pattern")?,
        rotation: column(row, "rotation")?,
        state,
        length_bytes: unsigned("length_bytes")?,
        tail_hash: unsigned("tail_hash")?,
        period_start: column::<Option<i64>>(row, "period_start_us")?
            .map(|us| TimeUs(us.cast_unsigned())),
        number: column(row, "number")?,
    })
}

fn state(row: &Row<'_>) -> Result<OutputState, BadColumn> {
    let state: String = column(row, "state")?;
    let states = [OutputState::Open, OutputState::Done, OutputState::Clean];
    states.into_iter().find(|known| known.as_str() == state).ok_or_else(|| BadColumn {
        column: "state",
        problem: format!("is {state:?}, neither open, done nor clean"),
    })
}

fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, name: &'static str) -> Result<T, BadColumn> {
    row.get(name).map_err(|error| BadColumn { column: name, problem: error.to_string() })
}
