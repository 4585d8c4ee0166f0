//! The terminal: taken over, and given back as it was, whatever happens in between. What is
//! shown is not decided here.

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

/// Bytes of a screen that are sent at once: over ssh a screen then is one packet or two.
const SCREEN_BYTES: usize = 64 << 10;

/// Whether the terminal is ours now.
static IS_ENTERED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// What is drawn on.
pub type ScreenTerminal = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Takes the terminal over: its keys come one by one, and its lines are put aside. A panic
/// gives it back before it is told.
///
/// # Errors
/// Where stdout or the keyboard is no terminal.
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

/// Whether the terminal is ours now.
#[must_use]
pub fn is_entered() -> bool {
    IS_ENTERED.load(SeqCst)
}

/// Gives the terminal back, if it is ours. Where it is gone nobody is there to be told.
pub fn leave() {
    if !IS_ENTERED.swap(false, SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let _ = execute!(stdout, LeaveAlternateScreen, Show);
    let _ = stdout.flush();
    let _ = disable_raw_mode();
}

/// Gives back what can be given back without writing, for a terminal that takes nothing.
pub fn abandon() {
    if IS_ENTERED.swap(false, SeqCst) {
        let _ = disable_raw_mode();
    }
}
