//! stderr as a shared resource: whole lines, and at most one line that is redrawn in place. Locking
//! keeps both intact.
//!
//! A terminal may go away at any time (lost connection, closed window). Lines and drawings are then
//! lost, and the program continues. Therefore this module does not use indicatif's `suspend`, which
//! panics when a write to the terminal fails.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, TermLike};

/// Maximum redraws per second.
const DRAWS_PER_SECOND: u8 = 8;

/// Columns kept free at the right for the `^C` that a terminal echoes. Otherwise the echo would
/// move the cursor to the next line, and the drawn line could not be cleared.
const ECHO_COLUMNS: u16 = 2;

/// A handle on stderr. Clones share one terminal.
#[derive(Clone, Debug)]
pub struct Terminal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bars: MultiProgress,
    /// `None` if nothing can be redrawn.
    screen: Option<Arc<dyn TermLike>>,
    /// Locked for each write and each drawing.
    output: Mutex<Output>,
}

struct Output {
    lines: Box<dyn Write + Send>,
    bar: Option<ProgressBar>,
    /// Whether the bar is hidden.
    is_hidden: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("bar", &self.bar).finish_non_exhaustive()
    }
}

impl Terminal {
    /// Returns a handle on stderr. If stderr is not a terminal, nothing is ever drawn.
    #[must_use]
    pub fn stderr() -> Self {
        let screen: Option<Arc<dyn TermLike>> = match io::stderr().is_terminal() {
            true => Some(Arc::new(console::Term::buffered_stderr())),
            false => None,
        };
        Self::with_foreground_check(
            screen,
            Box::new(io::stderr()),
            crate::platform::is_in_foreground,
        )
    }

    /// As [`Terminal::stderr`], but draws on `screen` and writes lines to `lines`.
    #[must_use]
    pub fn with(screen: Option<Arc<dyn TermLike>>, lines: Box<dyn Write + Send>) -> Self {
        Self::with_foreground_check(screen, lines, || true)
    }

    /// As [`Terminal::with`], but draws only while `is_foreground` returns true.
    fn with_foreground_check(
        screen: Option<Arc<dyn TermLike>>,
        lines: Box<dyn Write + Send>,
        is_foreground: fn() -> bool,
    ) -> Self {
        let target = match &screen {
            Some(screen) => {
                let screen = Box::new(Screen { on: Arc::clone(screen), is_foreground });
                ProgressDrawTarget::term_like_with_hz(screen, DRAWS_PER_SECOND)
            }
            None => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let output = Mutex::new(Output { lines, bar: None, is_hidden: false });
        Self { shared: Arc::new(Shared { bars, screen, output }) }
    }

    /// Returns the available columns of a drawn line; 0 if nothing can be drawn.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.shared.screen.as_ref().map_or(0, |screen| usize::from(drawable(screen.width())))
    }

    /// Draws `bar` below all lines until [`Terminal::remove_bar`]. Replaces the current bar.
    pub fn set_bar(&self, bar: ProgressBar) {
        let mut output = self.lock();
        if let Some(old) = output.bar.replace(self.shared.bars.add(bar)) {
            old.finish_and_clear();
        }
    }

    /// Changes and redraws the bar, if there is one and it is not hidden.
    pub fn update_bar(&self, change: impl FnOnce(&ProgressBar)) {
        let output = self.lock();
        if let Some(bar) = output.bar.as_ref().filter(|_| !output.is_hidden) {
            change(bar);
            bar.tick();
        }
    }

    /// Clears the bar and stops drawing it until [`Terminal::show_bar`].
    pub fn hide_bar(&self) {
        let mut output = self.lock();
        if output.bar.is_some() && !output.is_hidden {
            output.is_hidden = true;
            // If the terminal is gone, writing lines fails too and reports it.
            let _ = self.shared.bars.clear();
        }
    }

    /// Lets the bar be drawn again, at its next change.
    pub fn show_bar(&self) {
        self.lock().is_hidden = false;
    }

    /// Clears and removes the bar.
    pub fn remove_bar(&self) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Writes whole lines above the bar.
    ///
    /// # Errors
    /// The error of writing to stderr.
    pub fn write_lines(&self, lines: &[u8]) -> io::Result<()> {
        let mut output = self.lock();
        if output.bar.is_some() {
            // If the terminal is gone, the write below fails too and reports it.
            let _ = self.shared.bars.clear();
        }
        let written = output.lines.write_all(lines).and_then(|()| output.lines.flush());
        if let Some(bar) = output.bar.as_ref().filter(|_| !output.is_hidden) {
            bar.force_draw();
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        // At worst, a panic leaves a torn line behind.
        self.shared.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drawable(columns: u16) -> u16 {
    columns.saturating_sub(ECHO_COLUMNS).max(1)
}

/// A screen that keeps [`ECHO_COLUMNS`] free, draws only in the foreground, and leaves the cursor
/// in column 0, so that the output of another program starts at the beginning of a line.
struct Screen {
    on: Arc<dyn TermLike>,
    is_foreground: fn() -> bool,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Screen").field(&self.on).finish()
    }
}

impl Screen {
    fn if_foreground(&self, draw: impl FnOnce(&dyn TermLike) -> io::Result<()>) -> io::Result<()> {
        if (self.is_foreground)() { draw(&*self.on) } else { Ok(()) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        drawable(self.on.width())
    }

    fn height(&self) -> u16 {
        self.on.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.if_foreground(|on| on.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.if_foreground(|on| on.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.if_foreground(|on| on.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.if_foreground(|on| on.move_cursor_left(n))
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.if_foreground(|on| on.write_line(line))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.if_foreground(|on| on.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.if_foreground(|on| on.clear_line())
    }

    fn flush(&self) -> io::Result<()> {
        self.if_foreground(|on| on.write_str("\r").and_then(|()| on.flush()))
    }
}

#[cfg(test)]
pub(super) mod tests;
