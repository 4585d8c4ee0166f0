//! Replaces a file by its copy without deleted records. Whenever the process ends, the file is
//! either the old one or the new one, and the state file accepts it.
//!
//! 1. The lease on the consumer that owns the file is taken, and the file is locked.
//! 2. The copy is written beside the file, as `NAME.scrub`, and synced.
//! 3. The state file records the ends of both files, if a consumer owns the file.
//! 4. The copy is renamed, and the directory is synced.
//! 5. The state file replaces its row.
//!
//! After a crash between 3 and 5, the next start of a tail or of a scrub compares the file with both
//! ends (`Store::settle_rewrites`).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::input::{Form, Input, InputError, Stamp};
use super::rewrite::{copy_rows_without, copy_without};
use crate::checkpoint::lease::{Lease, LeaseError};
use crate::checkpoint::store::{Store, StoreError};
use crate::paths::temporary::{ListLock, TemporaryName};
use crate::sink::file::open::{self, OpenFileError};
use crate::sink::output_record::{FileEnd, OutputRecord, OutputState};
use crate::{paths, platform};

/// The ending of the copy's name.
const ENDING: &str = ".scrub";
/// The ending of a file whose events a run converts to Parquet.
const TO_BE_CONVERTED: &str = ".parquet.open.ndjson.zst";

/// Why a file was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// A tail writes it, or another program has locked it.
    #[error("it is being written{}: stop that run, or scrub the file after its rotation", with_pid(*.0))]
    InUse(Option<u32>),
    /// It is not what was read.
    #[error("it changed while it was scrubbed: scrub it again when no program writes to it")]
    Changed,
    /// It is not what its consumer wrote.
    #[error("it is not what the state file says of it, because another program changed it: {0}")]
    Foreign(OpenFileError),
    /// The rows of consumers contradict the file.
    #[error(
        "the consumer {0:?} owns it in {1}, which says that it is another file: name the right state file with --state, or remove the consumer with `skytail cursors rm`"
    )]
    NotAsRecorded(String, PathBuf),
    /// It belongs to another user.
    #[error(
        "it belongs to another user (id {0}), who could not use the scrubbed file: run skytail as that user"
    )]
    Owner(u32),
    /// Something else has the name of the copy.
    #[error("{} {}: remove it first", .0.display(), .1)]
    CopyInWay(PathBuf, &'static str),
    /// The file can't be opened again.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The copy can't be written.
    #[error("can't write {}: {cause}{}", path.display(), remedy(cause))]
    Copy {
        /// The copy.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// The copy can't take the place of the file.
    #[error("can't rename {}: {cause}", .path.display())]
    Rename {
        /// The copy.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// The lease can't be taken.
    #[error(transparent)]
    Lease(LeaseError),
    /// The state file can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space on that disk: the copy takes up to as much as the file"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; make its directory writable for this user"
        }
        ErrorKind::FileTooLarge => "; raise the limit on file sizes (ulimit -f)",
        _ => "",
    }
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by skytail with pid {pid}")).unwrap_or_default()
}

/// The consumers that own a file, and the leases on them that could be taken.
#[derive(Debug)]
pub struct Ownership {
    rows: Vec<(String, OutputRecord)>,
    _leases: Vec<Lease>,
}

impl Ownership {
    /// Takes the leases on the consumers that own the file at `path`, which is absolute. After a
    /// run that was killed, cuts the file to its saved length, as the next run would.
    ///
    /// # Errors
    /// [`ReplaceError::InUse`] if a run writes this very file, and any error of the state file.
    pub fn take(store: &mut Store, path: &Path) -> Result<Self, ReplaceError> {
        Self::take_if(store, path, |_| true)
    }

    /// As [`Ownership::take`], for files that a run writes or was killed in.
    ///
    /// # Errors
    /// As [`Ownership::take`].
    pub fn take_open(store: &mut Store, path: &Path) -> Result<Self, ReplaceError> {
        Self::take_if(store, path, |record| record.state == OutputState::Open)
    }

    fn take_if(
        store: &mut Store,
        path: &Path,
        needs_lease: fn(&OutputRecord) -> bool,
    ) -> Result<Self, ReplaceError> {
        let (mut rows, mut leases) = (store.owners(path)?, Vec::new());
        for (consumer, record) in rows.iter_mut().filter(|(_, record)| needs_lease(record)) {
            match Lease::acquire(store.path(), consumer) {
                Ok(lease) => {
                    leases.push(lease);
                    if record.state == OutputState::Open {
                        open::truncate_to_checkpoint(record).map_err(ReplaceError::Foreign)?;
                        record.state = OutputState::Clean;
                        store.put_output(consumer, record)?;
                    }
                }
                // The run is done with every file but the one that it writes, and those that it
                // converts to Parquet.
                Err(LeaseError::Held { pid, .. })
                    if record.state == OutputState::Open || is_to_be_converted(path) =>
                {
                    return Err(ReplaceError::InUse(pid));
                }
                Err(LeaseError::Held { .. }) => {}
                Err(error) => return Err(ReplaceError::Lease(error)),
            }
        }
        Ok(Self { rows, _leases: leases })
    }

    /// Returns whether the file is one that a consumer owns. Fails if it is owned and is not as
    /// recorded.
    fn check(&self, end: FileEnd, store: &Store) -> Result<bool, ReplaceError> {
        let is_as_recorded = |(_, record): &&(String, OutputRecord)| record.end() == end;
        match (self.rows.first(), self.rows.iter().find(is_as_recorded)) {
            (None, _) => Ok(false),
            (Some(_), Some(_)) => Ok(true),
            (Some((consumer, _)), None) => {
                Err(ReplaceError::NotAsRecorded(consumer.clone(), store.path().to_owned()))
            }
        }
    }
}

/// Returns whether a run converts the file to Parquet after its period has ended.
fn is_to_be_converted(path: &Path) -> bool {
    path.to_string_lossy().ends_with(TO_BE_CONVERTED)
}

/// Replaces the file at `path`, which was read as `scanned`, by a copy without the lines `removed`.
/// Returns the number of lines that were left out, and the length of the new file.
///
/// # Errors
/// [`ReplaceError`]; the file is then unchanged, and the copy is removed.
pub fn replace(
    path: &Path,
    scanned: Stamp,
    store: Option<&mut Store>,
    progress: &Arc<AtomicU64>,
    removed: &mut dyn Iterator<Item = io::Result<u64>>,
) -> Result<(u64, u64), ReplaceError> {
    let path = fs::canonicalize(path).map_err(InputError::Unreadable)?;
    let mut store = store;
    let ownership = store.as_deref_mut().map(|store| Ownership::take(store, &path)).transpose()?;
    let input = Input::open(&path)?;
    lock(&input.file)?;
    if input.stamp != scanned {
        return Err(ReplaceError::Changed);
    }
    let old = open::end_of(&input.file).map_err(InputError::Unreadable)?;
    let is_owned = match (&ownership, store.as_deref()) {
        (Some(ownership), Some(store)) => ownership.check(old, store)?,
        _ => false,
    };
    let mut copy = Copy::create(&path)?;
    let written = write(&mut copy, &input, progress, removed)
        .and_then(|left_out| open::end_of(&copy.file).map(|new| (left_out, new)));
    let (left_out, new) = written.map_err(|cause| copy.failed(cause))?;
    if fs::symlink_metadata(&path).map(|found| Stamp::of(&found)).ok() != Some(scanned) {
        return Err(ReplaceError::Changed);
    }
    let mut store = store.filter(|_| is_owned);
    if let Some(store) = &mut store {
        store.begin_rewrite(&path, old, new)?;
    }
    // The lock of the new file is kept until the state file knows it.
    let renamed = copy.rename(&path);
    if let Some(store) = store {
        match &renamed {
            Ok(_) => finish(store, &path),
            Err(_) => store.settle_rewrites()?,
        }
    }
    renamed.map(|_locked| (left_out, new.length_bytes))
}

/// Records that a file was replaced. If that fails, the next start does it.
fn finish(store: &mut Store, path: &Path) {
    if let Err(error) = store.finish_rewrite(path) {
        tracing::warn!(
            "{} is scrubbed, and the state file can't record it yet ({error}); the next start of skytail does",
            path.display()
        );
    }
}

fn lock(file: &File) -> Result<(), ReplaceError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(ReplaceError::InUse(None)),
        Err(TryLockError::Error(cause)) => Err(InputError::Unreadable(cause).into()),
    }
}

/// Writes the copy with the owner and the permissions of the file, and syncs it.
fn write(
    copy: &mut Copy,
    input: &Input,
    progress: &Arc<AtomicU64>,
    removed: &mut dyn Iterator<Item = io::Result<u64>>,
) -> io::Result<u64> {
    let left_out = match input.form {
        Form::Parquet => copy.write_rows(input.file.try_clone()?, removed)?,
        form => {
            let directory = copy.name.path().parent().unwrap_or(Path::new("."));
            copy_without(input.lines(progress, directory)?, &copy.file, form, removed)?
        }
    };
    let found = input.file.metadata()?;
    platform::copy_owner(&found, &copy.file)?;
    copy.file.set_permissions(found.permissions())?;
    copy.file.sync_all()?;
    Ok(left_out)
}

/// The copy of a file, which is removed when it is dropped without being renamed.
struct Copy {
    file: File,
    name: TemporaryName,
}

impl Copy {
    /// Creates the copy of the file at `path`, in place of one that a killed scrub left.
    fn create(path: &Path) -> Result<Self, ReplaceError> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(ENDING);
        let path = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        platform::owner_only(&mut options);
        let failed = |cause| ReplaceError::Copy { path: path.clone(), cause };
        let in_way = |what| ReplaceError::CopyInWay(path.clone(), what);
        let list = ListLock::acquire();
        let file = match paths::open_without_link(&mut options, &path) {
            Ok(file) => file,
            Err(_) if path.is_symlink() => return Err(in_way("is a symbolic link")),
            Err(_) if path.is_dir() => return Err(in_way("is a directory")),
            Err(cause) => return Err(failed(cause)),
        };
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() || platform::hard_links(&found) > 1 {
            return Err(in_way("is not a copy that skytail made"));
        }
        // Another scrub that has it would rename it.
        lock(&file)?;
        let is_there = fs::symlink_metadata(&path)
            .is_ok_and(|there| platform::file_id(&there) == platform::file_id(&found));
        if !is_there {
            return Err(ReplaceError::Changed);
        }
        file.set_len(0).map_err(failed)?;
        Ok(Self { file, name: list.register(path) })
    }

    /// Writes a Parquet file without some rows. It gets the name of the copy when it is complete.
    fn write_rows(
        &mut self,
        input: File,
        removed: &mut dyn Iterator<Item = io::Result<u64>>,
    ) -> io::Result<u64> {
        let path = self.name.path();
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".parquet");
        let rows = path.with_file_name(name);
        // A killed scrub may have left one. The lock on the copy covers it.
        match fs::remove_file(&rows) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let rows = TemporaryName::new(rows);
        let left_out = copy_rows_without(input, rows.path(), removed)?;
        let file = File::options().read(true).write(true).open(rows.path())?;
        file.try_lock()?;
        rows.rename(path)?;
        self.file = file;
        Ok(left_out)
    }

    fn failed(&self, cause: io::Error) -> ReplaceError {
        ReplaceError::Copy { path: self.name.path().to_owned(), cause }
    }

    /// Puts the copy in the place of the file, and returns it.
    fn rename(self, to: &Path) -> Result<File, ReplaceError> {
        let Self { file, name } = self;
        let path = name.path().to_owned();
        name.rename(to).map_err(|cause| ReplaceError::Rename { path, cause })?;
        // The file is the new one already. Without the sync, a power cut may bring back the old one,
        // and the state file accepts either.
        match open::sync_directory(to) {
            Err(error) if error.kind() != ErrorKind::Unsupported => {
                tracing::warn!(
                    "{} is scrubbed, and its directory can't be synced: {error}; after a power cut, scrub it again",
                    to.display()
                );
            }
            _ => {}
        }
        Ok(file)
    }
}
