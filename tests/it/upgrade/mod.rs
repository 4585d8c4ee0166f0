//! State files of 0.1.0: a later release resumes them without loss and without repetition.
//!
//! `state-0.1.0.db` was written by 0.1.0: consumer `notes` had written the first 500 events of
//! [`recording`] to a file. Its 225 dedup keys are XXH3 hashes. The tests replace its paths and its
//! server by their own.

use std::fs;
use std::path::PathBuf;

use crate::support::tail::tail_command;
use crate::support::{FIRST_US, Scratch, ServeProcess};
use rusqlite::Connection;

/// How many events 0.1.0 had written.
const WRITTEN: usize = 500;

fn recording() -> Vec<String> {
    let event = |n: u64| {
        format!(
            r#"{{"did":"did:plc:{:024}","time_us":{},"cursor":{},"kind":"commit","commit":{{"rev":"{n}","operation":"create","collection":"com.example.note","rkey":"k{n}","record":{{"n":{n}}}}}}}"#,
            n % 7,
            FIRST_US + n * 50_000,
            1_000 + n,
        )
    };
    (1..=800).map(event).collect()
}

/// The old state file with its output, beside a server of the recording.
struct OldState {
    scratch: Scratch,
    lines: Vec<String>,
    server: ServeProcess,
    output: PathBuf,
}

impl OldState {
    /// `is_same`: whether the server is the one that the file names.
    fn new(is_same: bool) -> Self {
        let scratch = Scratch::new();
        let lines = recording();
        let server = ServeProcess::start(&scratch.recording(&lines), &["--server-kind", "v2"]);
        let output = scratch.path("out.ndjson");
        fs::write(&output, lines[..WRITTEN].join("\n") + "\n").unwrap();
        fs::write(scratch.path("state.db"), include_bytes!("state-0.1.0.db")).unwrap();
        let state = Connection::open(scratch.path("state.db")).unwrap();
        let path = output.to_str().unwrap();
        state.execute("UPDATE outputs SET path = ?1, pattern = ?1", [path]).unwrap();
        if is_same {
            let label = server.address.to_string();
            state.execute("UPDATE consumers SET server = ?1", [label]).unwrap();
        }
        Self { scratch, lines, server, output }
    }

    /// Runs this build to the end, or for `limit` events.
    fn tail(&self, limit: Option<u32>) {
        let host = format!("ws://{}/subscribe", self.server.address);
        let flags = ["--host", &host, "--protocol", "v1", "--cursor", "auto"];
        let mut command = tail_command(&self.scratch.path(""), &flags);
        command.args(["--consumer", "notes", "--exit-when-live", "-o"]).arg(&self.output);
        if let Some(limit) = limit {
            command.args(["-n", &limit.to_string()]);
        }
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert!(!stderr.contains("gap "), "{stderr}");
    }

    #[track_caller]
    fn assert_output(&self, count: usize) {
        let text = fs::read_to_string(&self.output).unwrap();
        let written: Vec<&str> = text.lines().collect();
        let first = written.iter().zip(&self.lines).position(|(a, b)| a != b);
        assert_eq!((written.len(), first), (count, None), "lines, and the first wrong one");
    }
}

// Guards INV-3.
#[test]
fn a_state_file_of_0_1_0_continues_on_its_server() {
    let old = OldState::new(true);
    // Both hash functions are needed: the second run finds keys of either in the file.
    for (run, limit) in [20, 20, 100].into_iter().enumerate() {
        old.tail(Some(limit));
        old.assert_output(WRITTEN + [20, 40, 140][run]);
    }
    old.tail(None);
    old.assert_output(800);
}

#[test]
fn a_state_file_of_0_1_0_continues_on_another_server() {
    let old = OldState::new(false);
    old.tail(Some(30));
    old.assert_output(WRITTEN + 30);
    old.tail(None);
    old.assert_output(800);
}

// Guards INV-8.
#[test]
fn the_new_key_has_128_bits_and_persists() {
    let old = OldState::new(true);
    let key = || {
        let state = Connection::open(old.scratch.path("state.db")).unwrap();
        let query = "SELECT value FROM meta WHERE key = 'identity_key'";
        state.query_row(query, [], |row| row.get::<_, String>(0)).unwrap()
    };
    old.tail(Some(1));
    let first = key();
    old.tail(Some(1));
    assert_eq!((first.len(), key()), (32, first));
}

impl OldState {
    /// Gives the consumer the name that 0.1.0 derived for every local server.
    fn with_derived_name(self) -> Self {
        let state = Connection::open(self.scratch.path("state.db")).unwrap();
        state
            .execute_batch(
                "UPDATE consumers SET name = 'all@localhost';
                 UPDATE outputs SET consumer = 'all@localhost'",
            )
            .unwrap();
        self
    }

    /// Runs this build without a consumer name, to the end, and returns its stdout.
    fn tail_without_name(&self, flags: &[&str]) -> String {
        let host = format!("ws://{}/subscribe", self.server.address);
        let fixed = ["--host", &host, "--protocol", "v1", "--exit-when-live"];
        let done = tail_command(&self.scratch.path(""), &fixed).args(flags).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let state = Connection::open(self.scratch.path("state.db")).unwrap();
        let mut query = state.prepare("SELECT name FROM consumers ORDER BY name").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

#[test]
fn an_output_of_0_1_0_continues_under_its_owning_name() {
    let old = OldState::new(true).with_derived_name();
    old.tail_without_name(&["-o", old.output.to_str().unwrap()]);
    old.assert_output(800);
    assert_eq!(old.names(), ["all@localhost"]);
}

#[test]
fn a_local_server_adopts_only_its_own_position() {
    for is_same in [true, false] {
        let old = OldState::new(is_same).with_derived_name();
        let state = Connection::open(old.scratch.path("state.db")).unwrap();
        state.execute("DELETE FROM outputs", []).unwrap();
        drop(state);
        let printed = old.tail_without_name(&["--cursor", "auto", "--from", "oldest"]);
        let name = format!("all@localhost:{}", old.server.address.port());
        let start = if is_same { WRITTEN } else { 0 };
        assert_eq!(printed.lines().collect::<Vec<_>>(), &old.lines[start..]);
        let names: &[&str] = if is_same { &[&name] } else { &["all@localhost", &name] };
        assert_eq!(old.names(), names);
    }
}
