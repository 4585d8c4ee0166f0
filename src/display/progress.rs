//! The progress line: a bar while the past is replayed, one line of numbers when live.
//!
//! Costs nothing per event: it looks at the counters a few times a second, when it is told
//! to. Times come in as arguments.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::status::Status;
use super::status_line::GAP;
use super::terminal::Terminal;

/// How often to call [`Progress::tick`].
pub const TICK: Duration = Duration::from_millis(125);

/// How often progress is logged where it can't be drawn.
pub const LOG_EVERY: Duration = Duration::from_secs(10);

/// Positions of the bar.
const BAR_STEPS: u64 = 1000;

/// What is known about whether anybody would see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminalInfo {
    /// `--progress always` (`Some(true)`) or `never` (`Some(false)`).
    pub requested: Option<bool>,
    /// `-q`.
    pub quiet: bool,
    /// stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// stdout is a terminal or a pipe, whose reader most often prints to one: what is printed
    /// there would tear the line apart.
    pub stdout_shares_screen: bool,
    /// `TERM` is `dumb`.
    pub is_dumb: bool,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressDisplay {
    /// Not at all.
    Hidden,
    /// As a line that is redrawn.
    Drawn,
    /// As a line in the log every [`LOG_EVERY`].
    Logged,
}

/// Returns how to show progress. A line that is redrawn needs a terminal that can do that; when
/// `--progress always` asks for progress elsewhere, it is logged.
#[must_use]
pub fn progress_display(s: TerminalInfo) -> ProgressDisplay {
    let can_draw = s.stderr_is_terminal && !s.is_dumb;
    match (can_draw, s.requested) {
        (_, Some(false)) => ProgressDisplay::Hidden,
        (true, Some(true)) => ProgressDisplay::Drawn,
        (false, Some(true)) => ProgressDisplay::Logged,
        (true, None) if !s.quiet && !s.stdout_shares_screen => ProgressDisplay::Drawn,
        (_, None) => ProgressDisplay::Hidden,
    }
}

/// The line; it is taken away when this is dropped. (One `Terminal` has room for one.)
#[derive(Debug)]
pub struct Progress {
    terminal: Terminal,
    status: Status,
    bar_columns: usize,
}

impl Progress {
    /// A line on `terminal` that shows this status.
    #[must_use]
    pub fn new(terminal: &Terminal, status: Status) -> Self {
        terminal.set_bar(ProgressBar::new(BAR_STEPS).with_style(style(0)));
        Self { terminal: terminal.clone(), status, bar_columns: 0 }
    }

    /// Draws the line as it stands at `now_us` (Unix microseconds).
    pub fn tick(&mut self, now_us: u64) {
        let (fraction, line) = self.status.sample(now_us);
        let (bar_columns, text) = line.fit(self.terminal.columns(), fraction.is_some());
        let restyle = self.bar_columns != bar_columns;
        self.bar_columns = bar_columns;
        self.terminal.update_bar(|bar| {
            if restyle {
                bar.set_style(style(bar_columns));
            }
            if let Some(fraction) = fraction {
                bar.set_position((fraction * BAR_STEPS as f64) as u64);
            }
            bar.set_message(text);
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.terminal.remove_bar();
    }
}

/// The words behind a bar of so many columns; 0 for none.
fn style(bar_columns: usize) -> ProgressStyle {
    let template = match bar_columns {
        0 => "{msg}".to_owned(),
        n => format!("{{bar:{n}}}{GAP}{{msg}}"),
    };
    // The templates are ours and tested; the default one would only look different.
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests;
