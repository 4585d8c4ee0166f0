//! Standard output. It needs no buffer, because batches are large.
//!
//! This sink always knows *exactly* how many bytes were accepted. A blocking `write(2)` into a pipe
//! whose reader does not read reports nothing until it returns. So the sink opens pipes and terminals
//! a second time, without blocking, if the system can do that (Linux, through `/proc/self/fd`). That
//! is a new open file description, so programs that share the old one keep a blocking one. On other
//! systems writes block, and a stop waits for them.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{PartialWrite, SinkError};

/// How often a blocked write checks its deadline. Only a blocked output costs these wake-ups.
const RECHECK: Duration = Duration::from_millis(50);

/// A line that is redrawn on a screen that also shows the output.
pub trait Overlay: fmt::Debug + Send + Sync {
    /// Clears the line; it is not drawn again until [`Overlay::show`].
    fn hide(&self);
    /// Lets the line be drawn again.
    fn show(&self);
}

/// Standard output.
#[derive(Debug)]
pub struct Stdout {
    file: File,
    is_pipe: bool,
    is_terminal: bool,
    is_non_blocking: bool,
    overlay: Option<Arc<dyn Overlay>>,
}

/// Returns whether standard output is a pipe or a socket, whose reader may print to the terminal.
#[must_use]
pub fn is_read_by_a_program() -> bool {
    imp::is_read_by_a_program()
}

impl Stdout {
    /// Opens standard output. Nothing else may print there.
    ///
    /// # Errors
    /// Fails if standard output is closed, or if the process has no file descriptors left.
    pub fn open() -> io::Result<Self> {
        imp::open()
    }

    /// Hides `overlay` while a part of an event is written.
    #[must_use]
    pub fn below(self, overlay: Arc<dyn Overlay>) -> Self {
        Self { overlay: Some(overlay), ..self }
    }

    /// Writes all of `bytes`. Stops only when the instant that `deadline` returns has passed.
    /// `deadline` is called repeatedly, because a stop can come during the wait.
    ///
    /// # Errors
    /// [`PartialWrite`], with the number of bytes that were accepted.
    pub fn write_all(
        &mut self,
        bytes: &[u8],
        deadline: impl Fn() -> Option<Instant>,
    ) -> Result<(), PartialWrite> {
        let mut accepted_bytes = 0;
        loop {
            let rest = bytes.get(accepted_bytes..).unwrap_or_default();
            let (now, error) = match self.write_ready(rest) {
                Ok(now) if now == rest.len() => return Ok(()),
                Ok(now) => (now, self.wait_for_room(&deadline)),
                Err(PartialWrite { accepted_bytes, error }) => (accepted_bytes, Some(error)),
            };
            accepted_bytes += now;
            if let Some(error) = error {
                return Err(PartialWrite { accepted_bytes, error });
            }
        }
    }

    /// Writes as much of `bytes` as the output accepts without blocking. Returns the number of bytes.
    ///
    /// # Errors
    /// As [`Stdout::write_all`], except [`SinkError::TimedOut`].
    pub fn write_ready(&mut self, bytes: &[u8]) -> Result<usize, PartialWrite> {
        let Some(overlay) = self.overlay.clone().filter(|_| !bytes.is_empty()) else {
            return self.write_now(bytes);
        };
        overlay.hide();
        let written = self.write_now(bytes);
        // After a part of a line the overlay stays hidden, so that it is not drawn inside the line.
        if !matches!(&written, Ok(accepted_bytes) if *accepted_bytes < bytes.len()) {
            overlay.show();
        }
        written
    }

    fn write_now(&mut self, bytes: &[u8]) -> Result<usize, PartialWrite> {
        let mut accepted_bytes = 0;
        let refused = |accepted_bytes, error| Err(PartialWrite { accepted_bytes, error });
        while let Some(rest) = bytes.get(accepted_bytes..).filter(|rest| !rest.is_empty()) {
            // The number of bytes of a short write matters here.
            #[allow(clippy::disallowed_methods)]
            let written = self.file.write(rest);
            match written {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return refused(accepted_bytes, SinkError::Failed(error));
                }
                Ok(n) => accepted_bytes += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return refused(accepted_bytes, self.error(e)),
            }
        }
        Ok(accepted_bytes)
    }

    /// Waits for room for at most [`RECHECK`]. Returns the error if the deadline has passed.
    fn wait_for_room(&self, deadline: impl Fn() -> Option<Instant>) -> Option<SinkError> {
        if deadline().is_some_and(|at| Instant::now() >= at) {
            return Some(SinkError::TimedOut);
        }
        imp::wait_for_room(&self.file, RECHECK).err().map(|e| self.error(e))
    }

    /// Returns what an error of a write means. A terminal that was hung up fails with EIO
    /// (termios(3)).
    fn error(&self, error: io::Error) -> SinkError {
        match self.is_terminal && imp::is_hang_up(&error) {
            true => SinkError::Closed,
            false => SinkError::from_io(error),
        }
    }

    /// Returns whether [`Stdout::write_ready`] never blocks.
    #[must_use]
    pub fn is_non_blocking(&self) -> bool {
        self.is_non_blocking
    }

    /// Returns whether the reader has closed the pipe, or the terminal was hung up. Writes nothing.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        (self.is_pipe || self.is_terminal) && imp::has_no_reader(&self.file)
    }

    /// Returns the capacity of the pipe in bytes; 0 if this is not a pipe, or if the system does not
    /// report the number of unread bytes.
    #[must_use]
    pub fn pipe_bytes(&self) -> usize {
        if self.is_pipe { imp::pipe_bytes(&self.file) } else { 0 }
    }

    /// Returns the number of unread bytes in the pipe, also after the reader has closed it.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        if self.is_pipe { imp::unread_bytes(&self.file) } else { 0 }
    }
}

#[cfg(unix)]
mod imp {
    use super::{Duration, File, Stdout, io};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{FileType, fstat};
    use std::io::IsTerminal as _;
    use std::os::fd::AsFd;

    /// The capacity that a smaller pipe gets.
    #[cfg(target_os = "linux")]
    const PIPE_BYTES: usize = 256 * 1024;

    pub(super) fn open() -> io::Result<Stdout> {
        let stdout = io::stdout();
        let kind = FileType::from_raw_mode(fstat(stdout.as_fd())?.st_mode);
        let may_block = matches!(kind, FileType::Fifo | FileType::CharacterDevice);
        let reopened = may_block.then(reopen).flatten();
        let is_non_blocking = reopened.is_some();
        let file = match reopened {
            Some(file) => file,
            None => File::from(stdout.as_fd().try_clone_to_owned()?),
        };
        let (is_pipe, is_terminal) = (kind == FileType::Fifo, stdout.is_terminal());
        if is_pipe {
            widen(&file);
        }
        Ok(Stdout { file, is_pipe, is_terminal, is_non_blocking, overlay: None })
    }

    pub(super) fn is_read_by_a_program() -> bool {
        let kind = fstat(io::stdout().as_fd()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        matches!(kind, Ok(FileType::Fifo | FileType::Socket))
    }

    pub(super) fn is_hang_up(error: &io::Error) -> bool {
        rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::IO)
    }

    #[cfg(target_os = "linux")]
    fn reopen() -> Option<File> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::open("/proc/self/fd/1", flags, Mode::empty()).ok().map(File::from)
    }

    #[cfg(not(target_os = "linux"))]
    fn reopen() -> Option<File> {
        None
    }

    /// Gives a pipe the capacity of a batch. Otherwise two programs that share few cores wait for each
    /// other every 64 KiB. Measured (`cargo bench --bench pipeline -- --only pipe`, compared with the
    /// floor, which leaves the pipe unchanged): 1.06-1.39 x the wall time without it, 0.78-0.86 with
    /// it, 0.62-0.66 with 1 MiB, which loses more events in a power cut.
    #[cfg(target_os = "linux")]
    fn widen(file: &File) {
        if pipe_bytes(file) < PIPE_BYTES {
            // The system may refuse, because this user has too many pipe buffers.
            let _ = rustix::pipe::fcntl_setpipe_size(file, PIPE_BYTES);
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn widen(_file: &File) {}

    #[cfg(target_os = "linux")]
    pub(super) fn pipe_bytes(file: &File) -> usize {
        rustix::pipe::fcntl_getpipe_size(file).unwrap_or(0)
    }

    /// Other systems don't report this at the writing end.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn pipe_bytes(_file: &File) -> usize {
        0
    }

    pub(super) fn unread_bytes(file: &File) -> usize {
        let bytes = rustix::io::ioctl_fionread(file).unwrap_or(0);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn wait_for_room(file: &File, at_most: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn has_no_reader(file: &File) -> bool {
        let mut fds = [PollFd::new(file, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok()
            && fds.iter().any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
    }
}

#[cfg(not(unix))]
mod imp {
    use super::{Duration, File, Stdout, io};

    /// Not known on this system, so standard output counts as a pipe unless it is a terminal.
    pub(super) fn is_read_by_a_program() -> bool {
        !std::io::IsTerminal::is_terminal(&io::stdout())
    }

    pub(super) fn is_hang_up(_error: &io::Error) -> bool {
        false
    }

    pub(super) fn open() -> io::Result<Stdout> {
        #[cfg(windows)]
        {
            use std::os::windows::io::AsHandle;
            let handle = io::stdout().as_handle().try_clone_to_owned()?;
            Ok(Stdout {
                file: File::from(handle),
                is_pipe: false,
                is_terminal: std::io::IsTerminal::is_terminal(&io::stdout()),
                is_non_blocking: false,
                overlay: None,
            })
        }
        #[cfg(not(windows))]
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(super) fn wait_for_room(_file: &File, at_most: Duration) -> io::Result<()> {
        std::thread::sleep(at_most);
        Ok(())
    }

    pub(super) fn has_no_reader(_file: &File) -> bool {
        false
    }

    pub(super) fn pipe_bytes(_file: &File) -> usize {
        0
    }

    pub(super) fn unread_bytes(_file: &File) -> usize {
        0
    }
}
