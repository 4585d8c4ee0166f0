//! The progress line: a bar during a replay, one line of figures when live.
//!
//! Costs nothing per event: it samples the counters a few times a second, when the caller ticks.
//! Times are arguments.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::status::Status;
use super::status_line::GAP;
use super::terminal::Terminal;

/// Interval of calls to [`Progress::tick`].
pub const TICK: Duration = Duration::from_millis(125);

/// Interval of progress log lines if the line can't be drawn.
pub const LOG_EVERY: Duration = Duration::from_secs(10);

/// Resolution of the bar.
const BAR_STEPS: u64 = 1000;

/// The facts that decide how progress is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminalInfo {
    /// `--progress always` (`Some(true)`) or `never` (`Some(false)`).
    pub requested: Option<bool>,
    /// `-q`.
    pub quiet: bool,
    /// stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// stdout is a terminal or a pipe. The reader of a pipe usually prints to the same terminal,
    /// and its output would corrupt the line.
    pub stdout_shares_screen: bool,
    /// `TERM` is `dumb`.
    pub is_dumb: bool,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressDisplay {
    /// Not at all.
    Hidden,
    /// As a line that is redrawn in place.
    Drawn,
    /// As a log line every [`LOG_EVERY`].
    Logged,
}

/// Returns how to show progress. A redrawn line needs a capable terminal; without one, `--progress
/// always` logs progress instead.
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

/// The progress line. Dropping it removes the line. A `Terminal` has room for one.
#[derive(Debug)]
pub struct Progress {
    terminal: Terminal,
    status: Status,
    bar_columns: usize,
}

impl Progress {
    /// Adds the line to `terminal`.
    #[must_use]
    pub fn new(terminal: &Terminal, status: Status) -> Self {
        terminal.set_bar(ProgressBar::new(BAR_STEPS).with_style(style(0)));
        Self { terminal: terminal.clone(), status, bar_columns: 0 }
    }

    /// Redraws the line as of `now_us`, in Unix microseconds.
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

/// Returns a style with a bar of this width before the text; 0 for no bar.
fn style(bar_columns: usize) -> ProgressStyle {
    let template = match bar_columns {
        0 => "{msg}".to_owned(),
        n => format!("{{bar:{n}}}{GAP}{{msg}}"),
    };
    // The templates are constants and tested; the fallback would only look different.
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests;
