//! Connections that end, and servers that repeat themselves or change: together, the connections of
//! a run give each event exactly once. (Legacy servers are used with `--join single` here, because
//! a script has no live stream besides the replay. `tests/it/join.rs` has one.)

use crate::hostile::{cut, post, stay};
use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Hang, Send, Sync};
use crate::support::scripted::{ScriptedServer, close, text, texts};
use crate::support::{FIRST_US, Scratch, events};

// Guards INV-3.
#[test]
fn ten_disconnects_print_every_event_once() {
    let events = events(110, true);
    let mut scripts: Vec<_> = (1..=10).map(|n| cut(&events[..n * 10])).collect();
    scripts.push(stay(&events));
    let server = ScriptedServer::start(scripts);
    Tail::of(&server).flags(&["-n", "110"]).run().ends_with(0).prints(&events);
    for request in &server.requests()[1..] {
        assert_eq!(request.query("cursor"), ["100"]);
    }
}

#[test]
fn a_legacy_server_is_resumed_by_time() {
    let events = events(20, false);
    let server = ScriptedServer::start([cut(&events[..7]), stay(&events)]);
    Tail::of(&server).flags(&["--join", "single", "-n", "20"]).run().ends_with(0).prints(&events);
    assert_eq!(server.requests()[1].query("cursor"), [FIRST_US.to_string()]);
}

#[test]
fn a_run_killed_before_its_first_save_starts_again_at_its_start() {
    let scratch = Scratch::new();
    let events = events(5, true);
    let server = ScriptedServer::start([stay(&events), stay(&events)]);
    let tail = || {
        let flags = ["--consumer", "c", "--cursor", "auto", "--checkpoint-every", "1h"];
        Tail::of(&server).state(scratch.path("state.db")).flags(&flags)
    };
    let mut killed = tail().start();
    assert_eq!(killed.head(5), events);
    killed.child.kill().unwrap();
    drop(killed);
    tail().flags(&["-n", "5"]).run().ends_with(0).prints(&events);
    assert_eq!(server.requests()[1].query("cursor"), ["100"]);
}

#[test]
fn events_that_a_server_repeats_are_printed_once() {
    let events = events(20, true);
    let twice = [&events[..10], &events[..10], &events[5..], &events[..]].concat();
    let mut lines = twice;
    lines.push(post(1, FIRST_US + 90_000, Some(900)));
    let server = ScriptedServer::start([stay(&lines)]);
    let expected: Vec<_> = events.iter().chain(lines.last()).collect();
    Tail::of(&server).flags(&["-n", "21"]).run().ends_with(0).prints(expected);
}

// Guards INV-1.
#[test]
fn events_of_one_instant_all_arrive_across_a_disconnect() {
    // A v2 server gives all operations of a commit one time.
    let events: Vec<_> = (0..30).map(|i| post(i, FIRST_US, Some(500 + i))).collect();
    for kept in [1, 7, 29] {
        let server = ScriptedServer::start([cut(&events[..kept]), stay(&events)]);
        Tail::of(&server).flags(&["-n", "30"]).run().ends_with(0).prints(&events);
        assert_eq!(server.requests()[1].query("cursor"), ["500"]);
    }
}

#[test]
fn time_that_steps_back_loses_nothing() {
    for seqs in [true, false] {
        let seq = |i| seqs.then_some(700 + i);
        let times = [0, 1, 2, -3_600_000_000, -3_599_999_999, 3, 4, -1, 60_000_000, 5];
        let events: Vec<_> = (0..)
            .zip(times)
            .map(|(i, step)| post(i, FIRST_US.saturating_add_signed(step), seq(i)))
            .collect();
        let server = ScriptedServer::start([cut(&events[..5]), cut(&events[..9]), stay(&events)]);
        Tail::of(&server)
            .flags(&["--join", "single", "-n", "10"])
            .run()
            .ends_with(0)
            .prints(&events);
    }
}

// Guards INV-7.
#[test]
fn a_time_in_the_far_future_does_not_become_a_cursor() {
    for future in [u64::MAX, 9_007_199_254_740_991, FIRST_US + 100 * 366 * 86_400_000_000] {
        let mut events = events(20, false);
        events.insert(5, post(99, future, None));
        let other = ScriptedServer::start([stay(&events)]);
        // One cut for a resume on the same server, then one for a failover.
        let server = ScriptedServer::start([cut(&events[..7]), cut(&events[..9])]);
        let run = Tail::of(&server)
            .flags(&["--join", "single", "--host", &other.host(), "-n", "21"])
            .run();
        run.ends_with(0).prints(&events);
        for request in [&server.requests()[1], &other.requests()[0]] {
            let cursor: u64 = request.query("cursor")[0].parse().unwrap();
            assert!(cursor <= FIRST_US + 6_000, "{cursor}");
        }
    }
}

// Guards INV-7.
#[test]
fn a_time_in_the_far_future_ends_no_replay() {
    let mut events = events(20, false);
    events.insert(5, post(99, 9_007_199_254_740_991, None));
    let server = ScriptedServer::start([vec![
        Accept,
        Send(texts(&events[..6])),
        Sync,
        Send(texts(&events[6..])),
        Hang,
    ]]);
    let run =
        Tail::of(&server).flags(&["--join", "single", "--cursor", "oldest", "-n", "21"]).run();
    run.ends_with(0).prints(&events);
}

// Guards INV-7.
#[test]
fn a_time_in_the_far_future_ends_no_run() {
    let mut events = events(20, true);
    events.insert(5, post(99, 9_007_199_254_740_991, Some(4)));
    let until = (FIRST_US + 10_000).to_string();
    let last = [7, 8].map(|i| post(i, FIRST_US + 2_000_000 + i, Some(9_000 + i)));
    let server = ScriptedServer::start([vec![
        Accept,
        Send(texts(&events[..7])),
        Sync,
        Send(texts(&events[7..])),
        Send(texts(&last)),
        Hang,
    ]]);
    let run = Tail::of(&server).flags(&["--until", &until]).run();
    events.remove(5);
    run.ends_with(0).prints(&events[..10]);
}

#[test]
fn malformed_messages_before_the_first_event_do_not_hide_the_server_kind() {
    let events = events(20, true);
    let server = ScriptedServer::start([
        vec![Accept, Send(text("no event")), Sync, Send(texts(&events[..7]))],
        stay(&events),
    ]);
    Tail::of(&server).flags(&["-n", "20"]).run().ends_with(0).prints(&events);
    assert_eq!(server.requests()[1].query("cursor"), ["100"]);
}

#[test]
fn a_legacy_server_that_becomes_v2_under_its_name_is_resumed() {
    let (legacy, v2) = (events(20, false), events(30, true));
    let server = ScriptedServer::start([cut(&legacy[..7]), cut(&v2[..20]), stay(&v2)]);
    let run = Tail::of(&server).flags(&["--join", "single", "-n", "30"]).run();
    run.ends_with(0).prints(legacy[..7].iter().chain(&v2[7..]));
    let requests = server.requests();
    assert_eq!(requests[1].query("cursor"), [FIRST_US.to_string()]);
    let seq: u64 = requests[2].query("cursor")[0].parse().unwrap();
    assert!((100..=107).contains(&seq), "{seq}");
}

#[test]
fn a_v2_server_that_becomes_legacy_under_its_name_is_resumed() {
    let (v2, legacy) = (events(20, true), events(30, false));
    let server = ScriptedServer::start([
        cut(&v2[..7]),
        // A legacy server interprets the sequence number as a time, and replays all that it has.
        stay(&legacy),
        cut(&legacy[..20]),
        stay(&legacy),
    ]);
    let run = Tail::of(&server).flags(&["--join", "single", "-n", "30"]).run();
    run.ends_with(0).prints(v2[..7].iter().chain(&legacy[7..]));
    run.says(&["the server is a legacy one", "resuming by time"]);
    let requests = server.requests();
    assert_eq!(requests[1].query("cursor"), ["100"]);
    for request in &requests[2..] {
        let instant: u64 = request.query("cursor")[0].parse().unwrap();
        assert!(instant <= FIRST_US + 7_000 && instant > FIRST_US - 60_000_000, "{instant}");
    }
}

// Guards INV-1.
#[test]
fn another_server_continues_after_the_first() {
    let first = ScriptedServer::start([cut(&events(20, true)[..12])]);
    // Other stamps on the same events, and a replay that begins earlier.
    let elsewhere = |i| post(i, FIRST_US - 1_000_000 + i, Some(9_000 + i));
    let theirs: Vec<_> = events(20, true)
        .iter()
        .map(|line| line.replace(r#""cursor":1"#, r#""cursor":7001"#))
        .collect();
    let mut replay: Vec<_> = (50..55).map(elsewhere).collect();
    replay.extend(theirs.clone());
    let second = ScriptedServer::start([stay(&replay)]);
    let run = Tail::of(&first).flags(&["--host", &second.host(), "-n", "25"]).run();
    run.ends_with(0);
    let new = replay[..5].iter().chain(&theirs[12..]);
    run.prints(events(20, true)[..12].iter().chain(new));
    let instant: u64 = second.requests()[0].query("cursor")[0].parse().unwrap();
    assert_eq!(instant, FIRST_US + 11_000 - 5_000_000);
}

#[test]
fn a_run_without_any_event_yet_returns_to_its_own_start() {
    let now_us = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_micros()).unwrap()
    };
    let before = now_us();
    let event = post(1, before + 30_000_000, Some(100));
    let server = ScriptedServer::start([
        vec![Accept, Sync, Send(close(1001, b"server shutting down"))],
        vec![Accept, Send(text(&event)), Hang],
    ]);
    Tail::of(&server).flags(&["-n", "1"]).run().ends_with(0).prints([event]);
    assert_eq!(server.requests()[0].query("cursor"), [""; 0]);
    let cursor: u64 = server.requests()[1].query("cursor")[0].parse().unwrap();
    assert!(cursor >= before - 6_000_000 && cursor <= now_us(), "{cursor}");
}

#[test]
fn giving_up_saves_what_was_received() {
    let events = events(20, true);
    let server = ScriptedServer::start([cut(&events)]);
    let run = Tail::of(&server).flags(&["--max-retries", "0"]).run();
    run.ends_with(3).prints(&events).says(&["gave up after 1 failed attempt;"]);
}

/// The server aborts a replay when too much is queued for it; a replay of fewer events gets
/// further.
#[test]
fn an_interrupted_legacy_replay_continues_just_before_the_newest_event() {
    let at = |i: u64| FIRST_US + i * 200_000;
    let events: Vec<String> = (0..100).map(|i| post(i, at(i), None)).collect();
    let server = ScriptedServer::start([
        vec![Accept, Send(texts(&events[..60]))],
        vec![Accept, Send(texts(&events[54..])), Hang],
    ]);
    let flags = ["--join", "single", "--cursor", "oldest", "-n", "100"];
    let run = Tail::of(&server).flags(&flags).run();
    run.ends_with(0).prints(&events).says(&["drops a replay that is too slow"]);
    assert_eq!(server.requests()[1].query("cursor"), [(at(59) - 1_000_000).to_string()]);
}

/// The dedup window retains twice the margin, because a failover needs more.
#[test]
fn a_legacy_resume_rewinds_by_exactly_the_margin() {
    let (scratch, at) = (Scratch::new(), |i: u64| FIRST_US + i * 200_000);
    let events: Vec<String> = (0..120).map(|i| post(i, at(i), None)).collect();
    let server = ScriptedServer::start([
        vec![Accept, Send(texts(&events[..100])), Hang],
        vec![Accept, Send(texts(&events[70..])), Hang],
    ]);
    let tail = || Tail::of(&server).state(scratch.path("state.db")).flags(&["--join", "single"]);
    let oldest = ["--cursor", "oldest", "--consumer", "c", "-n", "100"];
    tail().flags(&oldest).run().ends_with(0).prints(&events[..100]);
    let auto = ["--cursor", "auto", "--consumer", "c", "-n", "20"];
    tail().flags(&auto).run().ends_with(0).prints(&events[100..]);
    assert_eq!(server.requests()[1].query("cursor"), [(at(99) - 5_000_000).to_string()]);
}
