//! Events that the server no longer has, and servers that are not at the output's position: found
//! by comparing the answer with the request, reported with both ends, stored in the state file.

use crate::hostile::{cut, stay};
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, text};
use crate::support::{FIRST_US, Scratch, events, run};

const S: u64 = 1_000_000;

/// A post of number `i`, `seconds` after the first instant.
fn post(i: u64, seconds: u64, seq: Option<u64>) -> String {
    crate::hostile::post(i, FIRST_US + seconds * S, seq)
}

/// Runs until `count` lines are printed.
fn tail(server: &ScriptedServer, count: usize, flags: &[&str]) -> Run {
    Tail::of(server).flags(&["-n", &count.to_string()]).flags(flags).run()
}

/// Five events, and five that come an hour later.
fn before_and_after(seqs: bool) -> (Vec<String>, Vec<String>) {
    let seq = |i| seqs.then_some(500 + i);
    let before = (0..5).map(|i| post(i, i, seq(i))).collect();
    let after = (900..905).map(|i| post(i, 3_600 + i, seq(i))).collect();
    (before, after)
}

// Guards INV-1.
#[test]
fn events_that_a_server_dropped_are_a_gap_reported_with_both_ends() {
    let (before, after) = before_and_after(true);
    let server = ScriptedServer::start([cut(&before), stay(&after)]);
    let run = tail(&server, 10, &[]);
    run.ends_with(0).prints(before.iter().chain(&after));
    run.says(&[
        "gap from seq 504 at 2026-07-04T14:38:12.000000Z to seq 1400 at 2026-07-04T15:53:08.000000Z (1h14m): the server no longer holds these events",
        "1 gap",
    ]);
}

#[test]
fn events_that_a_legacy_server_dropped_are_a_gap() {
    let (before, after) = before_and_after(false);
    let server = ScriptedServer::start([cut(&before), stay(&after)]);
    let run = tail(&server, 10, &["--join", "single"]);
    run.ends_with(0).prints(before.iter().chain(&after));
    run.says(&["gap from 2026-07-04T14:38:12.000000Z to 2026-07-04T15:53:08.000000Z"]);
}

// Guards INV-1.
#[test]
fn on_gap_fail_stops_before_the_gap_and_a_later_run_can_pass_it() {
    let (before, after) = before_and_after(true);
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let server = ScriptedServer::start([cut(&before), stay(&after), stay(&after), stay(&after)]);
    let run = |flags: &[&str]| {
        let flags = [&["--consumer", "c"], flags].concat();
        Tail::of(&server).state(state.clone()).flags(&flags).run()
    };
    let failed = run(&["--on-gap", "fail"]);
    failed.ends_with(4).prints(&before);
    failed.says(&["--on-gap warn", "stopped at a gap", "saved seq 504"]);
    let again = run(&["--on-gap", "fail", "--cursor", "auto"]);
    again.ends_with(4).prints([""; 0]);
    let passed = run(&["--cursor", "auto", "-n", "5"]);
    passed.ends_with(0).prints(&after).says(&["gap from seq 504"]);

    let shown = run::cursors(&["show", "c", "--json", "--state", state.to_str().unwrap()]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let gaps = shown["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "one gap, reported by three runs: {shown}");
    assert_eq!((&gaps[0]["from_seq"], &gaps[0]["to_seq"]), (&504.into(), &1400.into()));
}

#[test]
fn a_consumer_with_another_filter_has_no_gap() {
    let scratch = Scratch::new();
    let (before, after) = before_and_after(true);
    let server = ScriptedServer::start([stay(&before), stay(&after)]);
    let run = |flags: &[&str]| {
        Tail::of(&server).state(scratch.path("state.db")).flags(&["-n", "5"]).flags(flags).run()
    };
    run(&["--consumer", "c"]).ends_with(0);
    let other = ["--consumer", "c", "--cursor", "auto", "-c", "app.bsky.feed.post"];
    run(&other).ends_with(0).prints(&after).never_says("gap");
}

#[test]
fn a_start_older_than_the_oldest_event_is_a_gap() {
    let events = events(5, true);
    let hour_before = (FIRST_US - 3_600 * S).to_string();
    let server = ScriptedServer::start([stay(&events)]);
    let run = tail(&server, 5, &["--cursor", &hour_before]);
    run.ends_with(0).prints(&events);
    run.says(&["gap from 2026-07-04T13:38:08.000000Z to seq 100", "(1h00m)"]);

    let server = ScriptedServer::start([stay(&events)]);
    let run = tail(&server, 5, &["--cursor", "7", "--on-gap", "fail"]);
    run.ends_with(4).prints([""; 0]).says(&["gap from seq 7 to seq 100"]);

    // With a list of accounts, silence proves nothing.
    let server = ScriptedServer::start([stay(&events)]);
    let dids = ["-d", "did:plc:even,did:plc:odd", "--cursor", &hour_before];
    tail(&server, 5, &dids).ends_with(0).never_says("gap");
}

#[test]
fn a_seq_that_lies_ahead_is_reported() {
    let events = events(5, true);
    let server = ScriptedServer::start([stay(&events)]);
    let run = tail(&server, 5, &["--cursor", "9000"]);
    run.ends_with(0).prints(&events).says(&["seq 9000 lies ahead"]).never_says("gap");
}

#[test]
fn reused_seqs_are_not_trusted() {
    let old: Vec<_> = (0..20).map(|i| post(i, i, Some(500 + i))).collect();
    // The server lost its log and counts from 1 again; it still has the events.
    let renumbered: Vec<_> = (0..30).map(|i| post(i, i, Some(1 + i))).collect();
    // Its counter is past the requested number, which now belongs to another event.
    let reused: Vec<_> = (0..30).map(|i| post(i, i, Some(480 + i))).collect();
    for events in [renumbered, reused] {
        let from = if events[0].contains(r#""cursor":1,"#) { 25 } else { 28 };
        let server = ScriptedServer::start([cut(&old), stay(&events[from..]), stay(&events)]);
        let run = tail(&server, 30, &[]);
        run.ends_with(0).prints(old.iter().chain(&events[20..]));
        run.says(&["has renumbered its events"]).never_says("gap");
        let requests: Vec<String> = server.requests()[1..]
            .iter()
            .map(|request| request.query("cursor")[0].clone())
            .collect();
        let by_time = (FIRST_US + 14 * S).to_string();
        assert!(requests[0].parse::<u64>().unwrap() < 600, "{requests:?}");
        assert_eq!(requests[1], by_time);
    }
}

#[test]
fn a_server_that_renumbered_is_resumed_by_its_new_seqs() {
    let old: Vec<_> = (0..20).map(|i| post(i, i, Some(500 + i))).collect();
    let renumbered: Vec<_> = (0..60).map(|i| post(i, i, Some(1 + i))).collect();
    let server = ScriptedServer::start([
        cut(&old),
        stay(&renumbered[25..]),
        cut(&renumbered[10..50]),
        stay(&renumbered[39..]),
    ]);
    let run = tail(&server, 60, &[]);
    run.ends_with(0).prints(old.iter().chain(&renumbered[20..])).never_says("gap");
    let cursor: u64 = server.requests()[3].query("cursor")[0].parse().unwrap();
    assert!((30..=50).contains(&cursor), "{cursor}");
}

#[test]
fn a_lagging_host_is_left_for_another_and_none_of_its_events_are_printed() {
    let events: Vec<_> = (0..40).map(|i| post(i, 100 + i, Some(500 + i))).collect();
    // It sends what the others sent long ago, at the pace of live events.
    let old: Vec<_> = (0..40).map(|i| post(1_000 + i, i, Some(20 + i))).collect();
    let lagging = {
        let mut steps = vec![Accept];
        for line in old {
            steps.push(Step::Pause(std::time::Duration::from_millis(500)));
            steps.push(Send(text(line)));
        }
        steps.push(Hang);
        steps
    };
    let lags = ScriptedServer::start([lagging]);
    let good = ScriptedServer::start([cut(&events[..20]), vec![], stay(&events[8..])]);
    let flags = ["--host", &lags.host(), "-n", "40"];
    let run = Tail::of(&good).flags(&flags).run();
    run.ends_with(0).prints(&events).says(&["lags behind"]).never_says("gap");
}

#[test]
fn a_lagging_legacy_host_repeats_nothing() {
    let events: Vec<_> = (0..40).map(|i| post(i, 100 + i, None)).collect();
    let old: Vec<_> = (0..50).map(|i| post(1_000 + i, i, None)).collect();
    let both = [&old[..], &events].concat();
    let good = ScriptedServer::start([cut(&events[..20]), vec![]]);
    let lags = ScriptedServer::start([stay(&both)]);
    let flags = ["--host", &lags.host(), "-n", "40", "--join", "single"];
    Tail::of(&good).flags(&flags).run().ends_with(0).prints(&events).never_says("gap");
}

#[test]
fn events_that_another_host_dropped_are_a_gap() {
    let (before, after) = before_and_after(true);
    let first = ScriptedServer::start([cut(&before), vec![]]);
    let other = ScriptedServer::start([stay(&after)]);
    let run = Tail::of(&first).flags(&["--host", &other.host(), "-n", "10"]).run();
    run.ends_with(0).prints(before.iter().chain(&after));
    run.says(&["gap from 2026-07-04T14:38:12.000000Z", "showed nothing of what was written last"]);
}

#[test]
fn failback_happens_only_on_request_and_once_the_first_host_has_recovered() {
    let events = events(40, true);
    let probe = || stay(&events[20..30]);
    let first =
        ScriptedServer::start([cut(&events[..10]), vec![], probe(), probe(), stay(&events)]);
    let other = ScriptedServer::start([stay(&events[..20])]);
    let flags = ["--host", &other.host(), "-n", "40", "--prefer-first=50ms"];
    let run = Tail::of(&first).flags(&flags).run();
    run.ends_with(0).prints(&events).says(&["is well again: going back to it"]);
}

#[test]
fn a_replay_of_excluded_events_does_not_move_the_position_back() {
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let identity = |i: u64, seconds: u64| {
        let time_us = FIRST_US + seconds * S;
        format!(r#"{{"did":"did:plc:a","time_us":{time_us},"kind":"news","news":{i}}}"#)
    };
    let first = [post(1, 1, None), identity(2, 2), post(3, 3, None)];
    let server = ScriptedServer::start([cut(&first), stay(&[post(1, 1, None), identity(2, 2)])]);
    let flags = ["--consumer", "c", "--join", "single", "--timeout", "3s", "-k", "commit"];
    let run = Tail::of(&server).state(state.clone()).flags(&flags).run();
    run.ends_with(0).prints([&first[0], &first[2]]);
    let shown = run::cursors(&["show", "c", "--json", "--state", state.to_str().unwrap()]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["time_us"], FIRST_US + 3 * S, "{shown}");
}

// Guards INV-5.
#[test]
fn a_server_that_makes_a_gap_at_each_connection_fills_neither_the_log_nor_the_state_file() {
    const CONNECTIONS: u64 = 40;
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let events: Vec<_> =
        (1..=CONNECTIONS).map(|i| post(i, i * 3_600, Some(i * 1_000_000))).collect();
    let server = ScriptedServer::start(events.iter().map(|event| cut(std::slice::from_ref(event))));
    let flags = ["--consumer", "c", "-n", &CONNECTIONS.to_string()];
    let run = Tail::of(&server).state(state.clone()).flags(&flags).run();
    run.ends_with(0).prints(&events);
    run.says(&["gap from seq 1000000 at ", "more of these are left out", "39 gaps"]);
    let lines = |words: &str| run.stderr.lines().filter(|line| line.contains(words)).count();
    assert!(lines(": gap from seq") <= 12, "{}", run.stderr);
    assert!(lines("connecting to") <= 12, "{}", run.stderr);

    let shown = run::cursors(&["show", "c", "--json", "--state", state.to_str().unwrap()]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let gaps = shown["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{shown}");
    assert_eq!((&gaps[0]["from_seq"], &gaps[0]["to_seq"]), (&1_000_000.into(), &40_000_000.into()));
    assert_eq!(gaps[0]["count"], 39);
}
