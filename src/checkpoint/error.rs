//! Why the state file could not be used. Every message has the file and the remedy.

use std::path::{Path, PathBuf};

use crate::sqlite::Failure;

/// Why the state file could not be used. The cause is part of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file can't be created or opened.
    #[error("can't open the state file {}: {cause}; name another with --state FILE", path.display())]
    Open {
        /// The file, or the directory that could not be made.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file can be read and can't be written.
    #[error("the state file {} is read-only: make it and its directory writable, or name another with --state FILE", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a database.
    #[error("{} is not a SQLite database: move it away, or name another state file with --state FILE; it was left as it is", path.display())]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// The database belongs to another program.
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
    /// SQLite reports that the file is damaged.
    #[error("the state file {} is damaged ({cause}): move it away to start with a new one, or name another with --state FILE; it was left as it is", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The fault.
        cause: String,
    },
    /// A row has an invalid value.
    #[error("the saved cursor {consumer:?} in {} is damaged: column {column} {problem}; replace it with `skytail cursors set`, or drop it with `skytail cursors rm`", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The consumer's name.
        consumer: String,
        /// The column.
        column: &'static str,
        /// What is wrong with it: the end of a sentence.
        problem: String,
    },
    /// The disk is full.
    #[error("can't save to the state file {}: its disk is full; free some space, or name another file with --state FILE", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file has reached the limit of the process on file sizes.
    #[error("can't save to the state file {}: it has reached the limit on file sizes; raise that limit (ulimit -f), or name another file with --state FILE", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The log has changes that the file does not have, and it can't be read without a process that
    /// may write.
    #[error("can't read the state file {}: {cause}, and its log {}-wal holds changes that are not in it yet; copy both to a directory that can be written to, or use `skytail cursors backup` on the machine that wrote it", path.display(), path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Another program has locked the file for too long.
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
        /// The error of SQLite.
        cause: String,
    },
    /// A file could not be synced.
    #[error("can't sync {} to the disk: {cause}; check the disk, and run it again with --cursor auto", path.display())]
    Output {
        /// The file that was written.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file was moved, removed or replaced while it was in use.
    #[error("the state file {} was moved, removed or replaced: put it back, or start again without it", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The thread that saves ended.
    #[error("the thread that saves the cursor ended unexpectedly; the last cursors were not saved")]
    Lost,
}

impl StoreError {
    /// Converts an error that SQLite reported about the file at `path`.
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let cause = error.to_string();
        match Failure::of(&path, error) {
            Failure::NotSqlite => Self::NotSqlite { path },
            Failure::Damaged => Self::Damaged { path, cause },
            Failure::ReadOnly => Self::ReadOnly { path },
            Failure::Full => Self::Full { path },
            Failure::FileTooLarge => Self::FileTooLarge { path },
            Failure::Busy => Self::Busy { path },
            Failure::Open => Self::Open { path, cause },
            Failure::Other => Self::Failed { path, cause },
        }
    }

    /// Returns whether the file itself may be sound, and only the files that SQLite needs beside
    /// it can't be made.
    pub(super) fn is_about_files_beside(&self) -> bool {
        matches!(
            self,
            Self::ReadOnly { .. } | Self::Open { .. } | Self::Full { .. } | Self::Failed { .. }
        )
    }

    /// Returns the error for a file that can't be read without its log.
    pub(super) fn with_log(self) -> Self {
        match self {
            Self::ReadOnly { path } => {
                Self::Log { path, cause: "its directory is read-only".to_owned() }
            }
            Self::Open { path, cause } | Self::Failed { path, cause } => Self::Log { path, cause },
            Self::Full { path } => Self::Log { path, cause: "its disk is full".to_owned() },
            other => other,
        }
    }
}
