//! A legacy server loses events at the switch from replay to live; a resume through the lossless
//! join does not (protocol/jetstream-v1.md §4.2).

use std::collections::HashSet;

use crate::support::tail::tail;
use crate::support::{FIRST_US, Scratch, ServeProcess};

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
/// recording. Returns the missing events, and those printed twice or out of order.
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
fn a_resume_joins_the_live_stream_without_loss() {
    assert_eq!(stopped_and_resumed(&[], |_| true), (vec![], 0));
}

// Guards INV-1.
#[test]
fn a_sparse_resume_joins_the_live_stream_without_loss() {
    let extra = ["--did", "did:plc:rare"];
    assert_eq!(stopped_and_resumed(&extra, |i| i.is_multiple_of(SPARSE_EVERY)), (vec![], 0));
}

/// Without `--restamp` the recording plays in its own past.
#[test]
fn a_server_whose_clock_is_months_late_is_joined_without_loss() {
    assert_eq!(stopped_and_resumed_at(&[], &[], |_| true), (vec![], 0));
}

/// If this fails, the imitated server no longer loses events, and the tests above prove nothing.
#[test]
fn a_single_connection_loses_events_at_the_cutover() {
    let (missing, _) = stopped_and_resumed(&["--join", "single"], |_| true);
    assert_ne!(missing, Vec::<u64>::new());
}

/// The whole range lies closer to the tip than a single replay may come.
#[test]
fn a_server_that_holds_two_seconds_is_read_from_its_oldest_event() {
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

const RARE: u64 = 7;

/// Events `step_us` apart. The rare account's are the first, those of one commit at `at`, and the
/// last.
fn sparse(count: u64, step_us: u64, at: u64) -> Vec<String> {
    let event = |i: u64| {
        let is_rare = i == 0 || (at..at + RARE).contains(&i) || i == count - 1;
        let did = if is_rare { "did:plc:rare" } else { "did:plc:often" };
        format!(
            r#"{{"did":"{did}","time_us":{},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"{i}","record":{{"$type":"app.bsky.feed.post","text":"event {i}"}},"cid":"bafyrei{i}"}}}}"#,
            FIRST_US + i * step_us,
        )
    };
    (0..count).map(event).collect()
}

fn rare(count: u64, at: u64) -> Vec<u64> {
    (at..at + RARE).chain([count - 1]).collect()
}

/// A server that scans 12,000 events for six seconds, sends none of them and still answers pings;
/// then the wanted events come.
fn slow_server(scratch: &Scratch) -> ServeProcess {
    let path = scratch.recording(&sparse(12_000, 2_000, 11_900));
    let flags = ["--server-kind", "legacy", "--restamp", "--legacy-scan-rate", "2000"];
    ServeProcess::start(&path, &flags)
}

// Guards INV-1.
#[test]
fn a_silent_replay_is_read_to_its_end_while_the_server_scans() {
    let scratch = Scratch::new();
    let server = slow_server(&scratch);
    let host = server.address.to_string();
    let common = ["--host", &host, "--consumer", "c", "--did", "did:plc:rare"];
    let directory = scratch.path("");
    let start = ["--cursor", "oldest", "--join", "single", "-n", "1"];
    let first = tail(&directory, &[&common[..], &start].concat());
    assert_eq!(rkeys(&first.rest), [0], "{}", first.stderr);
    let resume = ["--cursor", "auto", "-n", "8", "--timeout", "40s"];
    let ended = tail(&directory, &[&common[..], &resume].concat());
    assert_eq!(rkeys(&ended.rest), rare(12_000, 11_900), "{}", ended.stderr);
}

fn assert_complete(flags: &[&str], log: &str) {
    let scratch = Scratch::new();
    let server = slow_server(&scratch);
    let host = server.address.to_string();
    let common = ["--host", &host, "--did", "did:plc:rare", "--timeout", "60s"];
    let ended = tail(&scratch.path(""), &[&common[..], flags].concat());
    let mut wanted = vec![0];
    wanted.extend(rare(12_000, 11_900));
    assert_eq!(rkeys(&ended.rest), wanted, "{}", ended.stderr);
    assert!(ended.stderr.contains(log), "{}", ended.stderr);
}

#[test]
fn the_live_tip_is_not_reached_while_the_server_scans() {
    assert_complete(&["--cursor", "oldest", "--exit-when-live", "--join", "single"], "live tip");
    assert_complete(&["--cursor", "oldest", "--exit-when-live"], "live tip");
}

/// The server plays ten seconds a second, months ago: only its own live stream shows its tip. The
/// consumer is fifty seconds behind the tip and first replays alone.
// Guards INV-1.
#[test]
fn a_sparse_resume_from_far_back_joins_the_live_stream_without_loss() {
    let scratch = Scratch::new();
    let path = scratch.recording(&sparse(18_000, 10_000, 6_000));
    let flags = ["--server-kind", "legacy", "--rate", "10x", "--legacy-scan-rate", "1500"];
    let server = ServeProcess::start(&path, &flags);
    let host = server.address.to_string();
    let common = ["--host", &host, "--consumer", "c", "--did", "did:plc:rare"];
    let directory = scratch.path("");
    let first = tail(&directory, &[&common[..], &["-n", "1"]].concat());
    assert_eq!(rkeys(&first.rest), [0], "{}", first.stderr);
    let clock = tail(&directory, &["--host", &host, "--consumer", "clock", "-n", "5500"]);
    assert_eq!(clock.rest.len(), 5_500, "{}", clock.stderr);
    let resume = ["--cursor", "auto", "-n", "8", "--timeout", "60s", "-v"];
    let ended = tail(&directory, &[&common[..], &resume].concat());
    assert_eq!(rkeys(&ended.rest), rare(18_000, 6_000), "{}", ended.stderr);
}

/// The server's live stream begins with the whole recording, long before the cursor: its first
/// event does not show the tip, and is no proof that the replay is over.
// Guards INV-1.
#[test]
fn a_live_stream_older_than_the_cursor_proves_no_end() {
    let scratch = Scratch::new();
    // Three minutes up to now, and rare events 100 s and 80 s ago.
    let path = scratch.recording(&sparse(18_000, 10_000, 8_000));
    let server = ServeProcess::start(&path, &["--server-kind", "legacy", "--restamp"]);
    let host = server.address.to_string();
    let flags = ["--host", &host, "--protocol", "v1", "--did", "did:plc:rare"];
    let all = rare(18_000, 8_000);
    let cases = [(&["--until", "-30s"][..], &all[..7]), (&["--exit-when-live"], &all)];
    for (end, wanted) in cases {
        let span = [&flags[..], &["--cursor", "-150s", "--timeout", "40s"], end].concat();
        let ended = tail(&scratch.path(""), &span);
        assert_eq!(rkeys(&ended.rest), wanted, "{end:?}: {}", ended.stderr);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
    }
}
