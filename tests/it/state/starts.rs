//! Start positions, consumer names, and which saved positions a run keeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;

use crate::state::{CommandResult, capture, run};
use crate::support::pty::Pty;
use crate::support::scripted::Step::{Accept, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, texts};
use crate::support::{Scratch, events, isolate_environment};

/// A server whose connections each send five more events than the one before.
fn server(connections: usize) -> (ScriptedServer, Vec<String>) {
    let lines = events(5 * connections as u64, true);
    let script = |n: usize| -> Vec<Step> { vec![Accept, Send(texts(&lines[..5 * (n + 1)])), Hang] };
    (ScriptedServer::start((0..connections).map(script)), lines)
}

struct Home {
    scratch: Scratch,
    state: PathBuf,
}

impl Home {
    fn new() -> Self {
        let scratch = Scratch::new();
        let state = scratch.path("state.db");
        Self { scratch, state }
    }

    fn tail(&self, server: &ScriptedServer, flags: &[&str]) -> CommandResult {
        let host = server.host();
        let fixed = ["tail", "--host", &host, "--protocol", "v1", "--archive", "off"];
        run(&self.state, &[&fixed[..], flags].concat())
    }

    fn cursors(&self, args: &[&str]) -> CommandResult {
        run(&self.state, &[&["cursors"], args].concat())
    }

    fn path(&self, name: &str) -> String {
        self.scratch.path(name).to_str().unwrap().to_owned()
    }

    fn gaps(&self) -> Vec<String> {
        let state = Connection::open(&self.state).unwrap();
        let mut query = state.prepare("SELECT reason FROM gaps").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

#[track_caller]
fn assert_lines(path: &str, lines: &[String]) {
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
}

fn requested_cursors(server: &ScriptedServer) -> Vec<bool> {
    server.requests().iter().map(|request| !request.query("cursor").is_empty()).collect()
}

// Guards INV-1.
#[test]
fn a_file_is_continued_without_a_flag_and_each_file_has_its_own_position() {
    let (home, (server, lines)) = (Home::new(), server(4));
    let (a, b) = (home.path("a.ndjson"), home.path("b.ndjson"));
    home.tail(&server, &["-n5", "-o", &a]).ends_with(0);
    home.tail(&server, &["-n5", "-o", &a]).ends_with(0);
    assert_lines(&a, &lines[..10]);
    home.tail(&server, &["-n5", "-o", &b]).ends_with(0);
    assert_lines(&b, &lines[..5]);
    home.tail(&server, &["-n10", "-o", &a]).ends_with(0);
    assert_lines(&a, &lines);
    assert_eq!(requested_cursors(&server), [false, true, false, true]);
    let list = home.cursors(&["list"]).stdout;
    let port = server.address.port();
    for name in ["a", "b"] {
        assert!(list.contains(&format!("all@localhost:{port}+file:{name}.ndjson-")), "{list}");
    }
}

#[test]
fn a_start_that_would_repeat_events_in_a_file_is_refused() {
    let (home, (server, _)) = (Home::new(), server(2));
    let file = home.path("a.ndjson");
    home.tail(&server, &["-n5", "-o", &file, "--cursor", "oldest"]).ends_with(0);
    for start in ["oldest", "2026-07-04T14:00:00Z", "7"] {
        let refused = home.tail(&server, &["-n5", "-o", &file, "--cursor", start]);
        refused.ends_with(2).says(&["holds events already", "--from", "--append"]);
    }
    home.tail(&server, &["-n5", "-o", &file, "--cursor", "oldest", "--append"]).ends_with(0);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 10);
}

#[test]
fn from_is_the_start_of_a_consumer_without_a_saved_position() {
    let (home, (server, lines)) = (Home::new(), server(2));
    let file = home.path("a.ndjson");
    for _ in 0..2 {
        home.tail(&server, &["-n5", "-o", &file, "--from", "oldest"]).ends_with(0);
    }
    assert_lines(&file, &lines);
    assert_eq!(requested_cursors(&server), [true, true]);
    let refused = |flags: &[&str], words| {
        home.tail(&server, &[&["--from", "oldest"], flags].concat()).ends_with(2).says(&[words]);
    };
    refused(&["--cursor", "live"], "leave one of the two out");
    let result = capture(Command::new(env!("CARGO_BIN_EXE_skytail")).args([
        "tail",
        "--demo",
        "--from",
        "oldest",
        "--no-checkpoint",
    ]));
    result.ends_with(2).says(&["write --cursor oldest in its place"]);
    home.tail(&server, &["--from", "17"]).ends_with(2).says(&["can't be where a new consumer"]);
}

// Guards INV-9.
#[test]
fn skipped_events_are_reported_saved_and_restorable() {
    let (home, lines) = (Home::new(), events(20, true));
    let ranges = [0..5, 5..10, 10..15, 0..20];
    let server =
        ScriptedServer::start(ranges.map(|range| vec![Accept, Send(texts(&lines[range])), Hang]));
    home.tail(&server, &["-n5", "--consumer", "c"]).ends_with(0);
    let live = ["-n5", "--consumer", "c", "--cursor", "live", "--on-gap", "fail"];
    let skipping = home.tail(&server, &live).ends_with(0);
    let log = skipping.stderr.lines().filter(|line| line.contains("skipping")).count();
    assert_eq!(log, 1, "{skipping:?}");
    skipping.says(&["--cursor auto resumes there instead", "cursors restore"]);
    assert_eq!(home.gaps(), ["skipped on request"]);
    let quiet = home.tail(&server, &[&live[..], &["-q"]].concat()).ends_with(0);
    assert_eq!(quiet.stderr, "");
    let list = home.cursors(&["restore", "c"]).ends_with(0).stdout;
    assert_eq!(list.lines().count(), 3, "{list}");
    home.cursors(&["restore", "c", "9"]).ends_with(1).says(&["no earlier position 9"]);
    home.cursors(&["restore", "c", "2"]).ends_with(0).says(&["c starts at 104"]);
    let resumed = home.tail(&server, &["-n15", "--consumer", "c"]).ends_with(0);
    assert_eq!(resumed.stdout.lines().collect::<Vec<_>>(), &lines[5..]);
}

#[test]
fn a_run_without_cursor_auto_does_not_change_its_position() {
    let (home, (server, lines)) = (Home::new(), server(3));
    home.tail(&server, &["-n5", "--cursor", "auto"]).ends_with(0);
    let casual = home.tail(&server, &["-n1"]).ends_with(0);
    assert!(!casual.stderr.contains("skipping"), "{casual:?}");
    casual.says(&["nothing saved (the position of --cursor auto is kept)"]);
    let resumed = home.tail(&server, &["-n10", "--cursor", "auto"]).ends_with(0);
    assert_eq!(resumed.stdout.lines().collect::<Vec<_>>(), &lines[5..]);
    assert_eq!(home.gaps(), [""; 0]);
}

/// Runs a tail whose standard output is a terminal, with `home` as its home directory.
fn on_a_terminal(home: &Path, server: &ScriptedServer, flags: &[&str]) -> CommandResult {
    let mut terminal = Pty::open();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, home);
    command.args(["tail", "--host", &server.host(), "--protocol", "v1", "-n5"]).args(flags);
    command.stdout(terminal.stdio()).stderr(std::process::Stdio::piped());
    let running = command.spawn().unwrap();
    drop(command);
    terminal.started();
    let output = running.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    CommandResult { code: output.status.code(), stdout: String::new(), stderr }
}

#[test]
fn a_run_that_prints_to_a_terminal_saves_only_on_request() {
    let (home, (server, _)) = (Home::new(), server(3));
    let place = home.scratch.path("home");
    fs::create_dir(&place).unwrap();
    let unsaved = "nothing saved (stdout is a terminal; --cursor auto saves)";
    on_a_terminal(&place, &server, &[]).ends_with(0).says(&[unsaved]);
    let files = || -> Vec<String> {
        let entries = walkdir(&place);
        entries.into_iter().filter(|path| path.contains("state.db")).collect()
    };
    assert_eq!(files(), [""; 0]);
    for flags in [["--cursor", "auto"], ["--checkpoint-every", "1s"]] {
        let saved = on_a_terminal(&place, &server, &flags).ends_with(0);
        assert!(!saved.stderr.contains(unsaved), "{saved:?}");
        assert!(!files().is_empty());
    }
}

fn walkdir(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(walkdir(&entry.path())),
            false => found.push(entry.path().display().to_string()),
        }
    }
    found
}
