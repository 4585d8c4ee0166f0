//! A copy of the state file while runs save to it: SQLite's online backup, into a file that is
//! there as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::open;
use super::store::{Store, StoreError};

/// Pages that are copied at once: all, so that a run that saves meanwhile does not make the copy
/// begin again. A state file has some hundred.
const ALL_PAGES: i32 = i32::MAX;

/// The pause before a copy that found the file locked is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file exists.
    #[error("{} exists already: name another file, or give --force to replace it", .0.display())]
    Exists(PathBuf),
    /// It is the state file itself.
    #[error("{} is the state file itself: name another file", .0.display())]
    Same(PathBuf),
    /// It may be in use.
    #[error("{} is a database in use, with a log beside it: name another file", .0.display())]
    InUse(PathBuf),
    /// The copy can't be written.
    #[error("can't write the copy to {}: {cause}; name another file", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The state file can't be read, or the copy is not sound.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Copies the state file to `to`. The copy can be used as a state file.
    ///
    /// # Errors
    /// [`BackupError`]; what was at `to` is then unchanged.
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
        // After a rename it is gone.
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
        File::open(temporary)
            .and_then(|file| file.sync_all())
            .map_err(|cause| BackupError::Write { path: temporary.to_owned(), cause })
    }
}

/// Checks that the copy destroys nothing.
fn check(state: &Path, to: &Path, replaces: bool) -> Result<(), BackupError> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    if real(to).is_some_and(|to| Some(to) == real(state)) {
        return Err(BackupError::Same(to.to_owned()));
    }
    let mut log = to.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        // SQLite would apply that log to the copy.
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

/// Makes an empty file for its owner alone in the directory of `to`.
fn create_beside(to: &Path) -> io::Result<PathBuf> {
    let Some(name) = to.file_name() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it names no file"));
    };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}.tmp", fastrand::u64(..)));
    let temporary = to.with_file_name(temporary);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&temporary).map(|_| temporary)
}

/// Gives the whole copy its name.
fn put(temporary: &Path, to: &Path, replaces: bool) -> io::Result<()> {
    if replaces {
        fs::rename(temporary, to)?;
    } else {
        // Unlike a rename it fails if another program made the file meanwhile.
        fs::hard_link(temporary, to)?;
    }
    crate::sink::file::open::sync_directory(&std::path::absolute(to)?)
}
