//! Allows one run per consumer name. The operating system holds a file lock for the process and
//! releases it when the process ends, also after a crash.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::{paths, platform};

/// Maximum number of bytes of a consumer's name in the name of its lock file.
const SHOWN_BYTES: usize = 48;

/// Longest lock file that is read, in bytes: a process ID has at most 10 digits.
const LONGEST_BYTES: u64 = 32;

/// How often a lock that another process holds is tried again. [`remove_unused`] holds the locks
/// of unused names for less than a millisecond each.
const TRIES: u32 = 5;
/// The pause between two tries.
const TRY_PAUSE: Duration = Duration::from_millis(10);

/// Maximum number of files beside the state file that [`remove_unused`] examines.
const MOST_FILES: usize = 10_000;

/// The right to write one consumer's cursor, for as long as the value lives.
///
/// The lock file stays when the lease ends. A process holds the lock of a file while it removes the
/// file, and a process that has locked a file checks that it is still the file at that path.
/// Otherwise two processes could hold locks on two files of the same name.
#[derive(Debug)]
pub struct Lease {
    // The locked file. Closing it releases the lock.
    file: File,
    path: PathBuf,
}

/// Why the lease could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process holds the lease.
    #[error("consumer {consumer:?} is in use by skytail{}; stop it, or give this run a name of its own with --consumer", with_pid(*pid))]
    Held {
        /// The name.
        consumer: String,
        /// The process ID of the holder; `None` if the holder has not written it yet, or if the
        /// system hides it.
        pid: Option<u32>,
    },
    /// The path of the lock file has a file that skytail did not make.
    #[error("can't lock consumer {consumer:?}: {} {problem}, and may be a trap of another user; it was left as it is: remove it, or name a state file in a directory of your own with --state FILE", path.display())]
    Foreign {
        /// The name.
        consumer: String,
        /// The lock file.
        path: PathBuf,
        /// What the path has instead: the middle of a sentence.
        problem: &'static str,
    },
    /// The lock file can't be made or locked.
    #[error("can't lock consumer {consumer:?} with {}: {cause}; name a state file elsewhere with --state FILE", path.display())]
    Failed {
        /// The name.
        consumer: String,
        /// The lock file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" with pid {pid}")).unwrap_or_default()
}

impl Lease {
    /// Takes the lease on `consumer` in the state file at `state`. The file must exist: open the
    /// [`super::store::Store`] first. Waits at most 50 ms.
    ///
    /// # Errors
    /// [`LeaseError::Held`] if another process, or another lease of this process, has it;
    /// [`LeaseError::Foreign`] if the path of the lock file has another file. Nothing is then
    /// written.
    pub fn acquire(state: &Path, consumer: &str) -> Result<Self, LeaseError> {
        let path = lock_path(&real(state), consumer);
        let failed =
            |cause| LeaseError::Failed { consumer: consumer.to_owned(), path: path.clone(), cause };
        let mut tries = 0;
        let mut file = loop {
            tries += 1;
            let file = open(&path, consumer)?;
            match file.try_lock() {
                // Otherwise another process removed the file while this one waited for its lock.
                Ok(()) if is_at(&file, &path) => break file,
                Ok(()) if tries < TRIES => {}
                Ok(()) => return Err(failed(io::Error::other("it was removed again and again"))),
                Err(TryLockError::WouldBlock) if tries < TRIES => thread::sleep(TRY_PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let digits = digits(&file).ok().flatten();
                    let pid = digits.and_then(|digits| digits.parse().ok());
                    return Err(LeaseError::Held { consumer: consumer.to_owned(), pid });
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        };
        // The process ID is for people. If the disk has no room for it, the lock still holds.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { file, path })
    }

    /// Ends the lease on a name that no longer exists, and removes its lock file.
    pub fn remove(self) {
        if platform::REMOVES_OPEN_FILES {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Returns the path of the lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing the file would be enough if no child process that is being started had it, too.
        let _ = self.file.unlock();
    }
}

/// Removes the lock files beside the state file of names that `used` does not return, except those
/// that a process holds. `used` is called while the lock is held, so that no run can take the name
/// in between; if it returns `None`, the work ends. Files that can't be removed stay.
pub fn remove_unused(state: &Path, mut used: impl FnMut() -> Option<Vec<String>>) {
    let state = real(state);
    let directory = state.parent().filter(|directory| !directory.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(directory.unwrap_or(Path::new("."))) else { return };
    let is_of =
        |names: &[String], path: &Path| names.iter().any(|name| lock_path(&state, name) == path);
    let Some(known) = used() else { return };
    let known: HashSet<PathBuf> = known.iter().map(|name| lock_path(&state, name)).collect();
    let locks = entries.take(MOST_FILES).filter_map(Result::ok);
    let locks = locks.filter_map(|entry| Some(state.parent()?.join(entry.file_name())));
    for path in locks.filter(|path| is_lock_of(path, &state) && !known.contains(path)) {
        let mut options = OpenOptions::new();
        let Ok(file) = paths::open_without_link(options.read(true).write(true), &path) else {
            continue;
        };
        if !is_lock_file(&file) || file.try_lock().is_err() || !is_at(&file, &path) {
            continue;
        }
        // A run may have saved something under the name before this function took the lock.
        let Some(names) = used() else { return };
        if !is_of(&names, &path) {
            Lease { file, path }.remove();
        }
    }
}

/// Returns the path that all paths to one state file share, because it has one set of locks.
fn real(state: &Path) -> PathBuf {
    crate::platform::canonical(state).unwrap_or_else(|_| state.to_owned())
}

/// Returns `state.db.<plain characters of the name>-<hash of the name>.lock`. The hash
/// distinguishes names that differ only in other characters.
fn lock_path(state: &Path, consumer: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let shown: String = consumer.chars().take(SHOWN_BYTES).map(plain).collect();
    let mut name = state.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{shown}-{:016x}.lock", xxh3_64(consumer.as_bytes())));
    state.with_file_name(name)
}

/// Returns whether `path` has the form that [`lock_path`] gives.
fn is_lock_of(path: &Path, state: &Path) -> bool {
    let text = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (Some(name), Some(state)) = (text(path), text(state)) else { return false };
    let hash = name
        .strip_prefix(&state)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_suffix(".lock"))
        .and_then(|rest| rest.rsplit_once('-'));
    hash.is_some_and(|(_, hash)| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Opens the lock file, or creates it. Never follows a link, and rejects every file that skytail
/// did not write, because in a directory with other writers another user can choose the file.
fn open(path: &Path, consumer: &str) -> Result<File, LeaseError> {
    let foreign = |problem| LeaseError::Foreign {
        consumer: consumer.to_owned(),
        path: path.to_owned(),
        problem,
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    platform::owner_only(&mut options);
    match paths::open_without_link(&mut options, path) {
        Ok(file) if is_lock_file(&file) => Ok(file),
        Ok(_) => Err(foreign("is not a lock file of skytail")),
        // The kind of the error depends on the system.
        Err(_) if path.is_symlink() => Err(foreign("is a symbolic link")),
        Err(_) if path.is_dir() => Err(foreign("is a directory")),
        Err(cause) => {
            Err(LeaseError::Failed { consumer: consumer.to_owned(), path: path.to_owned(), cause })
        }
    }
}

/// Returns whether a file has the content that a lease writes, or none, and has one name only: a
/// second name would be a hard link to a file of its owner.
fn is_lock_file(file: &File) -> bool {
    let Ok(found) = file.metadata() else { return false };
    let is_ours = match digits(file) {
        Ok(digits) => digits.is_some(),
        // On Windows only the holder can read it.
        Err(error) => platform::is_locked_by_another(&error),
    };
    found.is_file() && platform::hard_links(&found) <= 1 && found.len() <= LONGEST_BYTES && is_ours
}

/// Returns whether `file` is the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let ours = file.metadata().map(|found| platform::file_id(&found));
    let there = fs::symlink_metadata(path).map(|found| platform::file_id(&found));
    matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
}

/// Returns the process ID in a lock file as text, which is empty until the holder has written it.
/// `None` if the file has any other content.
fn digits(mut file: &File) -> io::Result<Option<String>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(LONGEST_BYTES + 1).read_to_end(&mut bytes)?;
    file.rewind()?;
    let digits = bytes.trim_ascii();
    let is_number = digits.iter().all(u8::is_ascii_digit);
    Ok(is_number.then(|| String::from_utf8_lossy(digits).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lease_is_refused_and_names_the_first() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state.db");
        let first = Lease::acquire(&state, "posts").unwrap();
        let refusal = Lease::acquire(&state, "posts").unwrap_err().to_string();
        let pid = std::process::id();
        assert_eq!(
            refusal,
            format!(
                "consumer \"posts\" is in use by skytail with pid {pid}; stop it, or give this run a name of its own with --consumer"
            )
        );
        drop(first);
        Lease::acquire(&state, "posts").unwrap();
    }

    #[test]
    fn names_that_look_alike_on_disk_have_leases_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state.db");
        let long = "x".repeat(200);
        let names = ["a/b", "a_b", "a*b", "", "..", "ä", "ö", &long, &format!("{long}y")];
        let held: Vec<Lease> =
            names.iter().map(|name| Lease::acquire(&state, name).unwrap()).collect();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), held.len());
    }

    #[cfg(unix)]
    #[test]
    fn every_path_to_a_state_file_leads_to_the_same_leases() {
        let home = tempfile::tempdir().unwrap();
        let (state, link) = (home.path().join("state.db"), home.path().join("link.db"));
        File::create(&state).unwrap();
        std::os::unix::fs::symlink(&state, &link).unwrap();
        let _first = Lease::acquire(&state, "posts").unwrap();
        assert!(matches!(Lease::acquire(&link, "posts"), Err(LeaseError::Held { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_lock_file_is_refused_and_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state.db");
        let (lock, precious) = (lock_path(&state, "posts"), home.path().join("precious"));
        let plant: [(&str, &dyn Fn()); 5] = [
            ("is a symbolic link", &|| std::os::unix::fs::symlink(&precious, &lock).unwrap()),
            ("is not a lock file", &|| fs::hard_link(&precious, &lock).unwrap()),
            ("is not a lock file", &|| fs::write(&lock, "a diary").unwrap()),
            ("is not a lock file", &|| fs::write(&lock, "1".repeat(100)).unwrap()),
            ("is a directory", &|| fs::create_dir(&lock).unwrap()),
        ];
        for content in ["precious", "", "123"] {
            for (words, plant) in &plant {
                fs::write(&precious, content).unwrap();
                plant();
                let refusal = Lease::acquire(&state, "posts").unwrap_err();
                assert!(matches!(refusal, LeaseError::Foreign { .. }), "{refusal}");
                assert!(refusal.to_string().contains(words), "{words:?} is not in {refusal}");
                assert_eq!(fs::read_to_string(&precious).unwrap(), content);
                let _ = fs::remove_file(&lock).or_else(|_| fs::remove_dir(&lock));
            }
        }
        Lease::acquire(&state, "posts").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn lock_files_of_unused_names_are_removed_and_held_ones_stay() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state.db");
        fs::write(&state, "").unwrap();
        for name in ["used", "unused", "a/b"] {
            drop(Lease::acquire(&state, name).unwrap());
        }
        let held = Lease::acquire(&state, "held").unwrap();
        let others = ["state.db.lock", "state.db.x-0123.lock", "other.db.x-0123456789abcdef.lock"];
        for name in others {
            fs::write(home.path().join(name), "").unwrap();
        }
        remove_unused(&state, || Some(vec!["used".to_owned()]));
        let mut left: Vec<_> =
            fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        let mut expected = vec![state.clone(), lock_path(&state, "used"), held.path().to_owned()];
        expected.extend(others.map(|name| home.path().join(name)));
        expected.sort();
        assert_eq!(left, expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_on_a_removed_file_is_no_lease() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state.db");
        // Many processes take and remove one name. No two may have it at the same time.
        let holders = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let Ok(lease) = Lease::acquire(&state, "posts") else { continue };
                        let order = std::sync::atomic::Ordering::SeqCst;
                        assert_eq!(holders.fetch_add(1, order), 0);
                        holders.fetch_sub(1, order);
                        lease.remove();
                    }
                });
            }
        });
    }

    #[test]
    fn a_lock_file_that_can_not_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        let refusal = Lease::acquire(&home.path().join("none/state.db"), "posts").unwrap_err();
        assert!(
            matches!(&refusal, LeaseError::Failed { path, .. } if path.starts_with(home.path()))
        );
    }
}
