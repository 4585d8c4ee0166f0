//! Opens a file to append to it. Refuses a file if appending would damage it, repeat events, or
//! mix them with bytes of another program. Truncates what an earlier run wrote after its last
//! checkpoint.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::sink::output_record::{FileEnd, FileTail, OutputRecord, OutputState, TAIL_BYTES};
use crate::{paths, platform};

/// The first bytes of a zstd frame, and the upper three of the first four of a frame to skip.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// A locked file that this consumer may append to.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file, in append mode.
    pub file: File,
    /// Its length now.
    pub length_bytes: u64,
    /// Its last bytes.
    pub tail: FileTail,
    /// How many bytes were truncated.
    pub truncated_bytes: u64,
}

/// Why a file can't be appended to. Each message names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenFileError {
    /// A directory.
    #[error("{} is a directory: name a file in it", .0.display())]
    Directory(PathBuf),
    /// A pipe, socket or device: it has no length.
    #[error("{} is {what}, where nothing can be cut off again: leave --output out and redirect stdout there", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The directory does not exist.
    #[error("the directory {} does not exist: make it first, or name a file elsewhere", .0.display())]
    NoDirectory(PathBuf),
    /// A symbolic link to a file that does not exist.
    #[error("{} is a symbolic link to {}, which does not exist: remove the link, or make what it leads to", path.display(), target.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
    },
    /// A symbolic link of another user.
    #[error("{} is a symbolic link that another user may have put there, and was not followed: remove it, or name a file in a directory of your own", .0.display())]
    PlantedLink(PathBuf),
    /// The directory is a file.
    #[error("{} is not a directory, so no file can be in it: name a file elsewhere", .0.display())]
    NotInDirectory(PathBuf),
    /// The system denies access.
    #[error("can't write to {}: {cause}; make it writable for this user, or name another file", path.display())]
    Denied {
        /// The file or its directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// The file holds bytes that no row of this consumer records.
    #[error("{} holds {} that this consumer did not write: append after them with --append, or name another file", path.display(), bytes(*found_bytes))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
    },
    /// There is a file where a Parquet file is to be.
    #[error("{} exists already, and is not a file that this consumer continues: move it away, or name another file", .0.display())]
    Taken(PathBuf),
    /// A Parquet file is complete.
    #[error("{} is complete, and nothing can be appended to a Parquet file: name another file, or begin one a day with --rotate daily and %F in the name", .0.display())]
    Complete(PathBuf),
    /// The recorded file does not exist.
    #[error("{} is gone, or was moved; it held {}: put it back, or begin a new one with --append", path.display(), bytes(*recorded_bytes))]
    Gone {
        /// The file.
        path: PathBuf,
        /// The length that was saved.
        recorded_bytes: u64,
    },
    /// The file is shorter than recorded.
    #[error("{} has {}, and had {} at the saved position: put the file back, or append after its end with --append", path.display(), bytes(*found_bytes), bytes(*recorded_bytes))]
    Shorter {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// The length that was saved.
        recorded_bytes: u64,
    },
    /// The end of the file has another hash than recorded.
    #[error("{} is not the file that was written, or was edited: put it back, or append after its end with --append", .0.display())]
    Changed(PathBuf),
    /// The file is longer than a run that ended cleanly left it.
    #[error("{} has {}, and the last run ended at {}: another program wrote to it; append after its end with --append, or name another file", path.display(), bytes(*found_bytes), bytes(*recorded_bytes))]
    Longer {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// The length that was saved.
        recorded_bytes: u64,
    },
    /// The name ends in `.zst`, and the file is not zstd.
    #[error("{} is not a zstd file, so nothing compressed can follow in it: name another file", .0.display())]
    NotZstd(PathBuf),
    /// The file does not consist of whole zstd frames.
    #[error("{} is damaged or ends in the middle of a zstd frame, so nothing that follows could be read: mend it, or name another file", .0.display())]
    TornZstd(PathBuf),
    /// Another process has locked it.
    #[error("{} is being written by another process: stop that one, or name another file", .0.display())]
    Locked(PathBuf),
    /// Any other error of the system.
    #[error("can't use {}: {cause}{}", path.display(), crate::sink::remedy_after(cause))]
    Failed {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
}

fn bytes(n: u64) -> String {
    crate::display::units::counted(n, "byte")
}

impl OpenFileError {
    /// Returns whether the user must change the command, so that no retry would help.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Locked(_) | Self::Failed { .. })
    }

    fn from_io(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        if paths::is_planted_link(&path) {
            // The kind of the error depends on the system.
            return Self::PlantedLink(path);
        }
        match cause.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { path, cause }
            }
            ErrorKind::NotFound => match paths::dangling_target(&path) {
                Some(target) => Self::DanglingLink { path, target },
                None => Self::NoDirectory(path.parent().unwrap_or(Path::new(".")).to_owned()),
            },
            _ => Self::Failed { path, cause },
        }
    }
}

/// Opens `path` to append to it. `record` is what the state file has of it; `append` accepts any
/// content. A plain file that does not end in a line feed gets one.
///
/// # Errors
/// [`OpenFileError`]; the file is then unchanged.
pub fn open_for_append(
    path: &Path,
    record: Option<&OutputRecord>,
    append: bool,
    is_compressed: bool,
) -> Result<OpenedFile, OpenFileError> {
    check_kind(path)?;
    if let Some(record) = record.filter(|record| record.length_bytes > 0 && !append)
        && !path.exists()
    {
        if let Some(target) = paths::dangling_target(path) {
            return Err(OpenFileError::DanglingLink { path: path.to_owned(), target });
        }
        let recorded_bytes = record.length_bytes;
        return Err(OpenFileError::Gone { path: path.to_owned(), recorded_bytes });
    }
    let failed = |cause| OpenFileError::from_io(path, cause);
    let file = open_locked(path)?;
    let found_bytes = file.metadata().map_err(failed)?.len();
    let verified = match record {
        Some(record) => verify(&file, found_bytes, record),
        None if found_bytes == 0 => Ok((0, FileTail::default())),
        None => Err(OpenFileError::Foreign { path: path.to_owned(), found_bytes }),
    };
    let is_unverified = verified.is_err();
    let (length_bytes, tail) = match verified {
        Err(OpenFileError::Failed { path, cause }) => {
            return Err(OpenFileError::Failed { path, cause });
        }
        Err(_) if append => (found_bytes, read_tail(&file, found_bytes).map_err(failed)?),
        // mutant: keeps-the-tail-of-a-file
        verified => verified?,
    };
    if is_compressed && length_bytes > 0 && !is_zstd(&file).map_err(failed)? {
        return Err(OpenFileError::NotZstd(path.to_owned()));
    }
    if is_compressed && is_unverified && length_bytes > 0 && !is_whole_zstd(&file) {
        return Err(OpenFileError::TornZstd(path.to_owned()));
    }
    let truncated_bytes = found_bytes - length_bytes;
    if truncated_bytes > 0 {
        truncate(&file, length_bytes).map_err(failed)?;
    }
    let mut opened = OpenedFile { file, length_bytes, tail, truncated_bytes };
    if !is_compressed && opened.tail.last().is_some_and(|byte| byte != b'\n') {
        platform::append(&opened.file, b"\n")
            .and_then(|()| opened.file.sync_data())
            .map_err(failed)?;
        opened.tail.push(b"\n");
        opened.length_bytes += 1;
    }
    Ok(opened)
}

/// Truncates a file that a killed run left to its recorded length. Returns how many bytes were
/// removed. If the recorded length is 0, the file may be missing.
///
/// # Errors
/// [`OpenFileError`]; the file is then unchanged.
pub fn truncate_to_checkpoint(record: &OutputRecord) -> Result<u64, OpenFileError> {
    let path = &record.path;
    if !path.exists() {
        let recorded_bytes = record.length_bytes;
        return match recorded_bytes {
            0 => Ok(0),
            _ => Err(OpenFileError::Gone { path: path.clone(), recorded_bytes }),
        };
    }
    check_kind(path)?;
    let failed = |cause| OpenFileError::from_io(path, cause);
    let file = open_locked(path)?;
    let found_bytes = file.metadata().map_err(failed)?.len();
    let (length_bytes, _) = verify(&file, found_bytes, record)?;
    if found_bytes > length_bytes {
        truncate(&file, length_bytes).map_err(failed)?;
    }
    Ok(found_bytes - length_bytes)
}

/// Returns where a file ends now.
///
/// # Errors
/// The error of the system.
pub fn end_of(file: &File) -> io::Result<FileEnd> {
    let length_bytes = file.metadata()?.len();
    Ok(FileEnd { length_bytes, tail_hash: read_tail(file, length_bytes)?.hash() })
}

/// Returns whether the name is free: there is no file, or an empty one.
#[must_use]
pub fn is_free(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) => found.is_file() && found.len() == 0,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Syncs the directory of a file, so that its entry survives a power cut.
///
/// # Errors
/// The error of the system.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), platform::sync_directory)
}

/// Checks the kind of the file before it is opened: opening a pipe without a reader blocks.
fn check_kind(path: &Path) -> Result<(), OpenFileError> {
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    if found.is_dir() {
        return Err(OpenFileError::Directory(path.to_owned()));
    }
    if found.is_file() {
        return Ok(());
    }
    Err(OpenFileError::NotRegular {
        path: path.to_owned(),
        what: platform::special_kind(&found.file_type()),
    })
}

fn open_locked(path: &Path) -> Result<File, OpenFileError> {
    let mut options = OpenOptions::new();
    let opened = paths::open_trusted(platform::for_append(&mut options).create(true), path);
    let file = opened.map_err(|cause| OpenFileError::from_io(path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenFileError::Locked(path.to_owned())),
        Err(TryLockError::Error(cause)) => {
            Err(OpenFileError::Failed { path: path.to_owned(), cause })
        }
    }
}

/// Checks the file against its record. Returns the recorded length and the bytes before it.
fn verify(
    file: &File,
    found_bytes: u64,
    record: &OutputRecord,
) -> Result<(u64, FileTail), OpenFileError> {
    let (path, recorded_bytes) = (record.path.clone(), record.length_bytes);
    if found_bytes < recorded_bytes {
        return Err(OpenFileError::Shorter { path, found_bytes, recorded_bytes });
    }
    if found_bytes > recorded_bytes && record.state != OutputState::Open {
        return Err(OpenFileError::Longer { path, found_bytes, recorded_bytes });
    }
    let tail = read_tail(file, recorded_bytes)
        .map_err(|cause| OpenFileError::Failed { path: path.clone(), cause })?;
    if tail.hash() != record.tail_hash {
        return Err(OpenFileError::Changed(path));
    }
    Ok((recorded_bytes, tail))
}

/// Returns the tail hash of a file of this length.
///
/// # Errors
/// The error of the system.
pub fn tail_hash(file: &File, length_bytes: u64) -> io::Result<u64> {
    read_tail(file, length_bytes).map(|tail| tail.hash())
}

fn read_tail(mut file: &File, length_bytes: u64) -> io::Result<FileTail> {
    let from = length_bytes.saturating_sub(TAIL_BYTES as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(length_bytes - from).read_to_end(&mut bytes)?;
    Ok(FileTail::new(bytes))
}

fn is_zstd(mut file: &File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.take(4).read_to_end(&mut head)?;
    Ok(head == ZSTD_MAGIC || (head.len() == 4 && head.ends_with(&ZSTD_SKIPPABLE)))
}

/// Returns whether a file consists of whole frames. Reads all of it; called only for a file that
/// another program wrote.
fn is_whole_zstd(mut file: &File) -> bool {
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| {
        let mut decoder = zstd::stream::read::Decoder::new(file)?;
        io::copy(&mut decoder, &mut io::sink())
    });
    read.is_ok()
}

fn truncate(file: &File, length_bytes: u64) -> io::Result<()> {
    file.set_len(length_bytes)?;
    file.sync_data()
}
