//! A file that appears under its name only when it is complete.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::temporary::{ListLock, TemporaryName};
use crate::platform;

/// Why a file can't be written.
#[derive(Debug, thiserror::Error)]
pub enum NewFileError {
    /// There is a file already.
    #[error("{} exists already: move it away, or name another file", .0.display())]
    Exists(PathBuf),
    /// Another process writes it.
    #[error("{} is being written by another process: stop that one, or name another file", .0.display())]
    Locked(PathBuf),
    /// A link, a directory or a device has the name.
    #[error("{} is not a regular file: remove it, or name another file", .0.display())]
    NotRegular(PathBuf),
    /// The directory does not exist.
    #[error("the directory {} does not exist: make it first, or name a file elsewhere", .0.display())]
    NoDirectory(PathBuf),
    /// The directory is a file.
    #[error("{} is not a directory, so no file can be in it: name a file elsewhere", .0.display())]
    NotInDirectory(PathBuf),
    /// The system lets this user make no files in the directory.
    #[error("can't write to {}: {cause}; make it writable for this user, or name a file elsewhere", directory.display())]
    Denied {
        /// The directory.
        directory: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// The system can't write it.
    #[error("can't write {}: {cause}{}", path.display(), remedy(cause))]
    Failed {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, or name a file on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make its directory writable for this user, or name a file elsewhere"
        }
        _ => "; name another file",
    }
}

/// Checks that a file can be made at `path`, as far as that is possible without making one.
///
/// # Errors
/// [`NewFileError`] about the directory.
pub fn check_directory(path: &Path) -> Result<(), NewFileError> {
    check_usable(directory(path))
}

/// Checks that files can be made in a directory.
///
/// # Errors
/// As [`check_directory`].
pub fn check_usable(directory: &Path) -> Result<(), NewFileError> {
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => NewFileError::NoDirectory(directory.to_owned()),
        io::ErrorKind::NotADirectory => NewFileError::NotInDirectory(directory.to_owned()),
        _ => NewFileError::Denied { directory: directory.to_owned(), cause },
    };
    if !std::fs::metadata(directory).map_err(failed)?.is_dir() {
        return Err(NewFileError::NotInDirectory(directory.to_owned()));
    }
    platform::check_writable_directory(directory).map_err(failed)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is written under the name `PATH.tmp`. It is removed when this is dropped, unless it
/// was published.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    temporary: TemporaryName,
}

impl NewFile {
    /// Creates the temporary file, and locks it. What a killed process left there is replaced.
    ///
    /// # Errors
    /// [`NewFileError`].
    pub fn create(path: &Path) -> Result<(Self, File), NewFileError> {
        check_directory(path)?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        if std::fs::symlink_metadata(&temporary).is_ok_and(|found| !found.is_file()) {
            return Err(NewFileError::NotRegular(temporary));
        }
        // The user has named the file, and not the temporary one.
        let failed = |cause| NewFileError::Failed { path: path.to_owned(), cause };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let list = ListLock::acquire();
        let file = super::open_without_link(&mut options, &temporary).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NewFileError::Locked(temporary)),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        file.set_len(0).map_err(failed)?;
        let path = path.to_owned();
        Ok((Self { path, temporary: list.register(temporary) }, file))
    }

    /// Returns the path that the file will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns an error about the file.
    #[must_use]
    pub fn failed(&self, cause: io::Error) -> NewFileError {
        NewFileError::Failed { path: self.path.clone(), cause }
    }

    /// Gives the file its name, and replaces a file of that name. The caller has synced it.
    ///
    /// # Errors
    /// [`NewFileError`]. If only the directory can't be synced, the file has its name already.
    pub fn publish(self) -> Result<(), NewFileError> {
        let Self { path, temporary } = self;
        let failed = |cause| NewFileError::Failed { path: path.clone(), cause };
        temporary.rename(&path).map_err(failed)?;
        platform::sync_directory(directory(&path)).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_it_is_published() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a");
        fs::write(home.path().join("a.tmp"), "left by a killed process").unwrap();
        let (new, mut file) = NewFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert!(matches!(NewFile::create(&path), Err(NewFileError::Locked(_))));
        assert!(!path.exists());
        drop(file);
        new.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        drop(NewFile::create(&home.path().join("b")).unwrap());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
