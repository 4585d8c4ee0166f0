//! Runs `skytail tail` in a home directory of its own and checks what holds for every run: stdout
//! has only whole events, stderr only printable text, and the run ends.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Instant;

use super::scripted::ScriptedServer;
use super::{PATIENCE, Scratch, isolate_environment};

/// Returns what `skytail cursors` prints to stdout.
pub fn cursors(args: &[&str]) -> String {
    let home = Scratch::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &home.path("."));
    let output = command.arg("cursors").args(args).output().expect("run skytail");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A `skytail tail` command that has not started.
pub struct Tail {
    command: Command,
    /// v1 unless changed: most scripts are written for one connection of v1.
    protocol: &'static str,
    /// `off` unless changed: most scripts have no archive.
    archive: &'static str,
    home: Scratch,
    state: PathBuf,
}

/// The result of a finished `skytail tail`.
#[derive(Debug)]
pub struct Run {
    /// `None` after a signal.
    pub code: Option<i32>,
    /// The lines of stdout.
    pub lines: Vec<String>,
    pub stderr: String,
}

impl Tail {
    /// Returns `skytail tail --host SERVER`.
    pub fn of(server: &ScriptedServer) -> Self {
        Self::of_host(&server.host())
    }

    /// Returns `skytail tail --host HOST`, without the settings of the user who runs the tests.
    pub fn of_host(host: &str) -> Self {
        let home = Scratch::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
        isolate_environment(&mut command, &home.path("."));
        command.args(["tail", "--host", host]);
        Self { command, protocol: "v1", archive: "off", state: home.path("state.db"), home }
    }

    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.command.args(flags);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Replaces `--protocol v1`.
    pub fn protocol(mut self, protocol: &'static str) -> Self {
        self.protocol = protocol;
        self
    }

    /// Replaces `--archive off`.
    pub fn archive(mut self, archive: &'static str) -> Self {
        self.archive = archive;
        self
    }

    /// Replaces the state file.
    pub fn state(mut self, path: PathBuf) -> Self {
        self.state = path;
        self
    }

    /// Replaces the piped stdout; see [`Tail::run_elsewhere`].
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Writes a file in the home directory of the run and returns its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.home.path(name);
        std::fs::write(&path, bytes).expect("write a file");
        path.to_str().expect("a readable path").to_owned()
    }

    /// Writes a file in the cache directory of the run.
    pub fn cache(&self, name: &str, bytes: &[u8]) {
        let path = self.home.path(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("make a directory");
        std::fs::write(path, bytes).expect("write a file");
    }

    /// Runs the command to its end.
    pub fn run(mut self) -> Run {
        self.command.stdout(Stdio::piped());
        self.run_elsewhere()
    }

    /// Runs the command to its end. Its stdout may hold anything, for example colours.
    pub fn run_raw(mut self) -> Run {
        self.command.stdout(Stdio::piped());
        let mut run = self.spawn();
        let stdout = run.child.stdout.take();
        let lines = read_all(stdout);
        let Run { code, stderr, .. } = run.finish();
        let lines = String::from_utf8(lines).expect("UTF-8");
        Run { code, lines: lines.lines().map(str::to_owned).collect(), stderr }
    }

    /// Runs the command to its end with the stdout of [`Tail::stdout`].
    pub fn run_elsewhere(self) -> Run {
        self.spawn().finish()
    }

    /// Starts the command with stdout and stderr piped.
    pub fn start(mut self) -> Started {
        self.command.stdout(Stdio::piped());
        self.spawn()
    }

    fn spawn(mut self) -> Started {
        self.command.args(["--protocol", self.protocol, "--archive", self.archive]);
        self.command.arg("--state").arg(&self.state).stderr(Stdio::piped());
        let child = self.command.spawn().expect("start skytail");
        Started { child, _home: self.home }
    }
}

/// A running `skytail tail`, killed on drop.
pub struct Started {
    pub child: Child,
    _home: Scratch,
}

impl Started {
    /// Reads `count` lines from stdout and closes it.
    pub fn head(&mut self, count: usize) -> Vec<String> {
        let stdout = self.child.stdout.take().expect("a piped stdout");
        BufReader::new(stdout).lines().take(count).map(|line| line.expect("a line")).collect()
    }

    /// Waits for the end and returns the result. Fails after [`PATIENCE`].
    pub fn finish(mut self) -> Run {
        let stdout = self.child.stdout.take();
        let stdout = std::thread::spawn(move || read_all(stdout));
        let stderr: Option<ChildStderr> = self.child.stderr.take();
        let stderr = std::thread::spawn(move || read_all(stderr));
        let status = wait(&mut self.child);
        let stdout = stdout.join().expect("read stdout");
        let stderr = String::from_utf8(stderr.join().expect("read stderr")).expect("UTF-8");
        let Some(status) = status else { panic!("still running; stderr: {stderr}") };
        let run = Run { code: status.code(), lines: whole_events(&stdout), stderr };
        assert_printable(&run.stderr);
        run
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Fails unless stdout has exactly these lines.
    #[track_caller]
    pub fn prints<T: AsRef<str>>(&self, lines: impl IntoIterator<Item = T>) -> &Self {
        let lines: Vec<String> = lines.into_iter().map(|line| line.as_ref().to_owned()).collect();
        assert!(self.lines == lines, "expected {lines:#?}, but {self:#?}");
        self
    }

    /// Fails unless stderr contains each of these texts.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Self {
        for words in words {
            assert!(self.stderr.contains(words), "{words:?} is not in {}", self.stderr);
        }
        self
    }

    /// Fails if stderr contains this text.
    #[track_caller]
    pub fn never_says(&self, words: &str) -> &Self {
        assert!(!self.stderr.contains(words), "{words:?} is in {}", self.stderr);
        self
    }
}

/// Returns the lines of stdout. Fails unless each is a whole event (invariant 6).
#[track_caller]
fn whole_events(stdout: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(stdout).expect("stdout is UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn: {text:?}");
    for line in text.lines() {
        let control = line.chars().find(|c| c.is_control());
        assert_eq!(control, None, "a control character in {line:?}");
        // Deep nesting is valid JSON that this parser refuses.
        if !line.contains("[[[[[[[[") {
            let event: serde_json::Value = serde_json::from_str(line).expect(line);
            let has_time = event["time_us"].is_u64() || event["time"].is_string();
            assert!(event["did"].is_string() && has_time, "no event: {line}");
        }
    }
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_printable(stderr: &str) {
    let control = stderr.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "a control character in {stderr:?}");
    let longest = stderr.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(longest < 1000, "a line of {longest} characters on stderr");
}

fn read_all(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes).expect("read");
    }
    bytes
}

/// Returns the exit status, or `None` after killing a process that ran too long.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience {
        if let Some(status) = child.try_wait().expect("wait") {
            return Some(status);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("kill");
    let _ = child.wait();
    None
}
