//! Finds dangling symbolic links, and links that another user may have planted.
//!
//! A name in a directory that every user may write to can be taken by another user before skytail
//! opens it. Linux refuses to follow such a link in sticky directories
//! (`fs.protected_symlinks`), but not in every container, and other systems don't.

pub mod new_file;
pub mod temporary;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::platform;

/// Returns the target of a dangling symbolic link at `path`; `None` for anything else.
#[must_use]
pub fn dangling_target(path: &Path) -> Option<PathBuf> {
    let is_missing = fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if is_missing { fs::read_link(path).ok() } else { None }
}

/// Returns whether `path` is a symbolic link that another user may have planted: it is in a
/// directory that every user may write to, and belongs neither to this user, nor to the owner of
/// the directory, nor to root.
#[must_use]
pub fn is_planted_link(path: &Path) -> bool {
    let Ok(link) = fs::symlink_metadata(path) else { return false };
    link.is_symlink()
        && public_directory(path).is_some_and(|directory| !is_trusted(&link, &directory))
}

/// Returns the owner of the file at `path`, if that is another user and the file is in a directory
/// that every user may write to: that user may have put it there.
#[must_use]
pub fn planting_owner(path: &Path) -> Option<u32> {
    let file = fs::metadata(path).ok()?;
    let directory = public_directory(path)?;
    (!is_trusted(&file, &directory)).then(|| platform::owner(&file))
}

fn is_trusted(file: &fs::Metadata, directory: &fs::Metadata) -> bool {
    let owner = platform::owner(file);
    owner == 0 || owner == platform::owner(directory) || owner == platform::user()
}

/// Returns the directory of `path` if every user may write to it.
fn public_directory(path: &Path) -> Option<fs::Metadata> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = fs::metadata(directory.unwrap_or(Path::new("."))).ok()?;
    platform::is_public(&directory).then_some(directory)
}

/// Opens `path` as `options` say, and follows a symbolic link there only if it existed before and
/// no other user can have planted it.
///
/// # Errors
/// As the system reports; which error a link that is not followed gives depends on the system.
pub fn open_trusted(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    if !is_link || is_planted_link(path) {
        return open_without_link(options, path);
    }
    options.open(path)
}

/// Opens `path` as `options` say, and never follows a symbolic link there.
///
/// # Errors
/// As the system reports; which error a link that is not followed gives depends on the system.
pub fn open_without_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    platform::without_link(options).open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_dangling_link_has_a_dangling_target() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        symlink(&file, &link).unwrap();
        assert_eq!(dangling_target(&link), Some(file.clone()));
        assert_eq!(dangling_target(&file), None);
        fs::write(&file, "").unwrap();
        assert_eq!((dangling_target(&link), dangling_target(&file)), (None, None));
    }

    #[test]
    fn a_link_is_followed_only_if_it_is_allowed_and_not_planted() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        open_trusted(OpenOptions::new().append(true), &link).unwrap();
        assert!(!is_planted_link(&link));
        open_without_link(OpenOptions::new().append(true), &link).unwrap_err();
    }
}
