//! The exit codes: part of the interface.

use std::process::ExitCode;

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

/// Something that the person has to write differently. Returned by a command (anywhere in the
/// chain of causes), it ends the program with [`Exit::Usage`] instead of [`Exit::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(
    /// The flag, the value and the remedy.
    pub String,
);
