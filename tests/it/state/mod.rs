//! The state file and the files beside it: locks, links that another user planted, full and
//! read-only disks, and moving to another machine.

mod disks;
mod locks;
mod moves;
mod starts;

use std::path::Path;
use std::process::Command;

use crate::support::isolate_environment;

/// The result of a command.
#[derive(Debug)]
pub struct CommandResult {
    /// `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CommandResult {
    /// Checks the exit code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Checks that stderr contains all of these texts.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for words in words {
            assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
        }
        self
    }
}

/// Returns `skytail ARGS --state STATE`, with the directory of `state` as home.
pub fn command(state: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, state.parent().unwrap());
    command.args(args).arg("--state").arg(state);
    command
}

/// Runs [`command`] to its end.
pub fn run(state: &Path, args: &[&str]) -> CommandResult {
    capture(&mut command(state, args))
}

/// Runs a command to its end.
pub fn capture(command: &mut Command) -> CommandResult {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    CommandResult {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
