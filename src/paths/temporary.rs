//! Temporary files that must not stay when a signal ends the process: a list of their names, which
//! the code that handles signals reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static NAMES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The name of a temporary file of this process. The file is removed when this value is dropped,
/// unless it was renamed.
#[derive(Debug)]
pub struct TemporaryName(PathBuf);

impl TemporaryName {
    /// Adds a name to the list. The caller has locked the file, or has created it.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        names().push(path.clone());
        Self(path)
    }

    /// Returns the name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Renames the file, which then stays.
    ///
    /// # Errors
    /// The error of the system; the file is then removed.
    pub fn rename(self, to: &Path) -> io::Result<()> {
        // With the lock, so that a signal either removes the file or finds that it has its new name.
        let mut names = names();
        let renamed = fs::rename(&self.0, to);
        if renamed.is_ok() {
            names.retain(|name| *name != self.0);
        }
        drop(names);
        renamed
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        let mut names = names();
        // Another process may have a file of this name by now, unless it is on the list.
        if names.contains(&self.0) {
            // If it stays, it only takes space, and the next run replaces it.
            let _ = fs::remove_file(&self.0);
            names.retain(|name| *name != self.0);
        }
    }
}

/// Removes all temporary files, and lets no other thread rename or remove one any more. Called
/// before the process exits.
pub fn remove_all() {
    let names = names();
    for name in &*names {
        let _ = fs::remove_file(name);
    }
    std::mem::forget(names);
}

/// A poisoned lock is still valid: no code that holds it can panic within a change.
fn names() -> MutexGuard<'static, Vec<PathBuf>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}
