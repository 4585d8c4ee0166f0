//! A legacy server loses events where a replay meets its live stream; a resume through the
//! lossless join does not (protocol/jetstream-v1.md §4.2).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashSet;

use support::tail::tail;
use support::{FIRST_US, Scratch, ServeProcess};

const EVENTS: u64 = 5_000;
const SPARSE_EVERY: u64 = 97;

/// Ten seconds of events, 500 a second, one in a hundred of a rare account.
fn recording() -> Vec<String> {
    let event = |i: u64| {
        let did = if i.is_multiple_of(SPARSE_EVERY) { "did:plc:rare" } else { "did:plc:often" };
        format!(
            r#"{{"did":"{did}","time_us":{},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"{i}","record":{{"$type":"app.bsky.feed.post","text":"event {i}"}},"cid":"bafyrei{i}"}}}}"#,
            FIRST_US + i * 2_000,
        )
    };
    (0..EVENTS).map(event).collect()
}

fn rkeys(lines: &[String]) -> Vec<u64> {
    let rkey = |line: &String| -> u64 {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["commit"]["rkey"].as_str().unwrap().parse().unwrap()
    };
    lines.iter().map(rkey).collect()
}

/// Tails from the first event on, stops for a moment, resumes, and reads to the end of the
/// recording. Returns the events missing, and those printed twice or out of order.
fn stopped_and_resumed(extra: &[&str], wanted: impl Fn(u64) -> bool) -> (Vec<u64>, usize) {
    stopped_and_resumed_at(&["--restamp"], extra, wanted)
}

fn stopped_and_resumed_at(
    clock: &[&str],
    extra: &[&str],
    wanted: impl Fn(u64) -> bool,
) -> (Vec<u64>, usize) {
    let scratch = Scratch::new();
    let path = scratch.recording(&recording());
    let legacy = ["--server-kind", "legacy", "--rate", "1x"];
    let server = ServeProcess::start(&path, &[&legacy[..], clock].concat());
    let host = server.address.to_string();
    let common = [&["--host", &host, "--consumer", "c"][..], extra].concat();
    let wanted: Vec<u64> = (0..EVENTS).filter(|i| wanted(*i)).collect();
    let (first, all) = ((wanted.len() / 8).to_string(), wanted.len());

    let directory = scratch.path("");
    let mut printed = rkeys(&tail(&directory, &[&common[..], &["-n", &first]].concat()).rest);
    let left = (all - printed.len()).to_string();
    let resume = ["--cursor", "auto", "-n", &left, "--timeout", "20s"];
    let ended = tail(&directory, &[&common[..], &resume].concat());
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    printed.extend(rkeys(&ended.rest));

    let seen: HashSet<u64> = printed.iter().copied().collect();
    let missing = wanted.into_iter().filter(|i| !seen.contains(i)).collect();
    let disorder = printed.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    (missing, disorder)
}

#[test]
fn a_resume_meets_the_live_stream_without_loss() {
    assert_eq!(stopped_and_resumed(&[], |_| true), (vec![], 0));
}

#[test]
fn a_sparse_resume_meets_the_live_stream_without_loss() {
    let extra = ["--did", "did:plc:rare"];
    assert_eq!(stopped_and_resumed(&extra, |i| i.is_multiple_of(SPARSE_EVERY)), (vec![], 0));
}

/// Without `--restamp` the recording plays in its own past.
#[test]
fn a_server_whose_clock_is_months_behind_is_met_without_loss() {
    assert_eq!(stopped_and_resumed_at(&[], &[], |_| true), (vec![], 0));
}

/// If this fails the imitated server has become too kind, and the tests above prove nothing.
#[test]
fn on_a_single_connection_the_server_does_lose_events() {
    let (missing, _) = stopped_and_resumed(&["--join", "single"], |_| true);
    assert_ne!(missing, Vec::<u64>::new());
}

/// All of it lies nearer to the tip than a replay alone may come.
#[test]
fn a_server_that_holds_two_seconds_is_read_from_its_oldest_event_on() {
    let scratch = Scratch::new();
    let events = &recording()[..1_000];
    let path = scratch.recording(events);
    let server = ServeProcess::start(&path, &["--server-kind", "legacy"]);
    let host = server.address.to_string();
    let common = ["--host", &host, "--cursor", "oldest", "-n", "1000", "--timeout", "30s"];
    let ended = tail(&scratch.path(""), &common);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(rkeys(&ended.rest), (0..1_000).collect::<Vec<_>>());
}
