//! stderr, shared by everything that writes there: whole lines, and at most one line that is
//! redrawn in place. Neither tears the other. What stands in them is not decided here.
//!
//! A terminal may go away at any time (a lost connection, a closed window): then lines and
//! drawings are lost, and the program goes on. So nothing here uses indicatif's `suspend`,
//! which panics when the terminal can't be written to.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, TermLike};

/// How often the line may be redrawn, per second.
const DRAWS_PER_SECOND: u8 = 8;

/// Columns kept free at the right: room for the `^C` that a terminal echoes. Without it the
/// cursor would wrap to the next line, and the drawn line could never be wiped out.
const ECHO_COLUMNS: u16 = 2;

/// A handle on stderr; clones are the same one.
#[derive(Clone, Debug)]
pub struct Terminal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bars: MultiProgress,
    /// `None` where nothing can be redrawn.
    screen: Option<Arc<dyn TermLike>>,
    /// Whoever holds it may write or draw; nobody else does.
    turn: Mutex<Turn>,
}

struct Turn {
    lines: Box<dyn Write + Send>,
    bar: Option<ProgressBar>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("bar", &self.bar).finish_non_exhaustive()
    }
}

impl Terminal {
    /// stderr. Nothing is ever drawn where it is no terminal.
    #[must_use]
    pub fn stderr() -> Self {
        let screen: Option<Arc<dyn TermLike>> = match io::stderr().is_terminal() {
            true => Some(Arc::new(console::Term::buffered_stderr())),
            false => None,
        };
        Self::with(screen, Box::new(io::stderr()))
    }

    /// As [`Terminal::stderr`], drawing on `screen` and writing whole lines to `lines`.
    #[must_use]
    pub fn with(screen: Option<Arc<dyn TermLike>>, lines: Box<dyn Write + Send>) -> Self {
        let target = match &screen {
            Some(screen) => {
                let screen = Box::new(WithMargin(Arc::clone(screen)));
                ProgressDrawTarget::term_like_with_hz(screen, DRAWS_PER_SECOND)
            }
            None => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let turn = Mutex::new(Turn { lines, bar: None });
        Self { shared: Arc::new(Shared { bars, screen, turn }) }
    }

    /// Columns that a drawn line may take; 0 where nothing is drawn.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.shared.screen.as_ref().map_or(0, |screen| usize::from(drawable(screen.width())))
    }

    /// Draws `bar` in place, below all lines, until [`Terminal::wipe`]; it replaces the one
    /// that was there.
    pub fn place(&self, bar: ProgressBar) {
        let mut turn = self.turn();
        if let Some(old) = turn.bar.replace(self.shared.bars.add(bar)) {
            old.finish_and_clear();
        }
    }

    /// Changes and redraws what was placed, if anything was.
    pub fn draw(&self, change: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &self.turn().bar {
            change(bar);
            bar.tick();
        }
    }

    /// Takes away what was placed.
    pub fn wipe(&self) {
        if let Some(bar) = self.turn().bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Writes whole lines, with the drawn one out of the way.
    ///
    /// # Errors
    /// As stderr.
    pub fn write_lines(&self, lines: &[u8]) -> io::Result<()> {
        let mut turn = self.turn();
        if turn.bar.is_some() {
            // Where the terminal is gone, the lines below fail in the same way, and say so.
            let _ = self.shared.bars.clear();
        }
        let written = turn.lines.write_all(lines).and_then(|()| turn.lines.flush());
        if let Some(bar) = &turn.bar {
            bar.force_draw();
        }
        written
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // A panic in between leaves at worst a torn line behind.
        self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drawable(columns: u16) -> u16 {
    columns.saturating_sub(ECHO_COLUMNS).max(1)
}

/// A screen that keeps [`ECHO_COLUMNS`] free.
#[derive(Debug)]
struct WithMargin(Arc<dyn TermLike>);

impl TermLike for WithMargin {
    fn width(&self) -> u16 {
        drawable(self.0.width())
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.write_line(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
pub(super) mod tests;
