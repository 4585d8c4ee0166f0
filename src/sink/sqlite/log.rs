//! Keeps SQLite's write-ahead log short.
//!
//! A reader sees the state at which its transaction began. SQLite copies the log into the file only
//! up to that state, and writes it from its start again only when no reader needs it. So a reader that keeps
//! one transaction open lets the log grow. The writer warns, continues up to [`MAX_BYTES`], and then
//! waits for the reader, while the server waits for the writer. No event is lost.

use std::fs;

use crate::display::units::bytes;

use super::Database;
use super::error::DatabaseError;

/// The length from which on the log is copied into the file after a commit.
const COPY_BYTES: u64 = 64 * 1024 * 1024;
/// The length at which a reader that keeps the log is reported.
const WARN_BYTES: u64 = 512 * 1024 * 1024;
/// The length at which the writer waits for that reader.
const MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;

impl Database {
    /// Copies the log into the file if it is long. SQLite writes it from its start again if no reader
    /// needs it.
    pub(super) fn keep_log_short(&mut self) -> Result<(), DatabaseError> {
        let length = self.log_bytes();
        if length < COPY_BYTES {
            self.has_warned_of_log = false;
            return Ok(());
        }
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|error| self.error(&error))?;
        if length >= WARN_BYTES && !self.has_warned_of_log {
            self.has_warned_of_log = true;
            tracing::warn!(
                "the log of {} has grown to {}, because a program has been reading one state of it all along: end that program's transaction; the run waits when the log reaches {}",
                self.path.display(),
                bytes(length),
                bytes(MAX_BYTES),
            );
        }
        if length < MAX_BYTES {
            return Ok(());
        }
        // Empties the log if the reader has ended by now.
        let is_busy: bool = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| self.error(&error))?;
        match is_busy {
            true => Err(DatabaseError::LogTooLong { path: self.path.clone(), bytes: length }),
            false => Ok(()),
        }
    }

    fn log_bytes(&self) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        fs::metadata(log).map_or(0, |found| found.len())
    }
}
