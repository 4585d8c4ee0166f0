//! A change of the filter while the server is away, before another server continues, and while the
//! archive is read.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use super::{Watched, has_pong, post, replace, stay, stay_synced, wait_for};
use crate::history::{self, assert_same};
use crate::support::run::Tail;
use crate::support::scripted::Step::Answer;
use crate::support::scripted::{ScriptedServer, http};
use crate::support::tail::{TailProcess, tail_command};
use crate::support::{PATIENCE, Scratch, ServeProcess, events, signal};

const EVEN: &str = "did:plc:even";
const ODD: &str = "did:plc:odd";

/// Returns the seq that a line of the log names: `it applies after seq 712345 at …`.
fn seq_of_change(line: &str) -> u64 {
    let (_, rest) = line.split_once("it applies after seq ").expect(line);
    rest.split(' ').next().unwrap().parse().expect(line)
}

/// Returns the seq of an event.
fn seq_of(line: &str) -> u64 {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    event["cursor"].as_u64().unwrap()
}

/// Returns the events of a list that had only [`EVEN`] up to this seq, and both accounts after it.
fn expected(recorded: &[String], change: u64) -> Vec<String> {
    let is_wanted =
        |line: &&String| line.contains(EVEN) || (line.contains(ODD) && seq_of(line) > change);
    recorded.iter().filter(is_wanted).cloned().collect()
}

// Guards INV-11.
#[test]
fn a_change_while_the_server_is_away_applies_from_the_position() {
    let scratch = Scratch::new();
    let recorded = events(40, true);
    let server = ServeProcess::start(&scratch.recording(&recorded[..20]), &[]);
    let host = server.address.to_string();
    let list = scratch.path("dids.txt");
    replace(&list, EVEN);
    let at = format!("@{}", list.display());
    let flags = ["-d", &at, "--cursor", "oldest"];
    let run = Watched::start(Tail::of_host(&host).protocol("v2").flags(&flags));
    let before = expected(&recorded[..20], u64::MAX);
    run.prints(&before);
    server.stop("KILL");
    replace(&list, &format!("{EVEN}\n{ODD}\n"));
    run.look();
    let change = seq_of_change(&run.says("filter changed: 1 account added, 2 in all"));
    let _server = ServeProcess::start_at(&host, &scratch.recording(&recorded), &[]);
    let seen = seq_of(before.last().unwrap());
    let mut rest = expected(&recorded, change);
    rest.retain(|line| line.contains(ODD) || seq_of(line) > seen);
    run.prints(&rest);
    signal(run.run.child.id(), "TERM");
    run.ends();
}

#[test]
fn the_server_that_takes_over_right_after_a_change_is_asked_with_the_new_filter() {
    let before = [post("a", 100, true), post("a", 101, true), post("b", 102, true)];
    let gone = vec![Answer(http("503 Service Unavailable", "", ""))];
    let first = ScriptedServer::start([stay_synced(&before), gone]);
    // Another server has other numbers, and replays from before the change.
    let after = [("a", 100), ("a", 101), ("b", 105), ("a", 106)]
        .map(|(account, n)| post(account, n, true).replace(r#""cursor":"#, r#""cursor":7"#));
    let second = ScriptedServer::start([stay(&after)]);
    let scratch = Scratch::new();
    let list = scratch.path("dids.txt");
    replace(&list, "did:plc:a\n");
    let at = format!("@{}", list.display());
    let flags = ["--host", &second.host(), "-d", &at, "-n", "4", "--join", "single"];
    let run = Watched::start(Tail::of(&first).flags(&flags));
    run.prints(&before[..2]);
    wait_for(&first, |requests| has_pong(&requests[0]));
    replace(&list, "did:plc:a\ndid:plc:b\n");
    run.look();
    run.says("it applies after seq 102");
    run.prints(&after[2..]);
    run.ends();
    for request in [&first.requests()[1], &second.requests()[0]] {
        assert_eq!(request.query("wantedDids"), ["did:plc:a", "did:plc:b"]);
    }
}

// Guards INV-11.
#[test]
fn a_change_while_the_archive_is_read_continues_there_with_the_new_filter() {
    let fixture = history::Fixture::new(6_250, &[]);
    let list = fixture.scratch.path("dids.txt");
    replace(&list, EVEN);
    let (at, log) = (format!("@{}", list.display()), fixture.scratch.path("log"));
    let host = ["--host", &*fixture.host, "--protocol", "v2", "--cursor", "oldest"];
    let flags = [&host[..], &["-d", &at, "--buffer", "100", "-vv"]].concat();
    let mut command = tail_command(&fixture.scratch.path(""), &flags);
    command.stderr(File::create(&log).unwrap());
    // The test does not read, so that the pipe is full in the middle of the archive.
    let mut run = TailProcess::of(command);
    let mut printed = run.lines(10);
    replace(&list, &format!("{EVEN}\n{ODD}\n"));
    run.signal("USR2");
    let patience = Instant::now() + PATIENCE;
    while !fs::read_to_string(&log).unwrap().contains("read a new filter") {
        assert!(!run.has_ended() && Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(5));
    }
    let last = expected(&fixture.recorded, 0).pop().unwrap() + "\n";
    while printed.last() != Some(&last) {
        printed.push(run.line().expect("more lines"));
    }
    run.stop();
    assert_eq!(run.wait().code(), 0);
    let log = fs::read_to_string(&log).unwrap();
    let line = log.lines().find(|line| line.contains("filter changed")).expect(&log);
    let change = seq_of_change(line);
    assert!(change < history::FIRST_SEQ + 5_000, "{line}");
    let printed = history::without_line_feeds(printed);
    assert_same(&printed, &expected(&fixture.recorded, change));
}
