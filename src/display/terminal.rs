//! stderr, shared by everything that writes there, so that log lines and the progress line
//! never tear each other.

use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};

/// How often the progress line may be drawn, per second.
const DRAWS_PER_SECOND: u8 = 8;

/// A handle on stderr; clones are the same one.
#[derive(Clone, Debug)]
pub struct Terminal {
    bars: MultiProgress,
}

impl Terminal {
    /// stderr with a place for a progress line. Nothing is drawn where stderr is no terminal.
    #[must_use]
    pub fn stderr() -> Self {
        Self::with(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND))
    }

    /// As [`Terminal::stderr`], drawing on something else.
    #[must_use]
    pub fn with(target: ProgressDrawTarget) -> Self {
        Self { bars: MultiProgress::with_draw_target(target) }
    }

    /// Where progress lines belong.
    #[must_use]
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes whole lines to stderr, with the progress line out of the way.
    ///
    /// # Errors
    /// As stderr.
    pub fn write_lines(&self, lines: &[u8]) -> io::Result<()> {
        self.bars.suspend(|| io::stderr().lock().write_all(lines))
    }
}
