//! Exit codes and the messages that come with them. Both are part of the interface.

use std::io::Write as _;
use std::process::ExitCode;

use crate::display::printable::printable;
use crate::display::secrets;

/// The exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The program did what was requested.
    Done = 0,
    Failed = 1,
    /// A flag, the configuration file or an environment variable was wrong.
    Usage = 2,
    /// skytail gave up connecting.
    GaveUp = 3,
    /// Events are missing and `--on-gap fail` was given.
    Gap = 4,
    /// A second Ctrl-C; of `convert` and `scrub` the first.
    Interrupted = 130,
    /// SIGTERM ended `convert` or `scrub`.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints a message to stderr. Secrets are redacted, and control characters other than line feeds
/// are escaped, because part of the text may come from a server or a file. A failure to write is
/// ignored: there is no other place to report it.
pub fn eprint(text: &str) {
    let text = secrets::redact(text);
    let lines = text.split('\n').map(|line| printable(line.as_bytes(), usize::MAX));
    let _ = writeln!(std::io::stderr().lock(), "{}", lines.collect::<Vec<_>>().join("\n"));
}

/// Formats an error with its causes as one line. Omits a cause whose text the line already holds:
/// some libraries repeat their causes, others don't.
#[must_use]
pub fn format_chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// A mistake that the user can correct on the command line, in the configuration file or in the
/// environment. Anywhere in the chain of causes of a command's error, it changes the exit code
/// from [`Exit::Failed`] to [`Exit::Usage`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(
    /// The message: the flag, the value and the remedy.
    pub String,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_cause_is_printed_once() {
        let full = std::io::Error::other("disk full");
        let error = anyhow::Error::from(full).context("can't write: disk full").context("saving");
        assert_eq!(format_chain(&error), "saving: can't write: disk full");
    }
}
