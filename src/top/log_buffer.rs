//! Buffers log lines while the screen is active, so that they don't corrupt it; the screen shows
//! the latest one. Afterwards the buffered lines are written to stderr, and later ones directly.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of buffered lines; older ones are dropped and counted.
const MAX_LINES: usize = 20;

/// A log writer that can buffer. Clones share one buffer.
#[derive(Clone, Debug, Default)]
pub struct LogBuffer(Arc<Mutex<BufferState>>);

#[derive(Debug, Default)]
struct BufferState {
    is_buffering: bool,
    lines: VecDeque<Vec<u8>>,
    dropped: u64,
}

impl LogBuffer {
    fn state(&self) -> MutexGuard<'_, BufferState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Buffers lines from now on.
    pub fn start_buffering(&self) {
        self.state().is_buffering = true;
    }

    /// Returns the latest buffered line, without its line break.
    #[must_use]
    pub fn latest_line(&self) -> Option<String> {
        let state = self.state();
        let line = state.lines.back()?;
        Some(String::from_utf8_lossy(line).trim_end().to_owned())
    }

    /// Writes the buffered lines to `to`, and stops buffering.
    ///
    /// # Errors
    /// The write error of `to`.
    pub fn flush_to(&self, to: &mut impl Write) -> io::Result<()> {
        let (lines, dropped) = {
            let mut state = self.state();
            state.is_buffering = false;
            (std::mem::take(&mut state.lines), std::mem::take(&mut state.dropped))
        };
        if dropped > 0 {
            writeln!(to, "skytail: {dropped} earlier log lines were dropped")?;
        }
        lines.iter().try_for_each(|line| to.write_all(line))
    }
}

impl Write for LogBuffer {
    /// Each call is one line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        if !state.is_buffering {
            return io::stderr().write_all(line).map(|()| line.len());
        }
        if state.lines.len() >= MAX_LINES {
            state.lines.pop_front();
            state.dropped += 1;
        }
        state.lines.push_back(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_buffered_and_the_oldest_dropped() {
        let log_buffer = LogBuffer::default();
        log_buffer.start_buffering();
        for n in 0..MAX_LINES + 2 {
            log_buffer.clone().write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        assert_eq!(log_buffer.latest_line().as_deref(), Some("line 21"));
        let mut out = Vec::new();
        log_buffer.flush_to(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("skytail: 2 earlier log lines were dropped\nline 2\n"), "{text}");
        assert!(text.ends_with("line 21\n") && log_buffer.latest_line().is_none());
    }
}
