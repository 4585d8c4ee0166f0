//! `--markers`: a filtered run also takes the events without which deletes can't be honoured later,
//! over every protocol and from the archive.

use serde_json::{Value, json};

use crate::history::{canonical, in_parallel};
use crate::support::run::Tail;
use crate::support::tail::tail;
use crate::support::{FIRST_US, Scratch, ServeProcess};
use skytail::event::format::EventFormat;

/// The flags of a narrow filter that takes creates of a few posts.
const NARROW: [&str; 9] = [
    "-c",
    "app.bsky.feed.post",
    "--operation",
    "create",
    "--grep",
    "text 1",
    "--sample",
    "1/2",
    "--markers",
];

/// Returns `count` events of five accounts: posts and likes that are created, updated and deleted,
/// and after every six an identity, account or sync event.
fn recording(count: u64) -> Vec<String> {
    (0..count).map(|n| canonical(&event(n).to_string(), EventFormat::V1)).collect()
}

fn event(n: u64) -> Value {
    let did = format!("did:plc:{}", n % 5);
    let (time_us, cursor) = (FIRST_US + n * 1_000, 100 + n);
    let time = "2026-07-04T14:38:08.000Z";
    let mut event = json!({"did": did, "time_us": time_us, "cursor": cursor});
    let (kind, body) = match n % 21 {
        6 => ("identity", json!({"did": did, "handle": "x.example", "seq": n, "time": time})),
        13 => (
            "account",
            json!({"active": false, "did": did, "seq": n, "status": "deleted", "time": time}),
        ),
        20 => (
            "sync",
            json!({"blocks": {"$bytes": "OqJl"}, "did": did, "rev": "3mptbypluud2a", "seq": n, "time": time}),
        ),
        _ => ("commit", commit(n)),
    };
    event["kind"] = json!(kind);
    event[kind] = body;
    event
}

fn commit(n: u64) -> Value {
    let collection = ["app.bsky.feed.post", "app.bsky.feed.like"][usize::from(n % 3 == 2)];
    let operation = ["create", "create", "update", "delete"][n as usize % 4];
    let mut commit = json!({"rev": "3mptbypluud2a", "operation": operation, "collection": collection, "rkey": n.to_string()});
    if operation != "delete" {
        commit["record"] = json!({"$type": collection, "text": format!("text {n}")});
    }
    commit
}

/// Returns whether an event is a marker of a run that wants posts.
fn is_marker(event: &Value) -> bool {
    let commit = &event["commit"];
    ["account", "sync"].contains(&event["kind"].as_str().unwrap())
        || (commit["operation"] == "delete" && commit["collection"] == "app.bsky.feed.post")
}

/// Returns whether the filter of [`NARROW`] takes an event without its sample.
fn may_be_wanted(event: &Value) -> bool {
    let (commit, text) = (&event["commit"], event["commit"]["record"]["text"].as_str());
    commit["operation"] == "create"
        && commit["collection"] == "app.bsky.feed.post"
        && text.is_some_and(|text| text.contains("text 1"))
}

/// Checks that `printed` has every marker of `recorded` that `has` accepts, and nothing else but
/// wanted events.
#[track_caller]
fn check(printed: &[String], recorded: &[String], has: fn(&Value) -> bool) {
    let parse = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let markers = |lines: &[String]| -> Vec<Value> {
        lines.iter().map(parse).filter(|event| is_marker(event) && has(event)).collect()
    };
    assert!(markers(recorded).len() > 20);
    assert_eq!(markers(printed), markers(recorded));
    let others: Vec<Value> = printed.iter().map(parse).filter(|e| !is_marker(e)).collect();
    let wanted = recorded.iter().map(parse).filter(may_be_wanted).count();
    assert!(others.iter().all(may_be_wanted) && (1..wanted).contains(&others.len()), "{others:?}");
}

#[test]
fn every_protocol_and_the_archive_send_the_same_markers() {
    let scratch = Scratch::new();
    let recorded = recording(1_300);
    let recording = scratch.recording(&recorded);
    let stream = ServeProcess::start(&recording, &[]);
    let sizes = ["--archive-segment-events", "200", "--archive-block-events", "20"];
    let archive =
        ServeProcess::start(&recording, &[&sizes[..], &["--retention-events", "200"]].concat());
    let cases = [("v1", &stream), ("v2", &stream), ("v2", &archive)];
    in_parallel(&cases, |(protocol, server)| {
        let home = Scratch::new();
        let host = server.address.to_string();
        let common = ["--host", &*host, "--protocol", protocol, "--cursor", "oldest", "-e"];
        let more: &[&str] = &["--max-message-size", "300", "--exclude", "app.bsky.feed.repost"];
        let ended = tail(&home.path(""), &[&common[..], &NARROW, more].concat());
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        let printed = crate::history::without_line_feeds(ended.rest);
        let warnings = ended.stderr.matches("v1 has no sync events").count();
        match *protocol {
            "v1" => check(&printed, &recorded, |event| event["kind"] != "sync"),
            _ => check(&printed, &recorded, |_| true),
        }
        assert_eq!(warnings, usize::from(*protocol == "v1"), "{}", ended.stderr);
    });
}

#[test]
fn markers_do_not_count_for_the_limit() {
    let scratch = Scratch::new();
    let recorded = recording(200);
    let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
    let host = server.address.to_string();
    let creates = ["-c", "app.bsky.feed.post", "--operation", "create", "--markers", "-n", "30"];
    for format in ["ndjson", "pretty"] {
        let home = Scratch::new();
        let common = ["--host", &*host, "--cursor", "oldest", "--format", format];
        let ended = tail(&home.path(""), &[&common[..], &creates].concat());
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        let text = ended.rest.concat();
        let events = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let events: Vec<Value> = events.map(Result::unwrap).collect();
        let markers = events.iter().filter(|event| is_marker(event)).count();
        assert_eq!(events.len() - markers, 30, "{format}");
        assert!(markers > 10 && !is_marker(events.last().unwrap()), "{format}");
    }
}

#[test]
fn markers_keep_the_accounts() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&recording(200)), &[]);
    let run = Tail::of_host(&server.address.to_string())
        .flags(&["--cursor", "oldest", "-e", "-d", "did:plc:3"])
        .flags(&NARROW)
        .run();
    run.ends_with(0);
    assert!(run.lines.len() > 10);
    assert!(run.lines.iter().all(|line| line.starts_with(r#"{"did":"did:plc:3""#)));
}

#[test]
fn outputs_from_which_nothing_can_be_removed_are_refused_with_markers() {
    for (flags, words) in [
        (&["--jq", ".did"][..], "--jq"),
        (&["--jq", ".did", "-r"], "--jq"),
        (&["--format", "csv", "--fields", "did"], "a format other than JSON"),
        (&["--format", "text"], "a format other than JSON"),
        (&["-o", "x.tsv", "--fields", "did"], "a format other than JSON"),
    ] {
        let run =
            Tail::of_host("127.0.0.1:1").flags(&["-c", "a.b.c", "--markers"]).flags(flags).run();
        run.ends_with(2).says(&["--markers", words, "-o FILE.ndjson"]);
    }
}

#[test]
fn a_new_file_without_account_deletions_is_reported_once() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&recording(200)), &[]);
    let host = server.address.to_string();
    let words = "account deletions will not be in the file";
    let run = |name: &str, flags: &[&str]| {
        let file = scratch.path(name);
        let common = ["--host", &*host, "--from", "oldest", "-e", "-o", file.to_str().unwrap()];
        let ended = tail(&scratch.path(""), &[&common[..], flags].concat());
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        ended.stderr
    };
    let posts = ["-c", "app.bsky.feed.post"];
    let first = run("a.ndjson", &posts);
    assert!(first.contains(words) && first.contains("add --markers"), "{first}");
    assert!(!run("a.ndjson", &posts).contains(words));
    assert!(!run("b.ndjson", &[&posts[..], &["-k", "commit,account"]].concat()).contains(words));
    assert!(!run("c.ndjson", &["-k", "commit"]).contains(words));
    let with = run("d.ndjson", &[&posts[..], &["--markers"]].concat());
    assert!(!with.contains(words) && with.contains("app.bsky.feed.post+markers@"), "{with}");
    let table = run("e.csv", &[&posts[..], &["--fields", "did"]].concat());
    assert!(table.contains("keep the events in an .ndjson file with --markers"), "{table}");
}
