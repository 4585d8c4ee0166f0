//! Linux, macOS and their relatives.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, FileType, Metadata, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt as _, MetadataExt as _, OpenOptionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, OFlags};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::{FileId, Signal, StandardOutput, linux};

pub use linux::{memory, open_fds, pipe_bytes};

/// Whether a file can be removed while a process has it open, and its name is free at once.
pub const REMOVES_OPEN_FILES: bool = true;

/// Whether a terminal draws Unicode whatever the locale says.
pub const DRAWS_UNICODE: bool = false;

/// Returns the identity of a file, which no other file of the system has.
#[must_use]
pub fn file_id(found: &Metadata) -> FileId {
    (found.dev(), found.ino())
}

/// Returns how many names the file has.
#[must_use]
pub fn hard_links(found: &Metadata) -> u64 {
    found.nlink()
}

/// Returns the user ID of the owner.
#[must_use]
pub fn owner(found: &Metadata) -> u32 {
    found.uid()
}

/// Gives a file the owner and the group of another, if it does not have them.
///
/// # Errors
/// The error of the system: only root may give files away.
pub fn copy_owner(from: &Metadata, to: &File) -> io::Result<()> {
    let found = to.metadata()?;
    if (found.uid(), found.gid()) == (from.uid(), from.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(to, Some(from.uid()), Some(from.gid()))
}

/// Returns the user ID of this process.
#[must_use]
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns whether every user may put files into this directory.
#[must_use]
pub fn is_public(directory: &Metadata) -> bool {
    directory.mode() & 0o002 != 0
}

/// Returns what a file is that is neither a directory nor a regular file.
#[must_use]
pub fn special_kind(kind: &FileType) -> &'static str {
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Lets a new file be its owner's alone.
pub fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Lets a new directory be its owner's alone.
pub fn owner_only_directory(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder.mode(0o700)
}

/// Refuses to follow a symbolic link at the path itself, and does not wait at a pipe: a pipe that
/// another user planted would block the open for ever.
pub fn without_link(options: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed())
}

/// Opens for reading, appending and truncation, in append mode: the bytes of a program that ignores
/// the lock are not overwritten.
pub fn for_append(options: &mut OpenOptions) -> &mut OpenOptions {
    options.read(true).append(true)
}

/// Writes `bytes` at the end of a file that was opened with [`for_append`].
///
/// # Errors
/// The error of the system.
pub fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

/// Returns whether a read failed because another process has locked the file. Never on Unix, where
/// locks are advisory.
#[must_use]
pub fn is_locked_by_another(_error: &io::Error) -> bool {
    false
}

/// Checks that this user may create files in a directory, without creating one.
///
/// # Errors
/// The error of the system.
pub fn check_writable_directory(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Returns the absolute path without links to which `path` leads.
///
/// # Errors
/// The error of the system.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// Syncs a directory, so that its new entries survive a power cut.
///
/// # Errors
/// The error of the system.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // Some file systems have no directories to sync and report this error.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// Returns whether the disk of a directory has less than this many bytes for this user, or room for
/// no further file.
#[must_use]
pub fn has_less_than(directory: &Path, free_bytes: u64) -> bool {
    let Ok(disk) = rustix::fs::statvfs(directory) else { return false };
    let has_no_inode = disk.f_files > 0 && disk.f_favail == 0;
    has_no_inode || disk.f_bavail.saturating_mul(disk.f_frsize) < free_bytes
}

/// Returns the longest file that this process may write, in bytes (RLIMIT_FSIZE).
#[must_use]
pub fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Returns the limit on open files (RLIMIT_NOFILE).
#[must_use]
pub fn open_file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the limit on open files to `wanted`, as far as the hard limit allows.
pub fn raise_open_file_limit(wanted: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        // If the system refuses, the old limit remains.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Checks that this many more files can be opened.
///
/// # Errors
/// The error of the system.
pub fn try_open_files(number: usize) -> io::Result<()> {
    // A pipe needs no path, so this works in any root directory.
    let pipes: Result<Vec<_>, _> = (0..number / 2).map(|_| rustix::pipe::pipe()).collect();
    pipes.map(drop).map_err(io::Error::from)
}

/// Returns the CPU time of this process, in seconds.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9)
}

/// Suspends the process group until the shell continues it.
///
/// # Errors
/// The error of the system.
pub fn suspend() -> io::Result<()> {
    Ok(rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?)
}

/// Returns whether this process is in the foreground of its terminal. On a terminal that is not the
/// controlling one, no other program draws.
#[must_use]
pub fn is_in_foreground() -> bool {
    match rustix::termios::tcgetpgrp(io::stderr()) {
        Ok(group) => group == rustix::process::getpgrp(),
        Err(_) => true,
    }
}

/// Opens standard output a second time, without blocking if the system can do that.
///
/// # Errors
/// If standard output is closed, or the system has no more file descriptors.
pub fn standard_output() -> io::Result<StandardOutput> {
    use rustix::fs::FileType as Kind;
    let stdout = io::stdout();
    let kind = Kind::from_raw_mode(rustix::fs::fstat(stdout.as_fd())?.st_mode);
    let may_block = matches!(kind, Kind::Fifo | Kind::CharacterDevice);
    let reopened = may_block.then(linux::reopen_stdout).flatten();
    let is_non_blocking = reopened.is_some();
    let file = match reopened {
        Some(file) => file,
        None => File::from(stdout.as_fd().try_clone_to_owned()?),
    };
    let (is_pipe, is_terminal) = (kind == Kind::Fifo, stdout.is_terminal());
    if is_pipe {
        linux::widen_pipe(&file);
    }
    Ok(StandardOutput { file, is_pipe, is_terminal, is_non_blocking })
}

/// Writes a part of `bytes` to standard output; returns its length.
///
/// # Errors
/// The error of the system.
pub fn write_output(mut file: &File, _is_terminal: bool, bytes: &[u8]) -> io::Result<usize> {
    // The caller handles a short write.
    #[allow(clippy::disallowed_methods)]
    file.write(bytes)
}

/// Returns whether standard output is a pipe or a socket, whose reader may print to the terminal.
#[must_use]
pub fn is_read_by_a_program() -> bool {
    use rustix::fs::FileType as Kind;
    let kind = rustix::fs::fstat(io::stdout().as_fd());
    matches!(kind.map(|stat| Kind::from_raw_mode(stat.st_mode)), Ok(Kind::Fifo | Kind::Socket))
}

/// Returns whether a write failed because the terminal was hung up (termios(3)).
#[must_use]
pub fn is_hang_up(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::IO)
}

/// Waits until a pipe or terminal has room, for at most this long.
///
/// # Errors
/// The error of the system.
pub fn wait_for_room(file: &File, at_most: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether the reader of a pipe has gone, or the terminal was hung up.
#[must_use]
pub fn has_no_reader(file: &File) -> bool {
    let mut fds = [PollFd::new(file, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok()
        && fds.iter().any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

/// Returns how many bytes of a pipe were not read yet.
#[must_use]
pub fn unread_bytes(file: &File) -> usize {
    let bytes = rustix::io::ioctl_fionread(file).unwrap_or(0);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Listens for SIGINT, SIGTERM, SIGHUP, SIGXCPU and SIGUSR1.
#[derive(Debug)]
pub struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
    user: Stream,
    reload: Stream,
    cpu_time: Stream,
    _too_large: Stream,
}

impl Signals {
    /// Registers the handlers, which replace the default action of the signals.
    ///
    /// # Errors
    /// The error of the system.
    pub fn listen() -> io::Result<Self> {
        use rustix::process::Signal as Number;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::user_defined2())?,
            cpu_time: signal(SignalKind::from_raw(Number::XCPU.as_raw()))?,
            // Registered so that it does not end the process. The write that exceeded the limit on
            // file sizes then fails like any other write.
            _too_large: signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Terminate,
            _ = self.cpu_time.recv() => Signal::CpuTime,
            _ = self.user.recv() => Signal::Status,
            _ = self.reload.recv() => Signal::Reload,
        }
    }
}

/// Returns a future that completes at the first SIGINT or SIGTERM.
///
/// # Errors
/// The error of the system.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A socket for messages to a service manager. It never blocks.
#[derive(Debug)]
pub struct ManagerSocket {
    socket: UnixDatagram,
    manager: SocketAddr,
}

impl ManagerSocket {
    /// Opens a socket for messages to `name`: a path, or on Linux `@` and an abstract name.
    ///
    /// # Errors
    /// If `name` is no such address, or the system refuses a socket.
    pub fn open(name: &OsStr) -> io::Result<Self> {
        let manager = match name.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(name),
            [b'@', name @ ..] => linux::abstract_address(name),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a path is expected")),
        }?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, manager })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The error of the system, also if the manager's queue is full.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        self.socket.send_to_addr(message, &self.manager).map(drop)
    }
}
