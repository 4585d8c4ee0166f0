//! Keeps SQLite's write-ahead log short.
//!
//! A reader sees the state at which its transaction began. SQLite copies the log into the file only
//! up to that state, and writes it from its start again only when no reader needs it. So a reader that
//! keeps one transaction open lets the log grow. The writer warns, continues up to a limit, and then
//! waits for the reader, while the server waits for the writer. No event is lost.

use std::fs;

use crate::display::units::bytes;

use super::Database;
use super::error::DatabaseError;

/// Lengths of the log, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogLimits {
    /// From which on it is copied into the file before a commit.
    pub(super) copy: u64,
    /// At which a reader that keeps it is reported.
    pub(super) warn: u64,
    /// At which the writer waits for that reader.
    pub(super) most: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { copy: 64 << 20, warn: 1 << 30, most: 4 << 30 }
    }
}

impl Database {
    /// Copies the log into the file if it is long. SQLite writes it from its start again if no reader
    /// needs it.
    pub(super) fn keep_log_short(&mut self) -> Result<(), DatabaseError> {
        let length = self.log_bytes();
        if length < self.log_limits.copy {
            self.has_warned_of_log = false;
            return Ok(());
        }
        let (pages, copied): (i64, i64) = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
            .map_err(|error| self.error(&error))?;
        if copied >= pages {
            return Ok(());
        }
        if length >= self.log_limits.warn && !self.has_warned_of_log {
            self.has_warned_of_log = true;
            tracing::warn!(
                "the log of {} has grown to {}, because a program has been reading one state of it all along: end that program's transaction; the run waits when the log reaches {}",
                self.path.display(),
                bytes(length),
                bytes(self.log_limits.most),
            );
        }
        if length < self.log_limits.most {
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
