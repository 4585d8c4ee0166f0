//! Prints the complete output of a short command to stdout.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;

use super::exit::Exit;

/// Writes all bytes to stdout. A closed pipe is not an error.
///
/// # Errors
/// Any other failure to write.
pub fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => ignore_closed_pipe(error),
    }
}

/// Returns success if a write to stdout failed because the reader closed the pipe.
///
/// # Errors
/// Any other `error`.
pub fn ignore_closed_pipe(error: io::Error) -> anyhow::Result<Exit> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(Exit::Done),
        _ => Err(error).context("can't write to stdout"),
    }
}

/// Returns the width of stdout in columns, if it is a terminal; 80 if the terminal reports none.
#[must_use]
pub fn terminal_columns() -> Option<usize> {
    let reported = || console::Term::stdout().size_checked().map(|(_, columns)| columns);
    let is_terminal = io::stdout().is_terminal();
    is_terminal.then(|| reported().filter(|n| *n > 0).map_or(80, usize::from))
}
