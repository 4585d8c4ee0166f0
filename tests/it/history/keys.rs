//! The archive's key: it is sent only to the archive, and errors say when it is missing or wrong
//! (§1).

use std::process::Output;

use crate::history::{Fixture, assert_same};
use crate::support::scripted::Step::{AcceptWith, Answer, Hang, Send};
use crate::support::scripted::{ReceivedRequest, ScriptedServer, Step, http, texts};
use crate::support::tail::tail_command;
use crate::support::{Scratch, V2_STREAM};

const KEY: &str = "s3cret-hunter2";

fn run(fixture: &Fixture, home: &Scratch, key: Option<&str>, more: &[&str]) -> Output {
    let flags = ["--host", &*fixture.host, "--protocol", "v2", "--exit-when-live"];
    let mut command = tail_command(&home.path("."), &[&flags[..], more].concat());
    command.env("SKYTAIL_LOG", "trace");
    if let Some(key) = key {
        command.env("SKYTAIL_API_KEY", key);
    }
    let output = command.output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!log.contains("s3cret"), "the key is in {log}");
    output
}

fn fixture_with_key() -> (Scratch, Fixture) {
    let home = Scratch::new();
    let file = home.path("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let fixture = Fixture::new(1_250, &["--api-key-file", file.to_str().unwrap()]);
    (home, fixture)
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_key_from_a_file_or_a_variable_opens_the_archive() {
    let (home, fixture) = fixture_with_key();
    let file = home.path("key");
    for (key, flags) in [(None, &["--api-key-file", file.to_str().unwrap()][..]), (Some(KEY), &[])]
    {
        let output =
            run(&fixture, &Scratch::new(), key, &[&["--cursor", "oldest"], flags].concat());
        assert!(output.status.success(), "{output:?}");
        assert_same(&lines(&output), &fixture.recorded);
    }
}

// Guards INV-9.
#[test]
fn without_a_key_the_past_is_a_gap_and_the_log_has_the_remedy() {
    let (_home, fixture) = fixture_with_key();
    let output = run(&fixture, &Scratch::new(), None, &["--cursor", "100"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    assert!(log.contains("HTTP 401") && log.contains("--api-key-file"), "{log}");
    assert!(log.contains("gap from seq 100 to seq 600"), "{log}");
    assert_same(&lines(&output), &fixture.recorded[500..]);
    let whole = ["--cursor", "oldest", "--on-gap", "fail"];
    let output = run(&fixture, &Scratch::new(), None, &whole);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{log}");
    assert!(log.contains("gap from seq 1 to seq 600"), "{log}");
}

#[test]
fn a_rejected_key_ends_the_run() {
    let (_home, fixture) = fixture_with_key();
    for cursor in ["100", "oldest"] {
        let output = run(&fixture, &Scratch::new(), Some("s3cret-wrong"), &["--cursor", cursor]);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), lines(&output).len()), (Some(1), 0), "{log}");
        assert!(log.contains("HTTP 401") && log.contains("check the key"), "{log}");
    }
}

#[test]
fn a_key_is_not_sent_without_tls_and_not_printed_when_refused() {
    let home = Scratch::new();
    for (host, key, words) in [
        ("ws://archive.example", KEY, "without TLS"),
        ("archive.example", "two s3cret words", "more than one word"),
    ] {
        let mut command = tail_command(&home.path("."), &["--host", host]);
        let output = command.env("SKYTAIL_API_KEY", key).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains(words) && log.contains("SKYTAIL_API_KEY"), "{log}");
        assert!(!log.contains("s3cret"), "{log}");
    }
}

/// Runs with a key against a script, and returns the requests and the result.
fn scripted(script: Vec<Vec<Step>>, more: &[&str]) -> (Vec<ReceivedRequest>, Option<i32>, String) {
    let server = ScriptedServer::start(script);
    let home = Scratch::new();
    let host = server.host();
    let flags = ["--host", &*host, "--protocol", "v2"];
    let mut command = tail_command(&home.path("."), &[&flags[..], more].concat());
    let output = command.env("SKYTAIL_API_KEY", KEY).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!log.contains("s3cret"), "{log}");
    (server.requests(), output.status.code(), log)
}

#[test]
fn a_redirect_from_the_archive_is_not_followed() {
    let moved = "Location: http://127.0.0.1:1/elsewhere\r\n";
    let script = vec![vec![Answer(http("302 Found", moved, ""))]];
    let (requests, code, log) = scripted(script, &["--cursor", "oldest"]);
    // A key was given, and the archive can't be used.
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("a redirect, which is not followed"), "{log}");
    assert!(requests[0].target().ends_with(".planSnapshot"));
    assert_eq!(requests[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
}

#[test]
fn the_key_is_sent_neither_to_the_stream_nor_to_the_dictionary_endpoint() {
    let empty = r#"{"plannedThroughSeq":0,"sealedTipSeq":0,"segments":[]}"#;
    let message = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{"active":true},"did":"did:plc:a","seq":1,"time":"2026-07-04T14:38:08.390226Z"}}"#;
    let echo = AcceptWith("Sec-WebSocket-Protocol: xrpc.v1.json\r\n");
    let stream = vec![echo, Send(texts([message])), Hang];
    let script = vec![vec![Answer(http("200 OK", "", empty))], stream];
    let (requests, code, log) = scripted(script, &["--cursor", "oldest", "-n", "1"]);
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(requests[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert!(requests[1].target().starts_with(V2_STREAM));
    assert_eq!(requests[1].header("authorization"), None);

    let script = vec![vec![Answer(http("404 Not Found", "", ""))]];
    let (requests, _, _) = scripted(script, &["--compress", "on", "--max-retries", "0"]);
    assert!(requests[0].target().contains("getZstdDictionary"), "{}", requests[0].target());
    assert_eq!(requests[0].header("authorization"), None);
}
