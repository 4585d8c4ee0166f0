//! What the state file and the databases of `--to sqlite:FILE` share in the use of SQLite.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::platform;

/// The first bytes of a SQLite database.
pub const MAGIC: [u8; 16] = *b"SQLite format 3\0";

/// Reads the first bytes of a file, as many as [`MAGIC`] has if it is long enough.
///
/// # Errors
/// The error of the system.
pub fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// How long to wait for another program's write. A write of skytail takes milliseconds; for a
/// transaction that a user left open in `sqlite3`, an error is better than a longer wait.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two attempts when SQLite does not wait.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// A disk with less free space counts as full: SQLite makes its files in pieces of 32 KiB.
const LEAST_FREE_BYTES: u64 = 64 * 1024;

/// What is wrong with a file, from the code of SQLite's error and from its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The file is not SQLite's.
    NotSqlite,
    /// The file contradicts itself.
    Damaged,
    /// The file can't be written.
    ReadOnly,
    /// The disk is full.
    Full,
    /// The file has reached the limit of the process on file sizes.
    FileTooLarge,
    /// Another program has locked the file.
    Busy,
    /// The file can't be opened.
    Open,
    /// Anything else.
    Other,
}

impl Failure {
    /// Classifies an error that SQLite reported about the file at `path`.
    #[must_use]
    pub fn of(path: &Path, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotSqlite,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            // SQLite does not say why: it reports a full disk as such only in some places.
            Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) if is_full(path) => Self::Full,
            Some(ErrorCode::SystemIoFailure) if is_at_size_limit(path) => Self::FileTooLarge,
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Open,
            _ => Self::Other,
        }
    }
}

/// Returns whether the disk of the file at `path` has no room for another file.
fn is_full(path: &Path) -> bool {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    platform::has_less_than(directory.unwrap_or(Path::new(".")), LEAST_FREE_BYTES)
}

/// Returns whether the file at `path` or its log is as long as a file of this process may be.
fn is_at_size_limit(path: &Path) -> bool {
    let Some(limit) = platform::file_size_limit() else { return false };
    ["", "-wal", "-shm"].iter().any(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(name).is_ok_and(|found| found.len() + LEAST_FREE_BYTES > limit)
    })
}

/// Sets the journal mode WAL, and returns the resulting one. SQLite does not wait for other programs
/// in this case, so this function does.
///
/// # Errors
/// The error of SQLite; for a lock after [`BUSY_TIMEOUT`].
pub fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
        match mode {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < give_up =>
            {
                thread::sleep(BUSY_PAUSE);
            }
            other => return other,
        }
    }
}
