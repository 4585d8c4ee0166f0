//! Standard output. It needs no buffer, because batches are large.
//!
//! This sink always knows *exactly* how many bytes were accepted. A blocking `write(2)` into a pipe
//! whose reader does not read reports nothing until it returns. So the sink opens pipes and
//! terminals a second time, without blocking, if the system can do that (Linux, through
//! `/proc/self/fd`). That is a new open file description, so programs that share the old one keep a
//! blocking one. On other systems writes block, and a stop waits for them.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{PartialWrite, SinkError};
use crate::platform;

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
    platform::is_read_by_a_program()
}

impl Stdout {
    /// Opens standard output. Nothing else may print there.
    ///
    /// # Errors
    /// Fails if standard output is closed, or if the process has no file descriptors left.
    pub fn open() -> io::Result<Self> {
        let platform::StandardOutput { file, is_pipe, is_terminal, is_non_blocking } =
            platform::standard_output()?;
        Ok(Self { file, is_pipe, is_terminal, is_non_blocking, overlay: None })
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

    /// Writes as much of `bytes` as the output accepts without blocking. Returns the number of
    /// bytes.
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
            match platform::write_output(&self.file, self.is_terminal, rest) {
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
        platform::wait_for_room(&self.file, RECHECK).err().map(|e| self.error(e))
    }

    /// Returns what an error of a write means. A terminal that was hung up fails with EIO
    /// (termios(3)).
    fn error(&self, error: io::Error) -> SinkError {
        match self.is_terminal && platform::is_hang_up(&error) {
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
        (self.is_pipe || self.is_terminal) && platform::has_no_reader(&self.file)
    }

    /// Returns the capacity of the pipe in bytes; 0 if this is not a pipe, or if the system does
    /// not report the number of unread bytes.
    #[must_use]
    pub fn pipe_bytes(&self) -> usize {
        if self.is_pipe { platform::pipe_bytes(&self.file) } else { 0 }
    }

    /// Returns the number of unread bytes in the pipe, also after the reader has closed it.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        if self.is_pipe { platform::unread_bytes(&self.file) } else { 0 }
    }
}
