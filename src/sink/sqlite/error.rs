//! Why a database could not be used. Every message has the file and the remedy.

use std::path::{Path, PathBuf};

use crate::sqlite::Failure;

/// Why a database could not be used. The cause is part of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The file can't be created or opened.
    #[error("can't open the database {}: {cause}; name another with --to sqlite:FILE", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The path can't be that of a database.
    #[error("can't make the database {}: {cause}, or name another file with --to sqlite:FILE", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        cause: String,
    },
    /// The file can be read and can't be written.
    #[error("the database {} is read-only: make it and its directory writable, or name another with --to sqlite:FILE", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a database.
    #[error("{} is not a SQLite database: move it away, or name another file with --to sqlite:FILE; it was left as it is", path.display())]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// The database belongs to another program, or is a state file.
    #[error("{} is {owner}: name another file with --to sqlite:FILE; it was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: &'static str,
    },
    /// It was to be read as a recording, and belongs to another program, or is a state file.
    #[error("it is {owner}, and no recording: name a recording, or a database of --to sqlite:FILE")]
    NoRecording {
        /// Whose it is.
        owner: &'static str,
    },
    /// It was to be read as a recording, and is damaged.
    #[error("it is a database that is damaged: {cause}")]
    Unreadable {
        /// The fault.
        cause: String,
    },
    /// A later release wrote it.
    #[error("the database {} has format {found}, from a newer skytail; this one knows formats up to {known}: update skytail, or name another file with --to sqlite:FILE", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i32,
        /// The last version that this program knows.
        known: i32,
    },
    /// SQLite reports that the file is damaged, or a value in it is invalid.
    #[error("the database {} is damaged ({cause}): move it away to start with a new one, or name another with --to sqlite:FILE; it was left as it is", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The fault.
        cause: String,
    },
    /// The database was made for another stream or with other options.
    #[error("the database {} was made {made}, and this run is {given}: name another file with --to sqlite:FILE{remedy}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// For which stream or with which options it was made.
        made: String,
        /// The stream or the options of this run.
        given: String,
        /// A further remedy.
        remedy: &'static str,
    },
    /// The disk is full.
    #[error("can't write to the database {}: its disk is full; free some space", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file has reached the limit of the process on file sizes.
    #[error("can't write to the database {}: it has reached the limit on file sizes; raise that limit (ulimit -f)", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Another program has locked the file for too long.
    #[error("the database {} has been locked by another program for too long: end that program's transaction", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A reader keeps the log from being emptied, and the log is as long as it may be.
    #[error("the log of the database {} has reached {bytes} bytes, because a program has been reading the same state of it all along: end that program's transaction", path.display())]
    LogTooLong {
        /// The file.
        path: PathBuf,
        /// The length of the log.
        bytes: u64,
    },
    /// The path leads to another file now, or to none.
    #[error("the database {} was moved, replaced or removed while it was written: keep other programs away from it, and run skytail again", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// A connection brings v1, which `?strict` refuses.
    #[error(
        "{server} sends v1, and ?strict refuses that, because v1 does not say when a repository is repaired: use a server with v2, or leave ?strict out"
    )]
    V1 {
        /// The server.
        server: String,
    },
    /// Anything else that SQLite reports.
    #[error("can't use the database {}: {cause}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: String,
    },
}

impl DatabaseError {
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

    /// Returns whether a later attempt may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::FileTooLarge { .. }
                | Self::Busy { .. }
                | Self::LogTooLong { .. }
        )
    }

    /// Returns whether the user named something that can't be used as it is.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Other { .. }
                | Self::Foreign { .. }
                | Self::NotSqlite { .. }
                | Self::NoFile { .. }
        )
    }
}
