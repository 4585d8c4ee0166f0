//! Copies the state file while runs save to it, with SQLite's online backup. The copy appears at
//! its path only when it is complete.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::open;
use super::store::{Store, StoreError};

/// Number of pages per step: all, because a save between two steps would restart the copy. A state
/// file has some hundred pages.
const ALL_PAGES: i32 = i32::MAX;

/// The pause before another try if the file was locked.
const PAUSE: Duration = Duration::from_millis(20);

/// Why the state file could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file exists.
    #[error("{} exists already: name another file, or give --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The target is the state file itself.
    #[error("{} is the state file itself: name another file", .0.display())]
    Same(PathBuf),
    /// The target may be a database in use.
    #[error("{} is a database in use, with a log beside it: name another file", .0.display())]
    InUse(PathBuf),
    /// The copy can't be written.
    #[error("can't write the copy to {}: {cause}; name another file", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// The state file can't be read, or the copy is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Copies the state file to `to`. The copy can be used as a state file.
    ///
    /// # Errors
    /// [`BackupError`]; a file at `to` is then unchanged.
    pub fn backup(&self, to: &Path, replaces: bool) -> Result<(), BackupError> {
        check(&self.path, to, replaces)?;
        let failed = |cause| BackupError::Write { path: to.to_owned(), cause };
        let temporary = create_beside(to).map_err(failed)?;
        let copied = self.copy_to(&temporary).and_then(|()| {
            put(&temporary, to, replaces).map_err(|cause| match cause.kind() {
                ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
                _ => failed(cause),
            })
        });
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&temporary);
        copied
    }

    fn copy_to(&self, temporary: &Path) -> Result<(), BackupError> {
        let sqlite_error = |error: rusqlite::Error| StoreError::from_sqlite(temporary, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(temporary, flags).map_err(sqlite_error)?;
        Backup::new(&self.connection, &mut copy)
            .and_then(|backup| backup.run_to_completion(ALL_PAGES, PAUSE, None))
            .map_err(sqlite_error)?;
        drop(copy);
        open::check_copy(temporary)?;
        // Windows syncs only a file that was opened for writing.
        let file = OpenOptions::new().read(true).write(true).open(temporary);
        file.and_then(|file| file.sync_all())
            .map_err(|cause| BackupError::Write { path: temporary.to_owned(), cause })
    }
}

/// Checks that the copy replaces no file that it must not replace.
fn check(state: &Path, to: &Path, replaces: bool) -> Result<(), BackupError> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    if real(to).is_some_and(|to| Some(to) == real(state)) {
        return Err(BackupError::Same(to.to_owned()));
    }
    let mut log = to.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        // SQLite would apply this log to the copy.
        return Err(BackupError::InUse(to.to_owned()));
    }
    match fs::symlink_metadata(to) {
        Ok(found) if found.is_dir() => {
            let cause = ErrorKind::IsADirectory.into();
            Err(BackupError::Write { path: to.to_owned(), cause })
        }
        Ok(_) if !replaces => Err(BackupError::Exists(to.to_owned())),
        _ => Ok(()),
    }
}

/// Creates an empty file in the directory of `to`, which only its owner can read.
fn create_beside(to: &Path) -> io::Result<PathBuf> {
    let Some(name) = to.file_name() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the path has no file name"));
    };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}.tmp", fastrand::u64(..)));
    let temporary = to.with_file_name(temporary);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    crate::platform::owner_only(&mut options).open(&temporary).map(|_| temporary)
}

/// Gives the complete copy its name.
fn put(temporary: &Path, to: &Path, replaces: bool) -> io::Result<()> {
    if replaces {
        fs::rename(temporary, to)?;
    } else {
        // Unlike a rename, this fails if another program has created the file since the check.
        fs::hard_link(temporary, to)?;
    }
    crate::sink::file::open::sync_directory(&std::path::absolute(to)?)
}
