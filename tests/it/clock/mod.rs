//! One event is no proof: neither its time nor its number moves the clock, the cursor, the end of a
//! run or the name of a file further than other events support.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::Scratch;
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, texts};
use rusqlite::Connection;

const S: u64 = 1_000_000;
const HOUR: u64 = 3_600 * S;
const YEAR_9999: u64 = 253_402_300_799 * S;

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_micros()).unwrap()
}

/// Event number `n`, which is also its cursor.
fn event(n: u64, time_us: u64) -> String {
    numbered(n, time_us, n)
}

fn numbered(n: u64, time_us: u64, seq: u64) -> String {
    format!(
        r#"{{"did":"did:plc:a","time_us":{time_us},"cursor":{seq},"kind":"commit","commit":{{"rev":"{n}","operation":"create","collection":"app.bsky.feed.post","rkey":"{n}"}}}}"#
    )
}

/// Events `from..from + count`, 50 ms apart, the first one at `start`.
fn stream(from: u64, count: u64, start: u64) -> Vec<String> {
    (0..count).map(|i| event(from + i, start + i * 50_000)).collect()
}

fn cut(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines))]
}

fn stay(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines)), Hang]
}

/// Reads all of `first` from one server, which then goes away, and `second` from another. Returns
/// the age, in seconds, of the time that was requested from the second server.
fn failover(first: &[String], second: &[String], flags: &[&str]) -> (Run, f64) {
    let a = ScriptedServer::start([cut(first)]);
    let b = ScriptedServer::start([stay(second)]);
    let count = (first.len() + second.len()).to_string();
    let requested_time =
        |b: &ScriptedServer| b.requests()[0].query("cursor")[0].parse::<f64>().unwrap();
    let run = Tail::of(&a).flags(&["--host", &b.host(), "-n", &count]).flags(flags).run();
    let age = (now() as f64 - requested_time(&b)) / 1e6;
    (run, age)
}

// Guards INV-7.
#[test]
fn a_first_event_of_the_year_9999_is_printed_but_never_a_cursor() {
    let (first, second) = ([event(1, YEAR_9999)], stream(900, 20, now()));
    let (run, age) = failover(&first, &second, &[]);
    run.ends_with(0).prints(first.iter().chain(&second));
    assert!((0.0..60.0).contains(&age), "asked for {age} s ago");
}

// Guards INV-7.
#[test]
fn one_event_23_hours_ahead_is_never_a_cursor_at_any_place() {
    let start = now() - 20 * S;
    let lie = || [event(500, now() + 23 * HOUR)].into_iter();
    let honest = || stream(1, 100, start).into_iter();
    let more = || stream(101, 100, start + 5 * S).into_iter();
    let middle: Vec<String> = honest().chain(lie()).chain(more()).collect();
    let last: Vec<String> = honest().chain(more()).chain(lie()).collect();
    let first: Vec<String> = lie().chain(honest()).chain(more()).collect();
    for first in [middle, last, first] {
        let second = stream(900, 100, now());
        let (run, age) = failover(&first, &second, &["--on-gap", "warn"]);
        run.ends_with(0).prints(first.iter().chain(&second));
        assert!((0.0..60.0).contains(&age), "asked for {age} s ago");
    }
}

// Guards INV-7.
#[test]
fn a_single_event_never_ends_a_run() {
    let start = now() - 2 * HOUR;
    let until = (start + HOUR).to_string();
    for lie in [YEAR_9999, now() + 23 * HOUR, now() + 5 * S] {
        let mut lines = stream(1, 50, start);
        lines.push(event(500, lie));
        lines.extend(stream(101, 50, start + 3 * S));
        for (flags, printed) in [
            (["--exit-when-live", "-n", "101"].as_slice(), lines.clone()),
            (&["--until", &until, "-n", "100"], {
                // A run does not request events that are stamped later.
                lines.iter().filter(|line| !line.contains(r#""rkey":"500""#)).cloned().collect()
            }),
        ] {
            let server = ScriptedServer::start([stay(&lines)]);
            let run = Tail::of(&server).flags(&["--cursor", "oldest"]).flags(flags).run();
            run.ends_with(0).prints(&printed);
        }
    }
}

#[test]
fn several_events_end_a_run() {
    let start = now() - 2 * HOUR;
    let until = (start + HOUR).to_string();
    let early = stream(1, 50, start);
    let lines: Vec<String> =
        early.iter().cloned().chain(stream(101, 50, start + HOUR + 2 * S)).collect();
    let server = ScriptedServer::start([stay(&lines)]);
    let run = Tail::of(&server).flags(&["--cursor", "oldest", "--until", &until]).run();
    run.ends_with(0).prints(&early);
}

#[test]
fn a_server_whose_clock_is_ahead_ends_a_run_too() {
    // Ten minutes ahead, with pauses of a second.
    let start = now() + 600 * S;
    let until = (start + 60 * S).to_string();
    let early: Vec<String> = (1..30).map(|n| event(n, start + n * 2 * S)).collect();
    let late = (30..60).map(|n| event(n, start + n * 2 * S));
    let lines: Vec<String> = early.iter().cloned().chain(late).collect();
    let server = ScriptedServer::start([stay(&lines)]);
    let run = Tail::of(&server).flags(&["--cursor", "oldest", "--until", &until]).run();
    run.ends_with(0).prints(&early);
}

#[test]
fn a_single_event_never_names_a_file() {
    let start = 1_783_175_888 * S;
    for lie_first in [true, false] {
        let lie = [event(500, YEAR_9999)];
        let lines: Vec<String> = match lie_first {
            true => lie.into_iter().chain(stream(1, 50, start)).collect(),
            false => stream(1, 50, start)
                .into_iter()
                .chain(lie)
                .chain(stream(51, 50, start + 3 * S))
                .collect(),
        };
        let scratch = Scratch::new();
        let output = scratch.path("log-%Y-%m-%d.ndjson");
        let server = ScriptedServer::start([stay(&lines)]);
        let count = lines.len().to_string();
        let flags = ["--cursor", "oldest", "--rotate", "daily", "-n", &count, "-o"];
        let run = Tail::of(&server).flags(&flags).flags(&[output.to_str().unwrap()]).run();
        run.ends_with(0);
        let written = std::fs::read_to_string(scratch.path("log-2026-07-04.ndjson")).unwrap();
        assert_eq!(written.lines().count(), lines.len(), "all in one file");
    }
}

/// Saves the position of a run that wrote events 1 to 100, and changes it with this SQL.
fn save_and_corrupt(state: &Path, start: u64, sql: &str) -> String {
    let lines = stream(1, 100, start);
    let server = ScriptedServer::start([stay(&lines)]);
    let flags = ["--consumer", "c", "--cursor", "oldest", "-n", "100"];
    Tail::of(&server).flags(&flags).state(state.to_owned()).run().ends_with(0);
    let connection = Connection::open(state).unwrap();
    connection.execute(sql, []).unwrap();
    server.host()
}

/// Returns a number of the saved position.
fn saved(state: &Path, column: &str) -> u64 {
    let query = format!("SELECT {column} FROM consumers");
    let state = Connection::open(state).unwrap();
    state.query_row(&query, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

#[test]
fn a_state_file_with_an_absurd_time_recovers() {
    for sql in [
        "UPDATE consumers SET latest_time_us = 253402300799000000",
        "UPDATE consumers SET latest_time_us = 253402300799000000, newest_time_us = 253402300799000000, rewind_time_us = 253402300799000000",
        "UPDATE consumers SET latest_time_us = latest_time_us + 82800000000",
    ] {
        let scratch = Scratch::new();
        let state = scratch.path("state.db");
        save_and_corrupt(&state, now() - 20 * S, sql);
        // A request to another server has a time as its cursor.
        let lines = stream(900, 50, now() - S);
        let server = ScriptedServer::start([stay(&lines)]);
        let flags = ["--consumer", "c", "--cursor", "auto", "-n", "50"];
        let run = Tail::of(&server).flags(&flags).state(state.clone()).run();
        run.ends_with(0).prints(&lines).says(&["lies ahead of this machine's clock"]);
        let request: u64 = server.requests()[0].query("cursor")[0].parse().unwrap();
        assert!(request <= now(), "requested a time in the future");
        let latest = saved(&state, "latest_time_us");
        assert!(latest <= now() + 60 * S, "saved {latest}");
    }
}

// Guards INV-7.
#[test]
fn one_seq_far_too_high_is_not_saved_and_hides_no_later_gap() {
    let start = now() - 60 * S;
    let mut first = stream(1, 100, start);
    first.push(numbered(500, start + 5 * S, 900_000_000_000_000));
    first.extend(stream(101, 50, start + 6 * S));
    // The server no longer has the next events.
    let second = stream(5_000, 20, start + 30 * S);
    let server = ScriptedServer::start([cut(&first), stay(&second)]);
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let flags = ["--consumer", "c", "--cursor", "oldest", "-n", "171"];
    let run = Tail::of(&server).flags(&flags).state(state.clone()).run();
    run.ends_with(0).prints(first.iter().chain(&second)).says(&["gap "]);
    let newest = saved(&state, "newest_seq");
    assert_eq!(newest, 5_019);
}

#[test]
fn a_saved_seq_far_too_high_recovers() {
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let start = now() - 60 * S;
    let sql = "UPDATE consumers SET newest_seq = 900000000000000";
    save_and_corrupt(&state, start, sql);
    let lines = stream(1, 150, start);
    let server = ScriptedServer::start([stay(&lines)]);
    let label = server.host();
    let connection = Connection::open(&state).unwrap();
    connection.execute("UPDATE consumers SET server = ?1", [label]).unwrap();
    drop(connection);
    let flags = ["--consumer", "c", "--cursor", "auto", "-n", "50"];
    let run = Tail::of(&server).flags(&flags).state(state.clone()).run();
    run.ends_with(0).prints(&lines[100..]);
    let newest = saved(&state, "newest_seq");
    assert_eq!(newest, 150);
}

// Guards INV-3.
#[test]
fn a_duplicate_on_one_connection_is_dropped_however_late() {
    let start = now() - HOUR;
    let mut lines = stream(1, 50, start);
    lines.extend(stream(100, 50, start + 600 * S));
    let repeated = numbered(7, start + 603 * S, 200);
    let last = event(201, start + 604 * S);
    let printed: Vec<String> = lines.iter().cloned().chain([last.clone()]).collect();
    lines.extend([repeated, last]);
    let server = ScriptedServer::start([stay(&lines)]);
    let run = Tail::of(&server).flags(&["--cursor", "oldest", "-n", "101"]).run();
    run.ends_with(0).prints(&printed);
}

#[test]
fn a_server_that_reuses_a_seq_for_another_event_is_reported() {
    let start = now() - 60 * S;
    let first = stream(1, 50, start);
    // It crashed, lost the events from 40 on, and reuses their numbers.
    let mut second = stream(1, 39, start);
    let others: Vec<String> =
        (40..80).map(|n| numbered(1_000 + n, start + n * 50_000, n)).collect();
    second.extend(others.iter().cloned());
    let server = ScriptedServer::start([cut(&first), stay(&second)]);
    let run = Tail::of(&server).flags(&["--cursor", "oldest", "-n", "90"]).run();
    run.ends_with(0)
        .prints(first.iter().chain(&others))
        .says(&["seq 40 held another event before"]);
}

#[test]
fn a_cursor_in_unix_seconds_is_refused_and_shown_as_a_time() {
    let seconds = (now() / S - 60).to_string();
    for command in [["tail", "--cursor", &seconds].as_slice(), &["cursors", "set", "c", &seconds]] {
        let scratch = Scratch::new();
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_skytail"));
        crate::support::isolate_environment(&mut run, &scratch.path(""));
        let done = run.args(command).output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("if you meant seconds: 20"), "{stderr}");
    }
}
