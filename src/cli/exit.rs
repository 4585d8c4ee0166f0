//! How the program ends, and what it says then: exit codes and messages are part of the
//! interface.

use std::io::Write as _;
use std::process::ExitCode;

use crate::display::printable::printable;
use crate::display::secrets;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line, a file of settings or the environment was wrong.
    Usage = 2,
    /// No server could be reached for too long.
    GaveUp = 3,
    /// Events are missing and `--on-gap fail` was given.
    Gap = 4,
    /// A second Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Says something to the person on stderr, with nothing in it that acts on a terminal but line
/// breaks: the words may come from a server or a file. Where stderr can't be written nobody is
/// there to hear it, and the program goes on.
pub fn say(text: &str) {
    let text = secrets::redact(text);
    let lines = text.split('\n').map(|line| printable(line.as_bytes(), usize::MAX));
    let _ = writeln!(std::io::stderr().lock(), "{}", lines.collect::<Vec<_>>().join("\n"));
}

/// An error with its causes, in one line. A cause whose words are part of the line already is
/// left out: some libraries repeat their causes, some don't.
#[must_use]
pub fn in_words(error: &anyhow::Error) -> String {
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

/// Something that the person has to write differently. Returned by a command (anywhere in the
/// chain of causes), it ends the program with [`Exit::Usage`] instead of [`Exit::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(
    /// The flag, the value and the remedy.
    pub String,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let full = std::io::Error::other("disk full");
        let error = anyhow::Error::from(full).context("can't write: disk full").context("saving");
        assert_eq!(in_words(&error), "saving: can't write: disk full");
    }
}
