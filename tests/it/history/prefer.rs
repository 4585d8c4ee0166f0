//! `--archive prefer`: a long replay that the stream could serve is read from the archive, and
//! loses nothing but superseded events.

use std::collections::{HashMap, HashSet};

use crate::history::{FIRST_SEQ, Fixture, assert_same, in_parallel, without_line_feeds};
use crate::support::{FIRST_US, Scratch, events};

/// A segment has ten blocks. The replay of a few thousand events takes longer than ten seconds.
const SERVER: [&str; 6] =
    ["--archive-segment-events", "500", "--archive-block-events", "50", "--v2-send-rate", "300"];

const FLAGS: [&str; 3] = ["--rewind", "20ms", "-v"];

/// The start of a replay that `--archive prefer` may read from the archive.
const PREFER: [&str; 4] = ["--cursor", "100", "--archive", "prefer"];

const SWITCHED: &str = "reading the archive, which may be faster";

/// Prints `count` events; returns them and the log.
fn print(fixture: &Fixture, count: usize, flags: &[&str]) -> (Vec<String>, String) {
    let count = count.to_string();
    let host = ["--host", &*fixture.host, "--protocol", "v2", "-n", &count];
    let home = Scratch::new();
    let all = [&host[..], &FLAGS, flags].concat();
    let ended = crate::support::tail::tail(&home.path(""), &all);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
    (without_line_feeds(ended.rest), ended.stderr)
}

// Guards INV-1.
#[test]
fn a_long_replay_is_read_from_the_archive_and_the_rest_from_the_stream() {
    let fixture = Fixture::of(&events(6_550, true), &SERVER);
    let (printed, log) = print(&fixture, 6_550, &PREFER);
    assert!(log.contains(SWITCHED), "{log}");
    assert!(log.contains("continuing with the live stream"), "{log}");
    assert_same(&printed, &fixture.recorded);
}

#[test]
fn a_short_replay_and_one_of_recent_events_stay_with_the_stream() {
    // At 300 events a second, what is sealed would take less than ten seconds.
    let short = Fixture::of(&events(600, true), &SERVER);
    // The last event happens now.
    let recent = Fixture::of(&events(6_000, true), &[&SERVER[..], &["--restamp"]].concat());
    in_parallel(&[(short, 550), (recent, 550)], |(fixture, count)| {
        let (printed, log) = print(fixture, *count, &PREFER);
        assert!(!log.contains("reading the archive"), "{log}");
        assert_eq!(printed.len(), *count);
    });
}

#[test]
fn an_archive_that_wants_a_key_leaves_the_stream_alone() {
    let home = Scratch::new();
    let file = home.path("key");
    std::fs::write(&file, "secret\n").unwrap();
    let key = ["--api-key-file", file.to_str().unwrap()];
    let fixture = Fixture::of(&events(6_000, true), &[&SERVER[..], &key].concat());
    let (printed, log) = print(&fixture, 500, &PREFER);
    assert_eq!(log.matches("staying with the live stream").count(), 1, "{log}");
    assert_same(&printed, &fixture.recorded[..500]);
}

/// Returns events of records that are created, updated and deleted, of accounts that are deleted
/// and repositories that diverge.
fn changing(count: u64) -> Vec<String> {
    let commit = |i: u64, operation: &str, record: &str| {
        format!(
            r#""kind":"commit","commit":{{"rev":"3mptbyp{i:06}","operation":"{operation}","collection":"app.bsky.feed.post","rkey":"{}"{record}}}"#,
            i / 2 % 37
        )
    };
    let event = |i: u64| {
        let did = format!("did:plc:{}", i % 5);
        let record = format!(r#","record":{{"text":"event {i}"}},"cid":"bafyrei{i}""#);
        let relayed = format!(r#""did":"{did}","seq":{i},"time":"2026-07-04T14:38:08.000Z""#);
        let body = match i % 50 {
            11 => format!(
                r#""kind":"account","account":{{"active":false,{relayed},"status":"deleted"}}"#
            ),
            23 => format!(
                r#""kind":"account","account":{{"active":false,{relayed},"status":"suspended"}}"#
            ),
            37 => format!(
                r#""kind":"sync","sync":{{"blocks":{{"$bytes":"OqJl"}},"rev":"3mptbyp{i:06}",{relayed}}}"#
            ),
            _ => match i % 7 {
                0..=3 => commit(i, "create", &record),
                4..=5 => commit(i, "update", &record),
                _ => commit(i, "delete", ""),
            },
        };
        let (time_us, seq) = (FIRST_US + i * 1_000, FIRST_SEQ + i);
        format!(r#"{{"did":"{did}","time_us":{time_us},"cursor":{seq},{body}}}"#)
    };
    (0..count).map(event).collect()
}

/// Returns which of the first `sealed` events a later one of them supersedes
/// (protocol/jetstream-v2-archive.md §7).
fn superseded(recorded: &[String], sealed: usize) -> Vec<bool> {
    let (mut records, mut accounts) = (HashMap::new(), HashMap::new());
    let mut superseded = vec![false; recorded.len()];
    for (i, line) in recorded.iter().enumerate().take(sealed) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let did = event["did"].as_str().unwrap().to_owned();
        let commit = &event["commit"];
        let record = (did.clone(), commit["rkey"].as_str().unwrap_or_default().to_owned());
        let operation = commit["operation"].as_str().unwrap_or_default();
        let is_wiped = event["kind"] == "sync" || event["account"]["status"] == "deleted";
        if is_wiped {
            accounts.remove(&did).into_iter().flatten().for_each(|i: usize| superseded[i] = true);
        } else if matches!(operation, "update" | "delete") {
            records.remove(&record).into_iter().flatten().for_each(|i: usize| superseded[i] = true);
        }
        if matches!(operation, "create" | "update") {
            records.entry(record).or_insert_with(Vec::new).push(i);
            accounts.entry(did).or_insert_with(Vec::new).push(i);
        }
    }
    superseded
}

const COMPACT: &[&str] = &["--archive-compact"];

/// The archive alone: all that is superseded within it is gone, all else is there.
#[test]
fn a_compacted_archive_lacks_superseded_events_and_nothing_else() {
    let sizes = [&SERVER[..4], &["--retention-events", "500"], COMPACT].concat();
    let fixture = Fixture::of(&changing(3_250), &sizes);
    let superseded = superseded(&fixture.recorded, 3_000);
    let kept =
        fixture.recorded.iter().zip(&superseded).filter(|(_, is_superseded)| !**is_superseded);
    let kept: Vec<String> = kept.map(|(line, _)| line.clone()).collect();
    assert!(kept.len() < 2_000, "{}", kept.len());
    let (printed, _) = print(&fixture, kept.len(), &["--cursor", "oldest"]);
    assert_same(&printed, &kept);
}

/// A run that ends within a block of the archive, and one that continues with the stream, which also
/// has what the archive omits.
// Guards INV-4.
#[test]
fn a_superseded_event_does_not_follow_the_event_that_supersedes_it() {
    let sizes = [&SERVER[..4], COMPACT].concat();
    let fixture = Fixture::of(&changing(3_250), &sizes);
    let home = Scratch::new();
    let run = |cursor: &str, count: &str| {
        let flags = ["--host", &*fixture.host, "--protocol", "v2", "--consumer", "c"];
        let flags = [&flags[..], &["--cursor", cursor, "-n", count]].concat();
        let ended = crate::support::tail::tail(&home.path(""), &flags);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        without_line_feeds(ended.rest)
    };
    let first = run("oldest", "333");
    let last = fixture.recorded.iter().position(|line| Some(line) == first.last()).unwrap();
    let superseded = superseded(&fixture.recorded, 3_000);
    let before = (last - last % 50).max(1)..last;
    assert!(superseded[before].iter().any(|is_superseded| *is_superseded));
    assert_same(&run("auto", "500"), &fixture.recorded[last + 1..last + 501]);
}

// Guards INV-1.
#[test]
fn auto_prints_superseded_events_and_prefer_loses_nothing_else() {
    let sizes = [&SERVER[..4], COMPACT].concat();
    let all = Fixture::of(&changing(3_250), &sizes);
    let (printed, _) = print(&all, 3_250, &["--cursor", "100", "--archive", "auto"]);
    assert_same(&printed, &all.recorded);

    let fixture = Fixture::of(&changing(6_550), &[&SERVER[..], COMPACT].concat());
    let superseded = superseded(&fixture.recorded, 6_500);
    let last = fixture.recorded.last().unwrap().clone();
    let home = Scratch::new();
    let flags = [&FLAGS[..], &["--host", &*fixture.host, "--protocol", "v2"]].concat();
    let flags = [&flags[..], &PREFER].concat();
    let mut run = crate::support::tail::TailProcess::start(&home.path(""), &flags);
    let mut printed = Vec::new();
    while printed.last() != Some(&last) {
        printed.push(run.line().unwrap().trim_end().to_owned());
    }
    run.signal("TERM");
    let ended = run.wait();
    assert!(ended.stderr.contains(SWITCHED), "{}", ended.stderr);
    let lines: HashSet<&String> = printed.iter().collect();
    assert_eq!(lines.len(), printed.len(), "an event came twice");
    // In order, and complete but for superseded events.
    let expected: Vec<String> = fixture
        .recorded
        .iter()
        .zip(&superseded)
        .filter(|(line, is_superseded)| !**is_superseded || lines.contains(line))
        .map(|(line, _)| line.clone())
        .collect();
    assert_same(&printed, &expected);
    assert!(printed.len() < fixture.recorded.len() - 1_000, "{}", printed.len());
}
