//! Runs `skytail tail` for a test: flags, a state file, lines as they come, signals.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A `skytail tail` child whose stdout the test reads, killed on drop.
pub struct TailProcess {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

/// The result of a finished tail.
pub struct Ended {
    pub status: ExitStatus,
    /// The lines that the test had not read, each with its line feed.
    pub rest: Vec<String>,
    pub stderr: String,
}

impl Ended {
    /// Returns the exit code, or -1 after a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

/// Returns a `skytail tail` command with a state file in `directory`, without the user's settings.
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
    /// Starts a tail. The test reads its stdout line by line, so a slow test is a slow reader.
    pub fn start(directory: &Path, flags: &[&str]) -> Self {
        Self::of(tail_command(directory, flags))
    }

    /// Starts a changed command of [`tail_command`].
    pub fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("start skytail tail");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, stdout }
    }

    /// Returns the next `count` lines.
    pub fn lines(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|i| self.line().unwrap_or_else(|| panic!("only {i} lines came"))).collect()
    }

    /// Returns the next line with its line feed, or `None` at the end of the output.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.stdout.read_line(&mut line).expect("read stdout");
        (bytes > 0).then_some(line)
    }

    /// Waits until the pipe no longer fills: the program waits for this reader, or has ended.
    #[cfg(target_os = "linux")]
    pub fn wait_for_full_pipe(&self) {
        let patience = Instant::now() + super::PATIENCE;
        let unread_bytes = || rustix::io::ioctl_fionread(self.stdout.get_ref()).expect("FIONREAD");
        let mut before = u64::MAX;
        while Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(200));
            let now = unread_bytes();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Returns whether the process has ended, without reading its output.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait for the tail").is_some()
    }

    /// Sends a signal (`INT`, `TERM`, `KILL`).
    pub fn signal(&self, signal: &str) {
        super::signal(self.child.id(), signal);
    }

    /// Asks the process once to stop, and waits until it has ended, without reading its output.
    /// Another signal after the run has ended would end the process before its exit.
    pub fn stop(&mut self) {
        self.signal("TERM");
        let patience = Instant::now() + super::PATIENCE;
        while !self.has_ended() {
            assert!(Instant::now() < patience, "still running");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal repeatedly until the process has ended, without reading its output.
    pub fn signal_until_it_ends(&mut self, signal: &str) {
        let patience = Instant::now() + super::PATIENCE;
        while self.child.try_wait().expect("wait for the tail").is_none() {
            assert!(Instant::now() < patience, "still running");
            self.signal(signal);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Reads to the end of the output and returns the result.
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
