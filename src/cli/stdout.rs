//! Prints the complete output of a short command to stdout.

use std::io::{self, ErrorKind, Write as _};

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
