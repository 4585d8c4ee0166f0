//! `--jq` and `--format`: the output is what jq prints, the position never passes an event before
//! all of its outputs, and files hold each event's outputs once.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::output::fixture::{Fixture, unpacked};
use crate::support::tail::{TailProcess, tail};
use crate::support::{Scratch, ServeProcess, requires, vectors};

/// Three outputs of most events, the second longer than what a pipe accepts at once.
const THREE: &str = r#"select(.cursor % 3 != 0) | .cursor, .commit.record.text * 20, "end""#;

fn cursor(line: &str) -> u64 {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    event["cursor"].as_u64().unwrap()
}

fn text(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    event["commit"]["record"]["text"].as_str().unwrap().to_owned()
}

/// Returns the outputs of [`THREE`] for the recording.
fn expected_outputs(fixture: &Fixture) -> String {
    let events = fixture.recorded.iter().filter(|line| !cursor(line).is_multiple_of(3));
    events.map(|line| format!("{}\n{}\nend\n", cursor(line), text(line).repeat(20))).collect()
}

/// Returns the files of a fixture, one after another, each without its head.
#[track_caller]
fn without_headers(fixture: &Fixture, head: &str) -> String {
    let mut all = String::new();
    for path in fixture.names() {
        let text = String::from_utf8(unpacked(&path, &fs::read(&path).unwrap())).unwrap();
        let body = text.strip_prefix(head).unwrap_or_else(|| panic!("{path:?} has no head"));
        assert!(head.is_empty() || !body.contains(head), "{path:?} has a second head");
        all.push_str(body);
    }
    all
}

/// Kills runs at different places until one reaches the end.
#[track_caller]
fn killed(fixture: &Fixture, flags: &[&str], step_bytes: u64) {
    let flags = [flags, &["--checkpoint-every", "10ms"]].concat();
    let mut kills = 0;
    for round in 1..8_u64 {
        let run = fixture.start(&flags);
        fixture.wait_for_bytes(fixture.bytes().min(step_bytes * 7) + round * step_bytes / 3);
        run.signal("KILL");
        kills += u32::from(run.wait().code() == -1);
    }
    assert!(kills >= 5, "{kills} kills");
    fixture.run_ok(&flags);
}

#[test]
fn a_table_in_a_file_is_complete_with_one_header_after_many_kills() {
    let head = "cursor,commit.record.text,commit.none\n";
    let fields = ["--format", "csv", "--fields", "cursor,commit.record.text,commit.none"];
    for (name, rotate) in [("t.csv", None), ("t.csv.zst", None), ("t.csv", Some("1MB"))] {
        let fixture = Fixture::new(8_000, 5_000);
        let file = fixture.file(name);
        let mut flags = vec!["-o", &file];
        flags.extend(fields);
        flags.extend(rotate.iter().flat_map(|rotate| ["--rotate", rotate]));
        killed(&fixture, &flags, 250_000);
        let rows = fixture.recorded.iter();
        let rows: String = rows.map(|line| format!("{},{},\n", cursor(line), text(line))).collect();
        assert!(without_headers(&fixture, head) == rows, "{name} is not the table");
        assert!(fixture.names().len() > if rotate.is_some() { 3 } else { 0 });
    }
}

#[test]
fn each_events_outputs_are_in_the_file_once_after_many_kills() {
    let fixture = Fixture::new(2_000, 5_000);
    let file = fixture.file("out.txt");
    killed(&fixture, &["-o", &file, "-r", "--jq", THREE], 800_000);
    assert!(without_headers(&fixture, "") == expected_outputs(&fixture));
}

#[test]
fn the_next_run_prints_what_a_stopped_run_left_incomplete() {
    // Several times the size of a pipe.
    let fixture = Fixture::new(1_600, 5_000);
    let mut all = String::new();
    let mut torn = 0;
    for round in 0..40 {
        let flags = ["-r", "--jq", THREE, "--drain-timeout", "0s"];
        let mut run = TailProcess::start(&fixture.scratch.path(""), &fixture.flags(&flags));
        let mut lines = Vec::new();
        lines.extend(run.line());
        lines.extend((0..round % 7).map_while(|_| run.line()));
        if !lines.is_empty() && round < 39 {
            // A writer that waits in the middle of an event is certainly stopped there.
            #[cfg(target_os = "linux")]
            if round % 3 == 0 {
                run.wait_for_full_pipe();
            }
            run.signal("INT");
        }
        let ended = run.wait();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        lines.extend(ended.rest);
        let printed: String = lines.concat();
        // The outputs of an event that was not printed completely are printed again.
        let whole = printed.rfind("end\n").map_or(0, |at| at + 4);
        torn += u32::from(whole < printed.len());
        all.push_str(&printed[..whole]);
        if lines.is_empty() {
            break;
        }
    }
    assert!(torn > 0, "no run was stopped in the middle of an event");
    assert!(
        all == expected_outputs(&fixture),
        "{} bytes for {}",
        all.len(),
        expected_outputs(&fixture).len()
    );
}

#[test]
fn a_limit_counts_outputs_and_never_splits_an_event() {
    let fixture = Fixture::new(60, 5_000);
    let mut all = String::new();
    // 3 + 3, 3, 3 + 3 + 3: each run ends with the event that reaches its limit.
    for (limit, printed) in [("4", 6), ("1", 3), ("9", 9), ("1000000", 102)] {
        let ended = fixture.run(&["-r", "--jq", THREE, "-n", limit]);
        assert_eq!((ended.code(), ended.rest.len()), (0, printed), "{}", ended.stderr);
        all.push_str(&ended.rest.concat());
    }
    assert!(all == expected_outputs(&fixture));
    // Nothing is printed, but the position advances.
    let fixture = Fixture::new(60, 5_000);
    assert_eq!(fixture.run(&["--jq", "empty"]).rest.len(), 0);
    assert_eq!(fixture.saved(), 60);
}

#[test]
fn an_error_skips_its_event_or_stops_before_it() {
    let fixture = Fixture::new(30, 5_000);
    let expression = r#".cursor, if .cursor == 5010 then error("no") else empty end"#;
    let ended = fixture.run(&["--jq", expression, "--jq-errors", "fail"]);
    assert_eq!((ended.code(), ended.rest.len()), (1, 10), "{}", ended.stderr);
    assert!(ended.stderr.contains("as --jq-errors fail asks"), "{}", ended.stderr);
    assert!(ended.stderr.contains(": no; it begins {\"did\""), "{}", ended.stderr);
    assert_eq!(fixture.saved(), 10);
    let ended = fixture.run(&["--jq", expression]);
    assert_eq!((ended.code(), ended.rest.len()), (0, 19), "{}", ended.stderr);
    assert_eq!(ended.rest[0], "5011\n");
    assert!(ended.stderr.contains("skipped an event, an error of --jq: no;"), "{}", ended.stderr);
    assert!(ended.stderr.contains(", 1 skipped for its error;"), "{}", ended.stderr);
    assert_eq!(fixture.saved(), 30);
    // Of many equal errors, one event is shown.
    let ended = Fixture::new(30, 5_000).run(&["--jq", "error(\"no\")"]);
    let skipped = ended.stderr.lines().filter(|line| line.contains("skipped an event"));
    let shown = skipped.clone().filter(|line| line.contains("it begins {")).count();
    assert_eq!((skipped.count(), shown), (5, 1), "{}", ended.stderr);
}

#[test]
fn an_endless_expression_does_not_delay_a_stop() {
    let fixture = Fixture::new(20_000, 5_000);
    let flags = ["--jq", "last(repeat(.))", "--drain-timeout", "0s"];
    let mut command =
        crate::support::tail::tail_command(&fixture.scratch.path(""), &fixture.flags(&flags));
    let mut child = command.spawn().unwrap();
    // It reports this as soon as the first event has cost all that one may.
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut log).unwrap();
    assert!(log.contains("more than 100000 steps on one event"), "{log}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Expressions that users write, and that the two could understand differently. (Versions of jq
/// agree on all of them.)
const EXPRESSIONS: [&str; 12] = [
    ".",
    r#"select(.commit.record.langs // [] | index("en")) | .commit.record.text"#,
    "[.commit.operation, .commit.collection // .kind]",
    ".commit.record // {} | keys, to_entries, (to_entries | from_entries)",
    r#"(.commit.record.text // "") | length, ascii_downcase, test("[a-z]+ing"), [scan("[A-Z][a-z]+")], split(" "), gsub("a"; "b"), @base64, @html, @sh"#,
    r#"[paths | map(tostring) | join(".")], ([.. | strings] | sort, unique, group_by(length), (map(length) | add, max))"#,
    ".time_us / 1000000 | floor | todate",
    r#"del(.commit.record.facets, .commit.rev, .did), delpaths([["commit", "cid"], ["kind"]])"#,
    r#"with_entries(select(.key != "did")), (.commit.record.facets[]?.features[]?.uri // "none")"#,
    "[.did, .time_us, .commit.record.text, null, true] | @csv, @tsv",
    r#""at://\(.did)/\(.commit.collection)/\(.commit.rkey)", ([limit(2; .[])] | length), (try error("x") catch .)"#,
    r#"reduce (.. | numbers) as $n (0; . + $n), [foreach (1, 2) as $x (0; . + $x)], (if .commit.record then .commit.record.text |= "x" else 1 / 4, 6 / 2 end)"#,
];

/// Returns what jq prints for `lines`, or `None` if this machine has no jq.
fn jq(flags: &[&str], lines: &str) -> Option<String> {
    let child = Command::new("jq").args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = requires("jq", child.ok())?;
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "jq: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn real_events_render_as_jq_renders_them() {
    for recording in vectors::samples() {
        assert_rendered_as_jq(&recording);
    }
}

fn assert_rendered_as_jq(recording: &Path) {
    let (scratch, server) =
        (Scratch::new(), ServeProcess::start(recording, &["--server-kind", "v2"]));
    let host = server.address.to_string();
    let count = vectors::lines(recording).len();
    let limit = count.to_string();
    let flags = ["--host", &host, "--cursor", "oldest", "--no-checkpoint", "-q", "-n", &limit];
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
        crate::support::isolate_environment(&mut command, &scratch.path(""));
        let output = command.arg("tail").args(flags).args(more).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = run(&[]);
    assert_eq!(lines.lines().count(), count);
    // All in one, so that every event has one output and the runs end with the recording.
    let all = EXPRESSIONS.map(|expression| format!("[{expression}]")).join(",\n");
    let all = format!("[{all}]");
    let Some(expected) = jq(&["-c", &all], &lines) else { return };
    let printed = run(&["--jq", &all]);
    assert_eq!(printed.lines().count(), expected.lines().count());
    for (ours, theirs) in printed.lines().zip(expected.lines()).filter(|(a, b)| a != b) {
        let [ours, theirs] = [ours, theirs].map(|line| {
            let made: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(line).unwrap();
            made.iter().map(ToString::to_string).collect::<Vec<_>>()
        });
        let differs = (0..EXPRESSIONS.len()).find(|i| ours[*i] != theirs[*i]).unwrap();
        assert_eq!(ours[differs], theirs[differs], "{}", EXPRESSIONS[differs]);
    }
    let Some(expected) = jq(&["."], &lines) else { return };
    assert!(run(&["--format", "pretty"]) == expected, "--format pretty is not what jq prints");
    let text = ".commit.record.text // \"none\"";
    assert_eq!(Some(run(&["-r", "--jq", text])), jq(&["-r", text], &lines));
}

#[test]
fn every_event_has_a_text_line_and_a_table_its_header_on_stdout() {
    let fixture = Fixture::new(50, 5_000);
    let ended = fixture.run(&["--format", "text"]);
    assert_eq!(ended.rest.len(), 50);
    let is_fine = |line: &String| !line.contains('\u{1b}') && line.contains(" create   app.bsky.");
    assert!(ended.rest.iter().all(is_fine), "{:?}", ended.rest[0]);
    let flags = ["--format", "tsv", "--fields", "cursor,did"];
    let ended = tail(&Scratch::new().path(""), &[&fixture.flags(&[])[..], &flags].concat());
    assert_eq!(ended.rest.len(), 51, "{}", ended.stderr);
    assert_eq!(ended.rest[..2], ["cursor\tdid\n", "5000\tdid:plc:d0\n"]);
}
