//! Ends `convert` and `scrub` at a signal: removes their temporary files first.

use std::io;
use std::thread;

use super::exit::{Exit, eprint};
use crate::display::terminal::Terminal;
use crate::paths::temporary;
use crate::platform::{Signal, Signals};

/// Starts a thread that waits for a signal to stop. It then removes all temporary files of this
/// process, and exits. `terminal` may have a progress bar.
///
/// # Errors
/// The error of the system, if it refuses the handlers or the thread.
pub fn exit_at_signal(terminal: Option<Terminal>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _runtime = runtime.enter();
        Signals::listen()?
    };
    let wait = move || {
        let exit = loop {
            match runtime.block_on(signals.next()) {
                Signal::Interrupt => break Exit::Interrupted,
                Signal::Terminate | Signal::CpuTime => break Exit::Terminated,
                Signal::Status | Signal::Reload => {}
            }
        };
        temporary::remove_all();
        terminal.inspect(Terminal::remove_bar);
        eprint("skytail: stopped by a signal: no file is left half-written; run it again");
        // The main thread may be waiting for a disk, and nothing is left for it to do.
        #[allow(clippy::exit)]
        std::process::exit(exit as i32);
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}
