//! Windows.
//!
//! `LockFileEx` locks are mandatory: while a run writes a file, no other program can read it.
//! Owners and permissions of files are lists of rights, which this module does not read: a new file
//! has the rights that its directory passes on.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, FileType, Metadata, OpenOptions};
use std::io::{self, IsTerminal as _, Seek as _, SeekFrom, Write as _};
use std::os::windows::fs::{MetadataExt as _, OpenOptionsExt};
use std::os::windows::io::AsHandle as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
    ctrl_logoff, ctrl_shutdown,
};

use super::{FileId, Signal, StandardOutput};

/// GENERIC_READ and GENERIC_WRITE of the Windows API.
const READ_AND_WRITE: u32 = 0x8000_0000 | 0x4000_0000;

/// Below the 260 characters of MAX_PATH, with room for the name of a file in a directory.
const MAX_PLAIN_PATH: usize = 200;

/// ERROR_LOCK_VIOLATION of the Windows API.
const LOCK_VIOLATION: i32 = 33;

/// Whether a file can be removed while a process has it open, and its name is free at once.
pub const REMOVES_OPEN_FILES: bool = false;

/// Whether a terminal draws Unicode whatever the locale says.
pub const DRAWS_UNICODE: bool = true;

/// Returns what most other files don't share: the time of its creation, because Rust's standard
/// library does not offer the file's index. A file that replaces another of the same name within 15
/// seconds inherits that time, so this misses such a replacement.
#[must_use]
pub fn file_id(found: &Metadata) -> FileId {
    (0, found.creation_time())
}

/// Returns 1: the number of names is not known.
#[must_use]
pub fn hard_links(_found: &Metadata) -> u64 {
    1
}

/// Returns 0: owners have no numbers.
#[must_use]
pub fn owner(_found: &Metadata) -> u32 {
    0
}

/// Does nothing: a new file has the rights of its directory.
///
/// # Errors
/// None.
pub fn copy_owner(_from: &Metadata, _to: &File) -> io::Result<()> {
    Ok(())
}

/// Returns 0: users have no numbers.
#[must_use]
pub fn user() -> u32 {
    0
}

/// Returns `false`: the rights are not read. Directories for temporary files belong to one user.
#[must_use]
pub fn is_public(_directory: &Metadata) -> bool {
    false
}

/// Returns what a file is that is neither a directory nor a regular file.
#[must_use]
pub fn special_kind(_kind: &FileType) -> &'static str {
    "not a regular file"
}

/// Changes nothing: the file gets the rights that its directory passes on.
pub fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Changes nothing: the directory gets the rights that its parent passes on.
pub fn owner_only_directory(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder
}

/// Changes nothing: a symbolic link is followed. Only administrators can create one, unless the
/// developer mode is on.
pub fn without_link(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Opens for reading, appending and truncation. Not in append mode, in which Windows refuses to
/// truncate a file: [`append`] finds the end, and the lock keeps other programs from writing.
pub fn for_append(options: &mut OpenOptions) -> &mut OpenOptions {
    options.read(true).write(true).access_mode(READ_AND_WRITE)
}

/// Writes `bytes` at the end of a file that was opened with [`for_append`].
///
/// # Errors
/// The error of the system.
pub fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::End(0))?;
    file.write_all(bytes)
}

/// Returns whether a read failed because another process has locked the file.
#[must_use]
pub fn is_locked_by_another(error: &io::Error) -> bool {
    error.raw_os_error() == Some(LOCK_VIOLATION)
}

/// Checks nothing: the rights are known only when a file is created.
///
/// # Errors
/// None.
pub fn check_writable_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns the absolute path without links to which `path` leads. A path on a drive is as people
/// write it, without `\\?\`, unless it is too long for that.
///
/// # Errors
/// The error of the system.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let found = path.canonicalize()?;
    let plain = found.to_str().and_then(|found| found.strip_prefix(r"\\?\"));
    let is_on_drive = |plain: &&str| plain.as_bytes().get(1) == Some(&b':');
    let plain = plain.filter(is_on_drive).filter(|plain| plain.len() < MAX_PLAIN_PATH);
    Ok(plain.map_or(found.clone(), PathBuf::from))
}

/// Does nothing: NTFS writes its journal in order, and has no call that syncs a directory.
///
/// # Errors
/// None.
pub fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns `false`: not known here, so an error keeps the words of SQLite.
#[must_use]
pub fn has_less_than(_directory: &Path, _free_bytes: u64) -> bool {
    false
}

/// Returns `None`: there is no limit on the length of files.
#[must_use]
pub fn file_size_limit() -> Option<u64> {
    None
}

/// Returns `None`: there is no limit on open files that a run could reach.
#[must_use]
pub fn open_file_limit() -> Option<u64> {
    None
}

/// Does nothing: there is no limit.
pub fn raise_open_file_limit(_wanted: u64) {}

/// Checks nothing: there is no limit.
///
/// # Errors
/// None.
pub fn try_open_files(_number: usize) -> io::Result<()> {
    Ok(())
}

/// Returns `None`: not read on Windows, so the metric is left out.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    None
}

/// Returns `None`: not read on Windows, so the metrics are left out.
#[must_use]
pub fn memory() -> Option<(u64, u64)> {
    None
}

/// Returns `None`: not read on Windows, so the metric is left out.
#[must_use]
pub fn open_fds() -> Option<u64> {
    None
}

/// Does nothing: Windows has no job control, and Ctrl-Z is a key like others.
///
/// # Errors
/// None.
pub fn suspend() -> io::Result<()> {
    Ok(())
}

/// Returns `true`: all programs of a console may draw.
#[must_use]
pub fn is_in_foreground() -> bool {
    true
}

/// Returns standard output. Writes block, and a stop waits for them. Whether a pipe lost its reader
/// shows only at the next write, so nothing counts as a pipe.
///
/// # Errors
/// If standard output is closed.
pub fn standard_output() -> io::Result<StandardOutput> {
    let stdout = io::stdout();
    Ok(StandardOutput {
        file: File::from(stdout.as_handle().try_clone_to_owned()?),
        is_pipe: false,
        is_terminal: stdout.is_terminal(),
        is_non_blocking: false,
    })
}

/// Writes a part of `bytes` to standard output; returns its length. A console expects UTF-16, which
/// only the standard library's handle converts to.
///
/// # Errors
/// The error of the system.
pub fn write_output(mut file: &File, is_terminal: bool, bytes: &[u8]) -> io::Result<usize> {
    // The caller handles a short write.
    #[allow(clippy::disallowed_methods)]
    if is_terminal {
        let mut console = io::stdout().lock();
        let accepted_bytes = console.write(bytes)?;
        console.flush()?;
        Ok(accepted_bytes)
    } else {
        file.write(bytes)
    }
}

/// Returns whether standard output is neither a console nor a file, so that its reader may print to
/// the console.
#[must_use]
pub fn is_read_by_a_program() -> bool {
    let stdout = io::stdout();
    let handle = stdout.as_handle().try_clone_to_owned();
    let is_file = handle.and_then(|handle| File::from(handle).metadata());
    !stdout.is_terminal() && !is_file.is_ok_and(|found| found.is_file())
}

/// Returns `false`: a console that was closed ends the program.
#[must_use]
pub fn is_hang_up(_error: &io::Error) -> bool {
    false
}

/// Sleeps: writes block, so a caller only gets here after a short write.
///
/// # Errors
/// None.
pub fn wait_for_room(_file: &File, at_most: Duration) -> io::Result<()> {
    std::thread::sleep(at_most);
    Ok(())
}

/// Returns `false`: not known before the next write.
#[must_use]
pub fn has_no_reader(_file: &File) -> bool {
    false
}

/// Returns 0: not known.
#[must_use]
pub fn pipe_bytes(_file: &File) -> usize {
    0
}

/// Returns 0: not known.
#[must_use]
pub fn unread_bytes(_file: &File) -> usize {
    0
}

/// Listens for Ctrl-C, Ctrl-Break, and the end of the window or session. After the latter three the
/// system waits some seconds, until the process has ended.
#[derive(Debug)]
pub struct Signals {
    interrupt: CtrlC,
    interrupt_break: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Signals {
    /// Registers the handlers, which replace the default action of the signals.
    ///
    /// # Errors
    /// The error of the system.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            interrupt_break: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.interrupt_break.recv() => Signal::Interrupt,
            _ = self.close.recv() => Signal::Terminate,
            _ = self.logoff.recv() => Signal::Terminate,
            _ = self.shutdown.recv() => Signal::Terminate,
        }
    }
}

/// Returns a future that completes at the first signal of [`Signals`].
///
/// # Errors
/// The error of the system.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        signals.next().await;
    })
}

/// A socket for messages to a service manager, which Windows does not have.
#[derive(Debug)]
pub struct ManagerSocket;

impl ManagerSocket {
    /// Opens nothing.
    ///
    /// # Errors
    /// Always, so that the caller reports it.
    pub fn open(_name: &OsStr) -> io::Result<Self> {
        let kind = io::ErrorKind::Unsupported;
        Err(io::Error::new(kind, "Windows has no such sockets; unset it"))
    }

    /// Sends nothing.
    ///
    /// # Errors
    /// None.
    pub fn send(&self, _message: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
