//! Starts `skytail serve` for a test: the child process, a small WebSocket client, and recordings
//! to serve. Each process is killed on drop, also when the test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, dead_code)]

pub mod client;
#[cfg(unix)]
pub mod disk;
pub mod fold;
#[cfg(unix)]
pub mod pty;
pub mod run;
pub mod scripted;
pub mod tail;
pub mod tls;
pub mod vectors;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The longest time that a test waits for anything. Reaching it is a failure, never a pass.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const V2_STREAM: &str = "/xrpc/network.bsky.jetstream.subscribeEvents";

/// Sends a signal (`INT`, `TERM`, `KILL`) to a process.
pub fn signal(pid: u32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status();
    assert!(sent.expect("run kill").success());
}

/// A `skytail serve` child, killed on drop.
pub struct ServeProcess {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// The address that the server listens on.
    pub address: SocketAddr,
    /// The line that the server prints when it is ready.
    pub ready_line: String,
}

impl ServeProcess {
    /// Starts a server for a recording on a free port, and waits until it listens.
    pub fn start(recording: &Path, flags: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", recording, flags)
    }

    /// Starts a server at an address, for example that of a stopped server.
    pub fn start_at(listen: &str, recording: &Path, flags: &[&str]) -> Self {
        let mut child = serve_command(recording)
            .args(["--listen", listen])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .expect("start skytail serve");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut ready_line = String::new();
        stderr.read_line(&mut ready_line).expect("read the ready line");
        let address = ready_line
            .split_once("ws://")
            .and_then(|(_, rest)| rest.split_once("/subscribe"))
            .and_then(|(address, _)| address.parse().ok());
        let Some(address) = address else {
            let _ = stderr.read_to_string(&mut ready_line);
            panic!("no ready line, but {ready_line:?}");
        };
        Self { child, stderr, address, ready_line }
    }

    /// Returns `ws://…/subscribe` with a query (without its question mark).
    pub fn url(&self, query: &str) -> String {
        format!("ws://{}/subscribe?{query}", self.address)
    }

    /// Returns the URL of the v2 stream with a query (without its question mark).
    pub fn v2_url(&self, query: &str) -> String {
        format!("ws://{}{V2_STREAM}?{query}", self.address)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`INT`, `TERM`, `KILL`) and waits for the end. Returns the exit status and
    /// what the server wrote to stderr after the ready line.
    pub fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        self::signal(self.pid(), signal);
        let status = self.child.wait().expect("wait for the server");
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("read stderr");
        (status, rest)
    }

    /// Sends a request on a new connection and returns the text that the server sends until it
    /// closes.
    pub fn raw_request(&self, request: &str) -> String {
        String::from_utf8(self.raw_bytes(request)).expect("an answer in text")
    }

    /// Sends a request on a new connection and returns all bytes that the server sends until it
    /// closes.
    pub fn raw_bytes(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
        stream.write_all(request.as_bytes()).expect("send");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("read the answer");
        answer
    }

    /// Sends a plain GET without upgrade headers.
    pub fn get(&self, target: &str) -> String {
        self.raw_request(&format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the command `skytail serve RECORDING`, without standard input.
pub fn serve_command(recording: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    // Tests start without a dictionary, also if the user of this machine has installed one.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.arg("serve").arg(recording).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Removes the user's own settings from a command, and sets its home directory.
pub fn isolate_environment(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("SKYTAIL_") || name.to_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "APPDATA"] {
        command.env(name, home);
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
}

/// What a test needs if it runs the program as another user.
pub const OTHER_USER: &str = "root, setpriv, and a build directory that other users can read";

/// Returns `found`. If it is `None`, the test can't run here: this function then lists the test and
/// what it needs for `tests/unmet.rs`, which prints the list at the end of `cargo test`.
pub fn requires<T>(what: &str, found: Option<T>) -> Option<T> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    if found.is_some() {
        let _ = std::fs::remove_file(unmet_entry(what, &test));
        return found;
    }
    eprintln!("skipped: this needs {what}");
    list_unmet(what, &test);
    None
}

/// Lists a test that did not run, or a part of it, and what it needs, for `tests/unmet.rs`.
pub fn list_unmet(what: &str, test: &str) {
    let entry = unmet_entry(what, test);
    std::fs::create_dir_all(entry.parent().expect("a directory")).expect("make the directory");
    std::fs::write(entry, format!("{what}: {test}\n")).expect("write the list");
}

/// Removes what an earlier run listed for the tests whose names begin so.
pub fn forget_unmet(prefix: &str) {
    let start = unmet_entry("", prefix);
    let start = start.file_name().expect("a name").to_string_lossy();
    let entries = std::fs::read_dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("unmet"));
    for entry in entries.into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(start.trim_end_matches('.')) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn unmet_entry(what: &str, test: &str) -> PathBuf {
    let slug =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).take(80).collect::<String>();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unmet");
    directory.join(format!("{}.{}", slug(test), slug(what)))
}

/// A temporary directory, removed on drop.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("make a directory"))
    }

    /// Returns a path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a recording into the directory.
    pub fn recording(&self, lines: &[String]) -> PathBuf {
        let path = self.path("recording.ndjson");
        std::fs::write(&path, lines.join("\n") + "\n").expect("write the recording");
        path
    }
}

/// The `time_us` of the first event of [`events`].
pub const FIRST_US: u64 = 1_783_175_888_000_000;

/// Returns `count` events 1 ms apart: commits that alternate between posts of `did:plc:even` and
/// likes of `did:plc:odd`, and every tenth event an identity event of `did:plc:tenth`. Event `i`
/// has the rkey or relay seq `i`, and with `seqs` the cursor 100 + `i`.
pub fn events(count: u64, seqs: bool) -> Vec<String> {
    (0..count).map(|i| event(i, seqs)).collect()
}

fn event(i: u64, seqs: bool) -> String {
    let time_us = FIRST_US + i * 1_000;
    let cursor = if seqs { format!(r#","cursor":{}"#, 100 + i) } else { String::new() };
    if i % 10 == 9 {
        return format!(
            r#"{{"did":"did:plc:tenth","time_us":{time_us}{cursor},"kind":"identity","identity":{{"did":"did:plc:tenth","handle":"tenth.example","seq":{i},"time":"2026-07-04T14:38:08.000Z"}}}}"#
        );
    }
    let (did, collection) = match i % 2 {
        0 => ("did:plc:even", "app.bsky.feed.post"),
        _ => ("did:plc:odd", "app.bsky.feed.like"),
    };
    format!(
        r#"{{"did":"{did}","time_us":{time_us}{cursor},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"{collection}","rkey":"{i}","record":{{"$type":"{collection}","text":"event {i}"}},"cid":"bafyrei{i}"}}}}"#
    )
}
