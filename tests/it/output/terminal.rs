//! Standard output that is a terminal: no text of an event acts on it, its hang-up is a closed
//! output, and the progress line does not tear events.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::output::fixture::Fixture;
use crate::support::pty::{Pty, in_a_terminal};
use crate::support::run::Tail;
use crate::support::scripted::{ScriptedServer, Step};
use crate::support::tail::tail_command;
use crate::support::{Scratch, ServeProcess, events};

/// Erases the line of the cursor (ECMA-48: EL).
const ERASE: &str = "\u{1b}[2K";

/// An event whose text contains control sequences: escaped where JSON demands it, raw elsewhere.
fn hostile_event() -> String {
    let text = "\\u001b]0;pwned\\u0007\\u001b[2Jhello \u{9b}31m\u{7f}\u{202e}\\u0000\\r\\u009b2Jé";
    events(1, false)[0].replace("event 0", text)
}

fn serve(lines: &[String]) -> (Scratch, ServeProcess) {
    let scratch = Scratch::new();
    let recording = scratch.recording(lines);
    let server = ServeProcess::start(&recording, &["--server-kind", "legacy"]);
    (scratch, server)
}

/// The flags to read all events of a server.
fn flags_to_read_all(server: &ServeProcess) -> Vec<String> {
    let host = format!("ws://{}", server.address);
    ["--host", &host, "--protocol", "v1", "--cursor", "oldest", "--color", "never"]
        .map(str::to_owned)
        .to_vec()
}

fn command(home: &Scratch, all: &[String], more: &[&str]) -> Command {
    let all = all.iter().map(String::as_str);
    let flags: Vec<&str> = all.chain(more.iter().copied()).collect();
    tail_command(&home.path(""), &flags)
}

/// Runs a command that ends without a signal on a terminal, and returns what the terminal received.
fn shown(mut command: Command) -> String {
    let mut pty = Pty::open();
    let mut child = command.stdout(pty.stdio()).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    pty.started();
    let shown = pty.read_to_end();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{shown:?}");
    shown
}

// Guards INV-6.
#[test]
fn each_format_escapes_control_characters_on_a_terminal_and_only_there() {
    let event = hostile_event();
    let (_scratch, server) = serve(std::slice::from_ref(&event));
    let all = flags_to_read_all(&server);
    let column = ["--fields", "commit.record.text"];
    for format in [
        vec![],
        vec!["--jq", "."],
        vec!["-r", "--jq", ".commit.record.text"],
        [&["--format", "csv"][..], &column].concat(),
        [&["--format", "tsv"][..], &column].concat(),
        vec!["--format", "pretty"],
        vec!["--format", "text"],
    ] {
        let more = [&["-n", "1", "--no-checkpoint"][..], &format].concat();
        let home = Scratch::new();
        let mut run = command(&home, &all, &more);
        run = without_state(run);
        let shown = shown(run);
        // The terminal's driver turns a line feed into CR LF.
        let text = shown.replace("\r\n", "\n");
        let acts = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        assert_eq!(text.chars().find(acts), None, "{format:?}: {text:?}");
        assert!(text.contains("hello") && text.contains('é'), "{format:?}: {text:?}");
        if format.is_empty() {
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&text), value(&event));
        }
        let output = without_state(command(&home, &all, &more)).output().unwrap();
        let piped = String::from_utf8(output.stdout).unwrap();
        match &format[..] {
            [] => assert_eq!(piped, format!("{event}\n")),
            ["-r", ..] => assert!(piped.starts_with("\u{1b}]0;pwned\u{7}"), "{piped:?}"),
            _ => {}
        }
    }
}

/// Returns the command without `--state FILE`.
fn without_state(command: Command) -> Command {
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut other = Command::new(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    let state = args.iter().position(|arg| arg == "--state").unwrap();
    other.args(&args[..state]).args(&args[state + 2..]);
    other.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    other
}

#[test]
fn a_terminal_that_hangs_up_is_a_closed_output() {
    // While events are written, and while none come.
    for reads in [4_096, usize::MAX] {
        let fixture = Fixture::new(if reads == usize::MAX { 20 } else { 20_000 }, 5_000);
        let flags = ["--host", &*fixture.host, "--cursor", "auto", "--consumer", "c"];
        let mut command = tail_command(&fixture.scratch.path(""), &flags);
        let mut pty = Pty::open();
        let mut child = command.stdout(pty.stdio()).spawn().unwrap();
        drop(command);
        pty.started();
        let last = fixture.recorded.last().unwrap().clone();
        pty.read_until(|shown| shown.len() >= reads || shown.contains(&last));
        drop(pty);
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), &*stderr), (Some(0), ""));
        assert!(fixture.saved() > 0);
    }
}

#[test]
fn progress_with_a_pipe_is_drawn_only_on_request() {
    let (_scratch, server) = serve(&events(200, false));
    let run = |more: &[&str]| {
        let (home, mut pty) = (Scratch::new(), Pty::open());
        let more = [&["-n", "200"][..], more].concat();
        let mut command = command(&home, &flags_to_read_all(&server), &more);
        let mut child = command.stderr(pty.stdio()).env("TERM", "xterm").spawn().unwrap();
        drop(command);
        pty.started();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().count();
        assert_eq!((child.wait().unwrap().code(), lines), (Some(0), 200));
        pty.read_to_end()
    };
    let stderr = run(&[]);
    assert!(!stderr.contains(ERASE) && stderr.contains("stopped at the limit"), "{stderr:?}");
    assert!(run(&["--progress", "always"]).contains(ERASE));
}

#[test]
fn a_progress_line_is_cleared_before_events_and_ends_in_column_0() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(40, true));
    let server = ServeProcess::start(&recording, &["--rate", "20/s", "--restamp"]);
    let (home, mut pty) = (Scratch::new(), Pty::open());
    let host = format!("ws://{}", server.address);
    let flags = ["--host", &host, "--cursor", "oldest", "-n", "30", "--progress", "always"];
    let mut command = tail_command(&home.path(""), &flags);
    command.stdout(pty.stdio()).stderr(pty.stdio()).env("TERM", "xterm");
    let mut child = command.spawn().unwrap();
    drop(command);
    pty.started();
    let shown = pty.read_to_end();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{shown:?}");
    let (mut events, mut after_drawing) = (0, 0);
    for (at, _) in shown.match_indices(r#"{"did":"did:plc:even","time_us""#) {
        events += 1;
        let before = &shown[..at];
        let line = before.rsplit('\n').next().unwrap();
        // The line was erased, and the cursor is in column 0.
        let rest = line.rsplit(ERASE).next().unwrap().trim_matches('\r');
        assert_eq!(rest, "", "{before:?}");
        after_drawing += usize::from(line.contains(ERASE));
    }
    assert_eq!(events, 15);
    assert!(after_drawing > 0, "no progress line was drawn: {shown:?}");
    // A carriage return follows each drawing before anything else.
    let drawings = shown.split("0s behind").skip(1);
    for rest in drawings {
        assert!(rest.trim_start_matches(' ').starts_with('\r'), "{rest:?}");
    }
}

#[test]
fn nothing_is_drawn_from_the_background() {
    let (_scratch, server) = serve(&events(200, false));
    let home = Scratch::new();
    let skytail = env!("CARGO_BIN_EXE_skytail");
    let flags = flags_to_read_all(&server).join(" ");
    let state = home.path("state.db");
    let run = format!(
        "{skytail} tail {flags} --state {} --progress always --timeout 1s >/dev/null",
        state.display()
    );
    let Some(shown) = in_a_terminal(&format!("set -m; {run} & wait $!; echo code $?")) else {
        return;
    };
    assert!(shown.contains("code 0") && !shown.contains(ERASE), "{shown:?}");
    let shown = in_a_terminal(&format!("set -m; {run}; echo code $?")).unwrap();
    assert!(shown.contains("code 0") && shown.contains(ERASE), "{shown:?}");
}

#[test]
fn progress_without_a_terminal_and_missing_matches_are_logged_after_ten_seconds() {
    // The script fails the test if a second connection is made.
    let server = ScriptedServer::start([vec![Step::Accept, Step::OnlyPongs]]);
    let mut run = Tail::of(&server).flags(&["-c", "app.bsky.feed", "--progress", "always"]).start();
    let mut lines = BufReader::new(run.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let at_start = lines.next().unwrap();
    assert!(at_start.contains("did you mean app.bsky.feed.*?"), "{at_start}");
    let later = [lines.next().unwrap(), lines.next().unwrap()];
    let has = |words: &str| later.iter().any(|line| line.contains(words));
    assert!(
        has("connected, nothing matched -c app.bsky.feed in 10 s; did you mean app.bsky.feed.*?"),
        "{later:?}"
    );
    assert!(has("skytail: connected, no event yet; 0 events, 0 B written"), "{later:?}");
    crate::support::signal(run.child.id(), "TERM");
    let last = lines.last().unwrap();
    assert!(last.contains("0 received"), "{last}");
    assert!(run.child.wait().unwrap().success());
}

#[test]
fn misspelled_collections_are_reported_at_the_start() {
    for (given, meant) in [
        ("app.bsky.feed", "app.bsky.feed.*"),
        ("app.bsky.feed.pots", "app.bsky.feed.post"),
        ("App.bsky.feed.post", "app.bsky.feed.post"),
    ] {
        let flags = ["-c", given, "--host", "127.0.0.1:1", "--max-retries", "0"];
        let home = Scratch::new();
        let output = tail_command(&home.path(""), &flags).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let first = stderr.lines().next().unwrap();
        assert!(first.contains(&format!("-c {given} ")), "{stderr}");
        assert!(first.ends_with(&format!("did you mean {meant}?")), "{stderr}");
    }
}

#[test]
fn safe_cells_are_for_tables_only() {
    let event = events(1, false)[0].replace("event 0", "=1+1");
    let (_scratch, server) = serve(&[event]);
    let (home, all) = (Scratch::new(), flags_to_read_all(&server));
    let table = ["-n", "1", "--csv-safe", "--format", "csv", "--fields", "commit.record.text"];
    let output = command(&home, &all, &table).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "commit.record.text\n'=1+1\n");
    let refused = command(&home, &all, &["-n", "1", "--csv-safe"]).output().unwrap();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--csv-safe: only tables have cells"), "{stderr}");
}
