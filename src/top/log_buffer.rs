//! Log lines while a screen is up: held, so that none tears it; the latest can be shown on it.
//! When it is gone they are written where they belong, and later ones at once.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most lines held; older ones are dropped, and that is said.
const MAX_LINES: usize = 20;

/// Lines on their way to stderr; clones are the same.
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

    /// From now on lines are held.
    pub fn start_buffering(&self) {
        self.state().is_buffering = true;
    }

    /// The latest line that was held, without its line break.
    #[must_use]
    pub fn latest_line(&self) -> Option<String> {
        let state = self.state();
        let line = state.lines.back()?;
        Some(String::from_utf8_lossy(line).trim_end().to_owned())
    }

    /// Writes what was held, and holds no more.
    ///
    /// # Errors
    /// As `to`.
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
    /// One call is one line.
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
    fn lines_are_held_and_the_oldest_dropped() {
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
