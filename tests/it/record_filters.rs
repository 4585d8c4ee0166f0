//! `--exclude`, `--lang`, `--grep` and `--sample`: rules that no server knows. They choose the same
//! events over every protocol, and what they drop moves the position.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::history::{canonical, in_parallel};
use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Hang, OnlyPongs, Send, Sync};
use crate::support::scripted::{ScriptedServer, texts};
use crate::support::{FIRST_US, Scratch, ServeProcess, isolate_environment};
use skytail::event::format::EventFormat;

/// The first seq of [`recording`].
const FIRST_SEQ: u64 = 100;

/// Returns `count` events: creates, updates and deletes of posts and likes with texts in several
/// languages, and an identity event after every six.
fn recording(count: u64) -> Vec<String> {
    (0..count).map(|n| event(n).to_string()).collect()
}

fn event(n: u64) -> Value {
    let did = format!("did:plc:{}", n % 5);
    let (time_us, cursor) = (FIRST_US + n * 1_000, FIRST_SEQ + n);
    if n % 7 == 6 {
        let identity = json!({"did": did, "handle": "x.example", "seq": n, "time": "2026-07-04T14:38:08.000Z"});
        return json!({"did": did, "time_us": time_us, "cursor": cursor, "kind": "identity", "identity": identity});
    }
    let collection = ["app.bsky.feed.post", "app.bsky.feed.like"][usize::from(n % 3 == 2)];
    let operation = ["create", "create", "update", "delete"][n as usize % 4];
    let mut commit = json!({
        "rev": "3mptbypluud2a", "operation": operation, "collection": collection,
        "rkey": (n / 4).to_string(),
    });
    if operation != "delete" {
        let langs = [json!(["de"]), json!(["en", "de-AT"]), json!(["en"]), json!(null)];
        let text = ["ein \"Haus\"\n", "a house", "k\u{f6}ln", "none"][n as usize % 4];
        commit["record"] = json!({"$type": collection, "langs": langs[n as usize / 4 % 4], "text": text,
            "embed": {"alt": [format!("picture {n}")]}});
        commit["cid"] = json!("bafyrei");
    }
    json!({"did": did, "time_us": time_us, "cursor": cursor, "kind": "commit", "commit": commit})
}

/// A set of flags, and whether a JSON library and the rules of the documentation accept an event.
type Case = (&'static [&'static str], fn(&Value) -> bool);

const CASES: [Case; 8] = [
    (&["--exclude", "app.bsky.feed.like"], |e| e["commit"]["collection"] != "app.bsky.feed.like"),
    (&["--lang", "DE"], |e| has_language(e, "de")),
    (&["--lang", "en,de-at"], |e| has_language(e, "en") || has_language(e, "de-at")),
    (&["--grep", r#"^ein "Haus"\s$"#], |e| e["commit"]["record"]["text"] == "ein \"Haus\"\n"),
    (&["--grep", "k\u{f6}ln", "-k", "commit,identity"], |e| {
        e["kind"] == "identity" || e["commit"]["record"]["text"] == "k\u{f6}ln"
    }),
    (&["--sample", "1/4"], |e| in_sample(e, 4, false)),
    (&["--sample", "1/2", "--sample-by", "did"], |e| in_sample(e, 2, true)),
    (
        &[
            "--lang",
            "de",
            "--grep",
            "picture",
            "--sample",
            "1/2",
            "--exclude",
            "app.bsky.feed.like",
        ],
        |e| {
            has_language(e, "de")
                && in_sample(e, 2, false)
                && e["commit"]["collection"] == "app.bsky.feed.post"
        },
    ),
];

fn has_language(event: &Value, range: &str) -> bool {
    let tags = event["commit"]["record"]["langs"].as_array();
    let prefix = format!("{range}-");
    tags.into_iter().flatten().filter_map(Value::as_str).any(|tag| {
        let tag = tag.to_lowercase();
        tag == range || tag.starts_with(&prefix)
    })
}

fn in_sample(event: &Value, one_in: u64, by_did: bool) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (did, commit) = (text(&event["did"]), &event["commit"]);
    let name = match event["kind"] == "commit" && !by_did {
        true => format!("at://{did}/{}/{}", text(&commit["collection"]), text(&commit["rkey"])),
        false => did,
    };
    let hash = Sha256::digest(name.as_bytes());
    u64::from_be_bytes(hash[..8].try_into().unwrap()) <= u64::MAX / one_in
}

/// Returns the seqs of printed lines in either format.
fn seqs<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Vec<u64> {
    let parse = |line: T| serde_json::from_str::<Value>(line.as_ref()).unwrap();
    let events = lines.into_iter().map(parse);
    events.map(|e| e["cursor"].as_u64().or(e["seq"].as_u64()).unwrap()).collect()
}

fn expected(lines: &[String], accepts: fn(&Value) -> bool) -> Vec<u64> {
    let accepted = lines.iter().filter(|line| accepts(&serde_json::from_str(line).unwrap()));
    let seqs = seqs(accepted);
    assert!(!seqs.is_empty() && seqs.len() < lines.len(), "the rule must accept a part");
    seqs
}

#[test]
fn every_protocol_and_both_formats_print_the_same_events() {
    let scratch = Scratch::new();
    let lines = recording(200);
    let server = ServeProcess::start(&scratch.recording(&lines), &[]);
    let host = server.address.to_string();
    for (protocol, shape) in [("v1", "v1"), ("v2", "v1"), ("v2", "native")] {
        in_parallel(&CASES, |(flags, accepts)| {
            let run = Tail::of_host(&host)
                .protocol(protocol)
                .flags(&["--cursor", "oldest", "--exit-when-live", "--shape", shape])
                .flags(flags)
                .run();
            run.ends_with(0);
            let wanted = expected(&lines, *accepts);
            assert_eq!(seqs(&run.lines), wanted, "{protocol} {shape} {flags:?}");
        });
    }
}

#[test]
fn the_archive_has_the_same_events() {
    let scratch = Scratch::new();
    let lines: Vec<String> =
        recording(400).iter().map(|line| canonical(line, EventFormat::V1)).collect();
    let flags = ["--archive-segment-events", "100", "--archive-block-events", "20"];
    let retention = ["--retention-events", "100"];
    let server =
        ServeProcess::start(&scratch.recording(&lines), &[&flags[..], &retention].concat());
    for shape in ["v1", "native"] {
        in_parallel(&CASES, |(flags, accepts)| {
            let run = Tail::of_host(&server.address.to_string())
                .protocol("v2")
                .archive("auto")
                .flags(&["--cursor", "oldest", "--exit-when-live", "--shape", shape])
                .flags(flags)
                .run();
            run.ends_with(0);
            assert_eq!(seqs(&run.lines), expected(&lines, *accepts), "{shape} {flags:?}");
        });
    }
}

#[test]
fn a_second_server_continues_with_the_same_sample() {
    let lines = recording(200);
    let renumbered: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(n, line)| {
            line.replace(&format!(r#""cursor":{}"#, 100 + n), &format!(r#""cursor":{}"#, 7_000 + n))
        })
        .collect();
    let first = ScriptedServer::start([vec![Accept, Send(texts(&lines[..120])), Sync]]);
    let second = ScriptedServer::start([vec![Accept, Send(texts(&renumbered)), Hang]]);
    let wanted = expected(&lines, |e| in_sample(e, 3, false));
    let count = wanted.len().to_string();
    let run =
        Tail::of(&first).flags(&["--host", &second.host(), "--sample", "1/3", "-n", &count]).run();
    run.ends_with(0);
    let as_first = |seq: u64| if seq >= 7_000 { seq - 7_000 + FIRST_SEQ } else { seq };
    let printed: Vec<u64> = seqs(&run.lines).into_iter().map(as_first).collect();
    assert_eq!(printed, wanted);
}

/// Guards against a position that stays behind what the rules drop: a quiet search would start
/// further and further back.
#[test]
fn dropped_events_move_the_position_and_the_name_tells_the_rules() {
    let (scratch, lines) = (Scratch::new(), recording(200));
    let server = ScriptedServer::start([
        vec![Accept, Send(texts(&lines[..100])), OnlyPongs],
        vec![Accept, Send(texts(&lines[99..])), Sync],
    ]);
    let tail = || {
        let rules = ["--exclude", "app.bsky.feed.*", "-k", "commit", "--grep", "nowhere"];
        let start = ["--cursor", "auto", "--rewind", "0s", "--exit-when-live"];
        Tail::of(&server).state(scratch.path("state.db")).flags(&rules).flags(&start)
    };
    // Nothing passes, and the run ends at the silence.
    let run = tail().run();
    let name = "as \"exclude:app.bsky.feed.*+grep:nowhere-";
    run.ends_with(0).prints([""; 0]).says(&["0 events", "100 received", "saved seq 199 of", name]);
    let run = tail().flags(&["--max-retries", "0"]).run();
    run.ends_with(3).prints([""; 0]).says(&["saved seq 299 of"]).never_says("gap");
    let cursor: u64 = server.requests()[1].query("cursor")[0].parse().unwrap();
    assert_eq!(cursor, 199);
}

#[test]
fn the_limit_counts_what_passes_and_jq_and_files_get_only_that() {
    let (scratch, lines) = (Scratch::new(), recording(200));
    let server = ServeProcess::start(&scratch.recording(&lines), &[]);
    let host = server.address.to_string();
    let german = expected(&lines, |e| has_language(e, "de"));
    let start = || Tail::of_host(&host).flags(&["--cursor", "oldest", "--lang", "de"]);
    let run = start().flags(&["-n", "5"]).run();
    run.ends_with(0).says(&["5 events", " received"]);
    assert_eq!(seqs(&run.lines), german[..5]);
    let run = start().flags(&["--exit-when-live", "--jq", "{did, time_us, cursor}"]).run();
    run.ends_with(0);
    assert_eq!(seqs(&run.lines), german);
    let file = scratch.path("german.ndjson");
    let flags = ["--host", &host, "--lang", "de", "-o", file.to_str().unwrap(), "--from", "oldest"];
    for _ in 0..2 {
        let run = crate::support::tail::tail(
            &scratch.path("."),
            &[&flags[..], &["--exit-when-live"]].concat(),
        );
        assert_eq!(run.code(), 0, "{}", run.stderr);
        assert_eq!(seqs(std::fs::read_to_string(&file).unwrap().lines()), german);
    }
}

#[test]
fn top_counts_what_passes() {
    let (scratch, lines) = (Scratch::new(), recording(200));
    let server = ServeProcess::start(&scratch.recording(&lines), &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &scratch.path("."));
    let host = server.address.to_string();
    let output = command
        .args(["top", "--host", &host, "--once", "--json", "--window", "1s", "--cursor", "oldest"])
        .args(["--lang", "de", "--exclude", "app.bsky.feed.like"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let wanted = expected(&lines, |e| {
        has_language(e, "de") && e["commit"]["collection"] == "app.bsky.feed.post"
    });
    assert_eq!(report["events"], wanted.len(), "{output:?}");
}

#[test]
fn a_bad_value_ends_with_2_before_any_connection() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = server.local_addr().unwrap().to_string();
    for (flags, message) in [
        (&["--grep", "(a"][..], "--grep: \"(a\" is no regular expression: unclosed group"),
        (&["--grep", r"(\w{1000}){1000}"], "is too large when compiled (limit 4 MiB)"),
        (&["--grep", ""], "--grep: the regular expression is empty"),
        (&["--lang", "german"], "--lang: \"german\" is not a language: write its code, such as de"),
        (&["--sample", "5%"], "\"5%\" is not a sample: write 1/N, such as 1/100"),
        (&["--sample", "1/0"], "1/0 is out of range: write 1/1 to 1/1000000000"),
        (&["--sample-by", "did"], "--sample-by: this says what --sample takes"),
        (&["-k", "identity", "--lang", "de"], "--kind: without commit, --lang could match nothing"),
        (
            &["-c", "a.b.c", "--exclude", "a.b.*"],
            "--exclude: it leaves out everything that --collection",
        ),
    ] {
        Tail::of_host(&host).flags(flags).run().ends_with(2).says(&[message]).prints([""; 0]);
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "a connection was made");
}
