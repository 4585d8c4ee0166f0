//! The progress line of a scrub: a bar, the step and the time left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::tail::startup::is_dumb_terminal;
use crate::display::progress::{self, ProgressDisplay, TerminalInfo};
use crate::display::terminal::Terminal;
use crate::display::units;
use crate::scrub::run::Progress;
use crate::settings::DisplaySettings;

/// How often the line is redrawn.
const TICK: Duration = Duration::from_millis(125);
/// The steps in their order.
const STEPS: [&str; 3] = ["reading", "sorting", "rewriting"];

/// A thread that redraws the line until this value is dropped.
#[derive(Debug)]
pub struct ProgressLine {
    has_ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    terminal: Terminal,
}

impl ProgressLine {
    /// Draws the progress on stderr, if that is a terminal.
    pub fn start(terminal: &Terminal, progress: &Arc<Progress>, display: &DisplaySettings) -> Self {
        let form = progress::progress_display(TerminalInfo {
            requested: None,
            quiet: display.quiet,
            stderr_is_terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
            // The report is printed after the last progress.
            stdout_shares_screen: false,
            is_dumb: is_dumb_terminal(),
        });
        let has_ended = Arc::new(AtomicBool::default());
        let thread = (form == ProgressDisplay::Drawn).then(|| {
            let style = ProgressStyle::with_template("{bar:30}  {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            terminal.set_bar(ProgressBar::new(1).with_style(style.progress_chars("=> ")));
            let (terminal, progress) = (terminal.clone(), Arc::clone(progress));
            let has_ended = Arc::clone(&has_ended);
            thread::spawn(move || draw(&terminal, &progress, &has_ended))
        });
        Self { has_ended, thread, terminal: terminal.clone() }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // If it panicked, the line is not drawn any more.
            let _ = thread.join();
            self.terminal.remove_bar();
        }
    }
}

fn draw(terminal: &Terminal, progress: &Progress, has_ended: &AtomicBool) {
    let (mut step, mut began) = (0, Instant::now());
    while !has_ended.load(Ordering::Relaxed) {
        let now = progress.step.load(Ordering::Relaxed);
        if now != step {
            (step, began) = (now, Instant::now());
        }
        let total = progress.total.load(Ordering::Relaxed);
        let done = progress.done.load(Ordering::Relaxed).min(total);
        let text = text(step, done, total, began.elapsed());
        terminal.update_bar(|bar| {
            bar.set_length(total.max(1));
            bar.set_position(done);
            bar.set_message(text);
        });
        thread::park_timeout(TICK);
    }
}

/// Returns the text beside the bar.
fn text(step: u64, done: u64, total: u64, elapsed: Duration) -> String {
    let name = usize::try_from(step).ok().and_then(|step| STEPS.get(step)).unwrap_or(&"");
    if *name == "sorting" || done == 0 {
        return (*name).to_owned();
    }
    let left = elapsed.mul_f64((total - done) as f64 / done as f64);
    let (done, total) = (units::bytes(done), units::bytes(total));
    format!("{name} {done} of {total}, {} left", units::duration(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_time_left() {
        let second = Duration::from_secs(1);
        assert_eq!(text(0, 1 << 20, 4 << 20, second), "reading 1.0 MiB of 4.0 MiB, 3.0s left");
        assert_eq!(text(2, 4 << 20, 4 << 20, second), "rewriting 4.0 MiB of 4.0 MiB, 0.0s left");
        assert_eq!(text(1, 5, 9, second), "sorting");
        assert_eq!(text(0, 0, 0, second), "reading");
    }
}
