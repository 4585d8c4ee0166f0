//! Runs `skytail tail` for a test: flags, a state file of its own, lines as they come, signals.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A `skytail tail` child whose stdout is read by the test. Killed on drop.
pub struct TailProcess {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

/// How a tail ended.
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The lines that had not been read yet, each with its line feed.
    pub rest: Vec<String>,
    /// Everything it said.
    pub stderr: String,
}

impl Ended {
    /// The exit code; -1 after a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

/// `skytail tail` with a state file in `directory`, without the machine's own settings.
pub fn tail_command(directory: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    super::isolate_environment(&mut command, directory);
    command
        .arg("tail")
        .arg("--state")
        .arg(directory.join("state.db"))
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl TailProcess {
    /// Starts a tail; its stdout is read line by line, so that a slow test is a slow reader.
    pub fn start(directory: &Path, flags: &[&str]) -> Self {
        Self::of(tail_command(directory, flags))
    }

    /// Starts a command of [`tail_command`] that was changed.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("start skytail tail");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, stdout }
    }

    /// The next `count` lines.
    pub fn lines(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|i| self.line().unwrap_or_else(|| panic!("only {i} lines came"))).collect()
    }

    /// The next line, with its line feed; `None` at the end of the output.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.stdout.read_line(&mut line).expect("read stdout");
        (bytes > 0).then_some(line)
    }

    /// Sends a signal (`INT`, `TERM`, `KILL`).
    pub fn signal(&self, signal: &str) {
        super::signal(self.child.id(), signal);
    }

    /// Sends a signal again and again until the process has ended, without reading on.
    pub fn signal_until_it_ends(&mut self, signal: &str) {
        let patience = Instant::now() + super::PATIENCE;
        while self.child.try_wait().expect("wait for the tail").is_none() {
            assert!(Instant::now() < patience, "still running");
            self.signal(signal);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Reads to the end.
    pub fn wait(mut self) -> Ended {
        let mut rest = Vec::new();
        while let Some(line) = self.line() {
            rest.push(line);
        }
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_string(&mut stderr).expect("read stderr");
        }
        Ended { status: self.child.wait().expect("wait for the tail"), rest, stderr }
    }
}

impl Drop for TailProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a tail to its end.
pub fn tail(directory: &Path, flags: &[&str]) -> Ended {
    TailProcess::start(directory, flags).wait()
}
