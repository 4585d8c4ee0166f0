//! Why the state file could not be used. Every message names the file and the way out.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the state file could not be used. The cause is part of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be made, or opened.
    #[error("can't open the state file {}: {cause}; name another with --state FILE", path.display())]
    Open {
        /// The file, or the directory that could not be made.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// It can be read and not written.
    #[error("the state file {} is read-only: make it and its directory writable, or name another with --state FILE", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Something else is stored there.
    #[error("{} is not a SQLite database: move it away, or name another state file with --state FILE; it was left as it is", path.display())]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// It is somebody else's database.
    #[error("{} is the database of another program: name another state file with --state FILE; it was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later release wrote it.
    #[error("the state file {} has format {found}, from a newer skytail; this one knows formats up to {known}: update skytail, or name another file with --state FILE", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i32,
        /// The last version that this program knows.
        known: i32,
    },
    /// SQLite finds it broken.
    #[error("the state file {} is damaged ({cause}): move it away to start anew, or name another with --state FILE; it was left as it is", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is broken.
        cause: String,
    },
    /// One row makes no sense.
    #[error("the saved cursor {consumer:?} in {} is damaged: column {column} {problem}; replace it with `skytail cursors set`, or drop it with `skytail cursors rm`", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row's name.
        consumer: String,
        /// The column.
        column: &'static str,
        /// What is wrong with it: the end of a sentence.
        problem: String,
    },
    /// No room left.
    #[error("can't save to the state file {}: its disk is full; free some space, or name another file with --state FILE", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Somebody holds it for too long.
    #[error("the state file {} has been locked by another program for too long: stop that program, or name another file with --state FILE", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that SQLite reports.
    #[error("can't use the state file {}: {cause}; name another with --state FILE", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: String,
    },
    /// What was written did not reach the disk.
    #[error("can't bring {} to the disk: {cause}; check the disk, and go on with --cursor auto", path.display())]
    Output {
        /// The file that was written.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// It was taken away while it was used.
    #[error("the state file {} was moved, removed or replaced: put it back, or start anew", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The thread that saves died.
    #[error("the thread that saves the cursor ended unexpectedly; the last cursors were not saved")]
    Lost,
}

impl StoreError {
    /// Says what SQLite reported about the file at `path`.
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let cause = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotSqlite { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, cause },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Open { path, cause },
            _ => Self::Failed { path, cause },
        }
    }
}
