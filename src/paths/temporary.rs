//! Temporary files that must not stay when a signal ends the process: a list of their names, which
//! the code that handles signals reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static NAMES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The list, locked while a file is created: a signal then either finds its name, or comes before it.
#[derive(Debug)]
pub struct ListLock(MutexGuard<'static, Vec<PathBuf>>);

impl ListLock {
    /// Locks the list. Waits for ever if a signal ends the process.
    #[must_use]
    pub fn acquire() -> Self {
        Self(names())
    }

    /// Adds a name. The caller has locked the file, or has created it.
    #[must_use]
    pub fn register(mut self, path: PathBuf) -> TemporaryName {
        self.0.push(path.clone());
        TemporaryName(path)
    }
}

/// The name of a temporary file of this process. The file is removed when this value is dropped,
/// unless it was renamed.
#[derive(Debug)]
pub struct TemporaryName(PathBuf);

impl TemporaryName {
    /// Adds the name of a file that does not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        ListLock::acquire().register(path)
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

/// Removes all temporary files, and lets no other thread create, rename or remove one any more. Called
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
