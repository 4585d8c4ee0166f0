//! `--last N`: the newest N matching events in their order, and then the stream, without a loss or
//! a repetition between the two.

use std::net::TcpListener;

use serde_json::Value;

use crate::history::{canonical, in_parallel};
use crate::support::run::Tail;
use crate::support::scripted::ScriptedServer;
use crate::support::scripted::Step::{Accept, OnlyPongs};
use crate::support::tail::{TailProcess, tail};
use crate::support::{FIRST_US, PATIENCE, Scratch, ServeProcess, signal};
use skytail::event::format::EventFormat;

/// Returns `count` events of accounts in turn, `step_us` apart: posts and likes.
fn recording(count: u64, step_us: u64) -> Vec<String> {
    (0..count).map(|n| event(n, FIRST_US + n * step_us)).collect()
}

fn event(n: u64, time_us: u64) -> String {
    let collection = ["app.bsky.feed.post", "app.bsky.feed.like"][n as usize % 2];
    format!(
        r#"{{"did":"did:plc:{}","time_us":{time_us},"cursor":{},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"{collection}","rkey":"{n}","record":{{"$type":"{collection}","text":"event {n}"}},"cid":"bafyrei"}}}}"#,
        n % 7,
        n + 100,
    )
}

/// A server of a recording whose last event happens when the server starts.
fn serve(lines: &[String], flags: &[&str]) -> (Scratch, ServeProcess) {
    let scratch = Scratch::new();
    let path = scratch.recording(lines);
    let server = ServeProcess::start(&path, &[&["--restamp"], flags].concat());
    (scratch, server)
}

/// Returns the numbers of the events in printed lines of either format.
fn numbers<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Vec<u64> {
    let number = |line: T| {
        let event: Value = serde_json::from_str(line.as_ref()).unwrap();
        let rkey = event["commit"]["rkey"].as_str().or(event["rkey"].as_str());
        rkey.unwrap().parse().unwrap()
    };
    lines.into_iter().map(number).collect()
}

fn tail_of(server: &ServeProcess) -> Tail {
    Tail::of_host(&server.address.to_string()).protocol("auto")
}

#[test]
fn the_newest_matching_events_are_printed_in_their_order() {
    // Half an hour, so that several spans are read.
    let lines = recording(1_800, 1_000_000);
    let (_scratch, v2) = serve(&lines, &[]);
    let (_other, legacy) = serve(&lines, &["--server-kind", "legacy"]);
    let all: &[&str] = &[];
    let cases: [(&ServeProcess, &'static str, &[&str], u64); 5] = [
        (&v2, "v2", all, 1),
        (&v2, "v1", all, 1),
        (&v2, "v2", &["--shape", "native"], 1),
        (&v2, "v2", &["-c", "app.bsky.feed.like", "--grep", "^event"], 2),
        (&legacy, "v1", all, 1),
    ];
    in_parallel(&cases, |(server, protocol, flags, step)| {
        let flags = [&["--last", "300", "--exit-when-live"], *flags].concat();
        let run = tail_of(server).protocol(protocol).flags(&flags).run();
        run.ends_with(0).never_says("warning").says(&["300 events", "nothing saved (--last"]);
        let expected: Vec<u64> = (0..300).map(|n| 1_799 - n * step).rev().collect();
        assert_eq!(numbers(&run.lines), expected, "{protocol} {flags:?}");
    });
}

#[test]
fn spans_share_what_is_known_of_dictionaries() {
    let (_scratch, server) = serve(&recording(1_800, 1_000_000), &[]);
    let other = Scratch::new();
    let file = other.path("other.zdict").to_str().unwrap().to_owned();
    let path = other.recording(&recording(500, 1_000));
    let _writer = ServeProcess::start(&path, &["--write-dictionary", &file]);
    let flags = ["--last", "300", "--exit-when-live", "--zstd-dictionary", &file];
    let run = tail_of(&server).protocol("v2").flags(&flags).run();
    run.ends_with(0).says(&["300 events"]);
    assert_eq!(run.stderr.matches("is not used: this server").count(), 1, "{}", run.stderr);
}

/// Guards against a gap and a repetition where the history meets the stream.
// Guards INV-1.
#[test]
fn the_stream_continues_after_the_history_without_loss_or_repetition() {
    let lines = recording(20_000, 1_000);
    let sparse: &[&str] = &["-c", "app.bsky.feed.like"];
    let cases = [
        ("v2", "v2", &[][..], 1),
        ("v2", "v1", &[], 1),
        ("v2", "v2", sparse, 2),
        ("legacy", "v1", &[], 1),
        ("legacy", "v1", sparse, 2),
    ];
    in_parallel(&cases, |(kind, protocol, filter, step)| {
        let (scratch, server) = serve(&lines, &["--rate", "1x", "--server-kind", kind]);
        let host = server.address.to_string();
        // The recording plays from the first connection on.
        let mut player = TailProcess::start(&scratch.path("."), &["--host", &host]);
        player.lines(2_000);
        let flags = ["--last", "800", "-n", "2500"];
        let run = tail_of(&server).protocol(protocol).flags(&flags).flags(filter).run();
        run.ends_with(0);
        let printed = numbers(&run.lines);
        let first = printed[0];
        assert!(first > 200, "the history begins at {first}");
        let expected: Vec<u64> = (0..2_500).map(|n| first + n * step).collect();
        assert_eq!(printed, expected, "{kind} {protocol} {filter:?}");
    });
}

#[test]
fn rendering_and_limits_apply_to_the_history() {
    let (_scratch, server) = serve(&recording(300, 100_000), &[]);
    let last = |flags: &[&str]| tail_of(&server).flags(&["--last", "20"]).flags(flags).run();
    let run = last(&["--exit-when-live", "--jq", "{did, time_us, n: .commit.rkey}"]);
    run.ends_with(0);
    let names = |line: &String| serde_json::from_str::<Value>(line).unwrap()["n"].clone();
    let expected: Vec<Value> = (280..300).map(|n: u32| n.to_string().into()).collect();
    assert_eq!(run.lines.iter().map(names).collect::<Vec<_>>(), expected);
    let run = last(&["-n", "5"]);
    run.ends_with(0).says(&["5 events", "stopped at the limit"]);
    assert_eq!(numbers(&run.lines), [280, 281, 282, 283, 284]);
}

#[test]
fn an_end_in_the_past_is_where_reading_back_begins() {
    let (_scratch, server) = serve(&recording(900, 1_000_000), &[]);
    let run = tail_of(&server).flags(&["--last", "50", "--until", "-5m"]).run();
    run.ends_with(0).says(&["50 events", "stopped at --until"]);
    let printed = numbers(&run.lines);
    let first = printed[0];
    assert_eq!(printed, (first..first + 50).collect::<Vec<u64>>());
    // The last of them is five minutes old, and some seconds have passed since the server started.
    assert!((599..660).contains(&printed[49]), "{printed:?}");
}

#[test]
fn a_message_says_why_fewer_were_found() {
    let lines: Vec<String> =
        recording(600, 1_000_000).iter().map(|line| canonical(line, EventFormat::V1)).collect();
    let sizes = ["--archive-segment-events", "100", "--archive-block-events", "20"];
    let (_scratch, server) = serve(&lines, &[&sizes[..], &["--retention-events", "100"]].concat());
    let last = |flags: &[&str]| {
        tail_of(&server).archive("auto").flags(&["--exit-when-live"]).flags(flags).run()
    };
    let run = last(&["--last", "500"]);
    let why = "--last 500: found 100, and the server holds nothing older than 20";
    run.ends_with(0).says(&[why, "; --last-within all also reads the archive"]);
    assert_eq!(numbers(&run.lines), (500..600).collect::<Vec<u64>>());
    run.never_says("gap");
    let run = last(&["--last", "500", "--last-within", "all"]);
    run.ends_with(0).never_says("warning");
    assert_eq!(numbers(&run.lines), (100..600).collect::<Vec<u64>>());
    let run = last(&["--last", "500", "--last-within", "all", "-c", "app.bsky.feed.like"]);
    run.ends_with(0).says(&["--last 500: found 300 in the whole history"]);
    assert_eq!(numbers(&run.lines), (0..300).map(|n| n * 2 + 1).collect::<Vec<u64>>());
    let run = last(&["--last", "500", "--last-within", "50s"]);
    run.ends_with(0)
        .says(&["--last 500: found ", " in the last 50s; --last-within all reads further"]);
    let printed = numbers(&run.lines);
    assert!(printed.len() <= 50 && printed.ends_with(&[598, 599]), "{printed:?}");
}

#[test]
fn the_lines_are_kept_within_64_mib() {
    let text = "x".repeat(1 << 20);
    let long = |line: String| line.replace(r#""text":"event"#, &format!(r#""text":"{text}"#));
    let lines: Vec<String> = recording(80, 100_000).into_iter().map(long).collect();
    let (_scratch, server) = serve(&lines, &[]);
    let run = tail_of(&server).flags(&["--last", "80", "--exit-when-live"]).run();
    run.ends_with(0).says(&["--last 80: only the newest 63 fit into 64 MiB of memory"]);
    assert_eq!(numbers(&run.lines), (17..80).collect::<Vec<u64>>());
}

#[test]
fn an_interrupt_while_reading_back_is_a_clean_stop() {
    let server = ScriptedServer::start([vec![Accept, OnlyPongs]]);
    let started = Tail::of(&server).flags(&["--last", "10"]).start();
    let patience = std::time::Instant::now() + PATIENCE;
    while server.requests().is_empty() {
        assert!(std::time::Instant::now() < patience, "no connection came");
        std::thread::yield_now();
    }
    signal(started.child.id(), "INT");
    let run = started.finish();
    run.ends_with(0).prints([""; 0]).says(&["stopped by Ctrl-C"]);
}

#[test]
fn nothing_is_saved_and_a_saved_position_is_kept() {
    let (scratch, server) = serve(&recording(300, 100_000), &[]);
    let host = server.address.to_string();
    let flags = ["--host", &host, "--exit-when-live"];
    let last = || tail(&scratch.path("."), &[&flags[..], &["--last", "10"]].concat());
    assert_eq!((last().code(), scratch.path("state.db").exists()), (0, false));
    let saved = ["--cursor", "auto", "--from", "oldest", "-n", "100"];
    let run = tail(&scratch.path("."), &[&flags[..], &saved].concat());
    assert_eq!(numbers(&run.rest), (0..100).collect::<Vec<u64>>());
    assert_eq!(numbers(&last().rest), (290..300).collect::<Vec<u64>>());
    let run = tail(&scratch.path("."), &[&flags[..], &["--cursor", "auto", "-n", "1"]].concat());
    assert_eq!(numbers(&run.rest), [100]);
}

#[test]
fn a_contradiction_ends_with_2_before_any_connection() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = server.local_addr().unwrap().to_string();
    for (flags, message) in [
        (&["--cursor", "-15m"][..], "cannot be used with"),
        (&["--since", "15m"], "cannot be used with"),
        (&["--consumer", "c"], "cannot be used with"),
        (&["--from", "oldest"], "cannot be used with"),
        (
            &["-o", "x.ndjson"],
            "--last: it is for reading on stdout, and saves no position with which --output",
        ),
        (
            &["--last-within", "soon"],
            "\"soon\" is not a duration: write a number with s, m, h or d, such as 30m or 6h, or all",
        ),
    ] {
        Tail::of_host(&host)
            .flags(&["--last", "10"])
            .flags(flags)
            .run()
            .ends_with(2)
            .says(&[message]);
    }
    for (flags, message) in [
        (&["--last", "0"][..], "0 is out of range: write 1 to 100000"),
        (&["--last", "100_001"], "100_001 is out of range: write 1 to 100000"),
        (
            &["--last-within", "1h"],
            "--last-within: this bounds how far back --last reads: add --last N",
        ),
    ] {
        Tail::of_host(&host).flags(flags).run().ends_with(2).says(&[message]);
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "a connection was made");
}
