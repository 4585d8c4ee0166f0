//! One tail per consumer name: a lock that the operating system holds for the process, and
//! lets go when the process ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// Most bytes of a consumer's name that its lock file shows.
const SHOWN_BYTES: usize = 48;

/// The right to write one consumer's cursor, for as long as the value lives.
///
/// The lock file stays when the lease ends: were it removed, a second process could hold the
/// lock on the removed file while a third locks a new one of the same name.
#[derive(Debug)]
pub struct Lease {
    // Locked; closing it unlocks.
    file: File,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process has it.
    #[error("consumer {consumer:?} is in use by skytail{}; stop it, or give this run a name of its own with --consumer", with_pid(*pid))]
    Held {
        /// The name.
        consumer: String,
        /// The holder; `None` where it has not written it yet, or the system hides it.
        pid: Option<u32>,
    },
    /// The lock file can't be made or locked.
    #[error("can't lock consumer {consumer:?} with {}: {cause}; name a state file elsewhere with --state FILE", path.display())]
    Failed {
        /// The name.
        consumer: String,
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" with pid {pid}")).unwrap_or_default()
}

impl Lease {
    /// Takes the lease on `consumer` in the state file at `state`, which exists (open the
    /// [`super::store::Store`] first). Never waits.
    ///
    /// # Errors
    /// [`LeaseError::Held`] where another process, or another lease of this one, has it.
    pub fn acquire(state: &Path, consumer: &str) -> Result<Self, LeaseError> {
        // One state file may be reached by several paths; it has one set of locks.
        let real = fs::canonicalize(state);
        let path = lock_path(real.as_deref().unwrap_or(state), consumer);
        let failed =
            |cause| LeaseError::Failed { consumer: consumer.to_owned(), path: path.clone(), cause };
        let mut file = open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read_pid(&mut file);
                return Err(LeaseError::Held { consumer: consumer.to_owned(), pid });
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        // The number is for people. Where the disk is too full for it, the lock still holds.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { file })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing it would do, unless a child that is just being started has the file, too.
        let _ = self.file.unlock();
    }
}

/// `state.db.<what can be shown of the name>-<hash of the name>.lock`. The hash tells names
/// apart that look the same once their odd characters are gone.
fn lock_path(state: &Path, consumer: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let shown: String = consumer.chars().take(SHOWN_BYTES).map(plain).collect();
    let mut name = state.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{shown}-{:016x}.lock", xxh3_64(consumer.as_bytes())));
    state.with_file_name(name)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
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

    #[test]
    fn a_lock_file_that_can_not_be_made_is_named() {
        let home = tempfile::tempdir().unwrap();
        let refusal = Lease::acquire(&home.path().join("none/state.db"), "posts").unwrap_err();
        assert!(
            matches!(&refusal, LeaseError::Failed { path, .. } if path.starts_with(home.path()))
        );
    }
}
