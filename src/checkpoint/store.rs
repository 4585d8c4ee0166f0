//! Reads and writes the state file. Threads and locks on names are in [`super::worker`] and
//! [`super::lease`].

mod additions;
mod earlier;
mod gaps;
mod outputs;
mod rewrites;
mod secrets;
mod takeover;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

pub use super::error::StoreError;
pub use super::row::{Entry, ManualCursor, PreviousCursor, SavedCursor};
pub use earlier::{CursorOverride, EarlierCursor};
pub use gaps::SavedGap;

use super::row::{self, BadColumn, identity_bytes};
use super::{Checkpoint, CursorValue, open, transfer};
use crate::event::event_id::EventIdKey;
use crate::filter::additions::Additions;
use crate::platform::{self, FileId};
use crate::position::{FilterStamp, TimeUs};
use crate::sink::output_record::OutputState;

/// An open state file.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The key, where the file holds one, and the seed that 0.1.0 used.
    secrets: (Option<EventIdKey>, u64),
    /// Identifies the file, even if its path names another one later.
    file_id: Option<FileId>,
    /// Whether the user asked for what is saved from now on; `None` if not known.
    is_asked_for: Option<bool>,
    /// What the next save leaves.
    cursor_override: Option<CursorOverride>,
    /// The lists that this program saved last.
    saved_additions: Option<Arc<Additions>>,
}

const SAVE: &str = "
INSERT INTO consumers (name, updated_at_us, server, server_kind, newest_time_us, newest_seq,
  rewind_time_us, rewind_seq, latest_time_us, identities, stream, is_asked_for,
  filter_fingerprint, filter_since_server, filter_since_kind, filter_since_time_us,
  filter_since_seq)
VALUES (:name, :now, :server, :kind, :newest_time, :newest_seq,
  :rewind_time, :rewind_seq, :max_time, :identities, :stream, :is_asked_for,
  :filter, :since_server, :since_kind, :since_time, :since_seq)
ON CONFLICT (name) DO UPDATE SET updated_at_us = excluded.updated_at_us,
  server = excluded.server, server_kind = excluded.server_kind,
  newest_time_us = excluded.newest_time_us, newest_seq = excluded.newest_seq,
  rewind_time_us = excluded.rewind_time_us, rewind_seq = excluded.rewind_seq,
  latest_time_us = excluded.latest_time_us, identities = excluded.identities,
  stream = excluded.stream, is_asked_for = excluded.is_asked_for,
  filter_fingerprint = excluded.filter_fingerprint,
  filter_since_server = excluded.filter_since_server,
  filter_since_kind = excluded.filter_since_kind,
  filter_since_time_us = excluded.filter_since_time_us,
  filter_since_seq = excluded.filter_since_seq,
  set_time_us = NULL, set_seq = NULL, set_server = NULL";

const SET: &str = "
INSERT INTO consumers (name, updated_at_us, set_time_us, set_seq, set_server, is_asked_for)
VALUES (:name, :now, :time, :seq, :server, :is_asked_for)
ON CONFLICT (name) DO UPDATE SET updated_at_us = excluded.updated_at_us,
  server = NULL, server_kind = NULL, newest_time_us = NULL, newest_seq = NULL,
  rewind_time_us = NULL, rewind_seq = NULL, latest_time_us = NULL, identities = NULL,
  set_time_us = excluded.set_time_us, set_seq = excluded.set_seq,
  set_server = excluded.set_server, is_asked_for = excluded.is_asked_for";

/// Forgets the filter in force: it belongs to the replaced position.
const NO_FILTER: &str = "filter_fingerprint = NULL, filter_since_server = NULL, \
    filter_since_kind = NULL, filter_since_time_us = NULL, filter_since_seq = NULL";

/// Gives the file its key, once. SQLite's random bytes are a cipher's, seeded by the system.
const MAKE_KEY: &str = "
INSERT OR IGNORE INTO meta (key, value) VALUES ('identity_key', lower(hex(randomblob(16))))";

impl Store {
    /// Opens the state file. Creates it if it does not exist, with its directories, for its owner
    /// only.
    ///
    /// # Errors
    /// [`StoreError`]. A file that is not ours, from a newer skytail, or damaged stays unchanged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open::writable(path)?;
        connection.execute(MAKE_KEY, []).map_err(|error| StoreError::from_sqlite(path, &error))?;
        Self::with(connection, path)
    }

    /// Opens an existing state file for reading; `None` if nothing was ever saved. Works during a
    /// run, and creates no file. Writing through it fails.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Self>, StoreError> {
        open::readable(path)?.map(|connection| Self::with(connection, path)).transpose()
    }

    /// Returns a store in memory.
    pub(super) fn in_memory(connection: Connection) -> Result<Self, StoreError> {
        Self::with(connection, Path::new(":memory:"))
    }

    fn with(connection: Connection, path: &Path) -> Result<Self, StoreError> {
        let file_id = file_id_of(path);
        let secrets = (None, 0);
        let path = path.to_owned();
        let mut store = Self {
            connection,
            path,
            secrets,
            file_id,
            is_asked_for: None,
            cursor_override: None,
            saved_additions: None,
        };
        let key = store.hexadecimal("identity_key", 32)?.map(EventIdKey::new);
        let seed = store.hexadecimal("identity_seed", 16)?.ok_or_else(|| store.no_seed())?;
        store.secrets = (key, seed as u64);
        Ok(store)
    }

    /// Returns the path that it was opened with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the cursor saved under a name; `None` if there is no row, or if it was reset.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Row`] if the row is not valid.
    pub fn load(&self, consumer: &str) -> Result<Option<SavedCursor>, StoreError> {
        self.one(consumer, row::cursor).map(Option::flatten)
    }

    /// Returns the filter in force at the position saved under a name; `None` if it is not known.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn filter_stamp(&self, consumer: &str) -> Result<Option<FilterStamp>, StoreError> {
        self.one(consumer, row::filter_stamp).map(Option::flatten)
    }

    /// Returns all that is saved under a name.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn entry(&self, consumer: &str) -> Result<Option<Entry>, StoreError> {
        self.one(consumer, |row| row::entry(consumer.to_owned(), row))
    }

    /// Returns all rows, by name. A damaged row is an error of its own, so that it does not hide
    /// the others.
    ///
    /// # Errors
    /// [`StoreError`] if the file can't be read.
    pub fn list(&self) -> Result<Vec<Result<Entry, StoreError>>, StoreError> {
        self.rows("SELECT * FROM consumers ORDER BY name", |row| {
            let name: String = row.get("name")?;
            let entry = row::entry(name.clone(), row);
            Ok(entry.map_err(|bad| self.bad_row(&name, bad)))
        })
    }

    /// Returns the names of all consumers, sorted.
    ///
    /// # Errors
    /// [`StoreError`] if the file can't be read.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        self.rows("SELECT name FROM consumers ORDER BY name", |row| row.get(0))
    }

    /// Saves a position and its outputs in one transaction. Removes a cursor that was set manually.
    /// The caller has synced the files.
    ///
    /// # Errors
    /// [`StoreError`]; what was saved before is then unchanged.
    pub fn save(
        &mut self,
        consumer: &str,
        checkpoint: &Checkpoint,
        now: TimeUs,
    ) -> Result<(), StoreError> {
        // SQLite would continue to write to a file that no program can open any more.
        if self.file_id != file_id_of(&self.path) {
            return Err(StoreError::Gone { path: self.path.clone() });
        }
        self.apply_cursor_override(consumer, now)?;
        let is_asked_for = self.is_asked_for;
        if checkpoint.outputs().is_empty() && checkpoint.additions().is_none() {
            let done = save_position(&self.connection, consumer, checkpoint, is_asked_for, now);
            return done.map_err(|error| self.store_error(&error));
        }
        let saved_additions = self.saved_additions.clone();
        self.in_transaction(|connection| {
            if let Some(additions) = checkpoint.additions() {
                additions::save(connection, consumer, additions, saved_additions.as_ref())?;
            }
            let mut has_finished = false;
            for output in checkpoint.outputs() {
                outputs::put(connection, consumer, output.record(), false)?;
                has_finished |= output.record().state == OutputState::Done;
            }
            if has_finished {
                outputs::forget_old(connection, consumer)?;
            }
            save_position(connection, consumer, checkpoint, is_asked_for, now)
        })?;
        if let Some(additions) = checkpoint.additions() {
            self.saved_additions = Some(Arc::clone(&additions.state));
        }
        Ok(())
    }

    /// Saves a cursor that a user chose, and keeps the position that it replaces. The caller holds
    /// the [`super::lease::Lease`] on the name.
    ///
    /// # Errors
    /// [`StoreError`]; what was saved before is then unchanged.
    pub fn set(
        &mut self,
        consumer: &str,
        to: &ManualCursor,
        now: TimeUs,
    ) -> Result<(), StoreError> {
        let (time, seq) = match to.at {
            CursorValue::Time(time) => (Some(time.0.cast_signed()), None),
            CursorValue::Seq(seq) => (None, Some(seq.0.cast_signed())),
        };
        let is_asked_for = self.is_asked_for.unwrap_or(true);
        self.in_transaction(|connection| {
            earlier::keep(connection, consumer, now)?;
            connection.execute(
                &format!("{SET}, {NO_FILTER}"),
                named_params! {
                    ":name": consumer,
                    ":now": now.0.cast_signed(),
                    ":time": time,
                    ":seq": seq,
                    ":server": to.server.as_deref(),
                    ":is_asked_for": is_asked_for,
                },
            )
        })
        .map(drop)
    }

    /// Saves where a run begins, as a manual cursor, unless something is saved already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn persist_start(
        &mut self,
        consumer: &str,
        at: &ManualCursor,
        now: TimeUs,
    ) -> Result<(), StoreError> {
        match self.load(consumer)? {
            Some(_) => Ok(()),
            None => self.set(consumer, at, now),
        }
    }

    /// Deletes the rows of a consumer (the files stay). Returns whether there were any. The caller
    /// holds the [`super::lease::Lease`] on the name.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is then removed.
    pub fn remove(&mut self, consumer: &str) -> Result<bool, StoreError> {
        let removed =
            self.in_transaction(|connection| transfer::remove_rows(connection, consumer))?;
        Ok(removed > 0)
    }

    fn one<T>(
        &self,
        consumer: &str,
        read: impl FnOnce(&Row<'_>) -> Result<T, BadColumn>,
    ) -> Result<Option<T>, StoreError> {
        let found = self
            .connection
            .query_row("SELECT * FROM consumers WHERE name = ?1", [consumer], |row| Ok(read(row)))
            .optional()
            .map_err(|error| self.store_error(&error))?;
        found.transpose().map_err(|bad| self.bad_row(consumer, bad))
    }

    fn rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows_with(sql, (), read)
    }

    fn rows_with<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self
            .connection
            .prepare(sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect());
        rows.map_err(|error| self.store_error(&error))
    }

    pub(super) fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let done = self.connection.transaction().and_then(|transaction| {
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        done.map_err(|error| self.store_error(&error))
    }

    pub(super) fn bad_row(&self, consumer: &str, bad: BadColumn) -> StoreError {
        StoreError::Row {
            path: self.path.clone(),
            consumer: consumer.to_owned(),
            column: bad.column,
            problem: bad.problem,
        }
    }

    pub(super) fn store_error(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.path, error)
    }
}

fn save_position(
    connection: &Connection,
    consumer: &str,
    checkpoint: &Checkpoint,
    is_asked_for: Option<bool>,
    now: TimeUs,
) -> rusqlite::Result<()> {
    let (resume, filter) = (checkpoint.resume(), checkpoint.filter());
    let position = &resume.position;
    let since = filter.and_then(|filter| filter.since.as_ref());
    let done = connection.prepare_cached(SAVE)?.execute(named_params! {
        ":name": consumer,
        ":now": now.0.cast_signed(),
        ":server": &*position.origin.server,
        ":kind": position.origin.kind.as_str(),
        ":newest_time": position.newest.time.0.cast_signed(),
        ":newest_seq": position.newest.seq.map(|seq| seq.0.cast_signed()),
        ":rewind_time": position.rewind_to.time.0.cast_signed(),
        ":rewind_seq": position.rewind_to.seq.map(|seq| seq.0.cast_signed()),
        ":max_time": position.max_time.0.cast_signed(),
        ":identities": identity_bytes(&resume.identities),
        ":stream": position.origin.filter_fingerprint.cast_signed(),
        ":is_asked_for": is_asked_for,
        ":filter": filter.map(|filter| filter.fingerprint.cast_signed()),
        ":since_server": since.map(|since| &*since.server),
        ":since_kind": since.map(|since| since.kind.as_str()),
        ":since_time": since.map(|since| since.at.time.0.cast_signed()),
        ":since_seq": since.and_then(|since| since.at.seq).map(|seq| seq.0.cast_signed()),
    });
    done.map(drop)
}

fn file_id_of(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|found| platform::file_id(&found))
}

#[cfg(test)]
mod tests;
