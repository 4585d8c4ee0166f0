//! Enters and leaves the terminal's alternate screen and raw mode, and restores the terminal in any
//! case, also after a panic.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Buffer size of a screen in bytes: over SSH a screen then needs one or two packets.
const SCREEN_BYTES: usize = 64 << 10;

/// Whether the terminal is in raw mode and shows the alternate screen.
static IS_ENTERED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal that the screen is drawn on.
pub type ScreenTerminal = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Enters raw mode and the alternate screen. A panic leaves them before its message is printed.
///
/// # Errors
/// If stdout or the keyboard is not a terminal.
pub fn enter() -> io::Result<ScreenTerminal> {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
    });
    enable_raw_mode()?;
    IS_ENTERED.store(true, SeqCst);
    execute!(io::stdout(), EnterAlternateScreen).inspect_err(|_| leave())?;
    let output = BufWriter::with_capacity(SCREEN_BYTES, io::stdout());
    Terminal::new(CrosstermBackend::new(output)).inspect_err(|_| leave())
}

/// Returns whether the terminal is in raw mode and shows the alternate screen.
#[must_use]
pub fn is_entered() -> bool {
    IS_ENTERED.load(SeqCst)
}

/// Restores the terminal, if it was entered. Errors are ignored: the terminal may be gone.
pub fn leave() {
    if !IS_ENTERED.swap(false, SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let _ = execute!(stdout, LeaveAlternateScreen, Show);
    let _ = stdout.flush();
    let _ = disable_raw_mode();
}

/// Leaves raw mode without writing, for a terminal that accepts no output.
pub fn abandon() {
    if IS_ENTERED.swap(false, SeqCst) {
        let _ = disable_raw_mode();
    }
}
