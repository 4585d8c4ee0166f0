//! Served events: recordings byte for byte, the other server kind, loops, compression (§5, §7).

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use tokio_tungstenite::tungstenite::Error;

use crate::serve::{all, end_of_recording};
use crate::support::client::Client;
use crate::support::tail::tail;
use crate::support::{FIRST_US, Scratch, ServeProcess, events, serve_command, vectors};

#[tokio::test]
async fn serves_a_recording_byte_for_byte() {
    for path in vectors::samples() {
        let lines = vectors::lines(&path);
        let server = ServeProcess::start(&path, &["--close-at-end"]);
        let begin = format!("skytail: serving {} events on ws://127.0.0.1:", lines.len());
        assert!(server.ready_line.starts_with(&begin), "{}", server.ready_line);
        assert!(server.ready_line.ends_with("/subscribe (legacy, max)\n"), "{}", server.ready_line);
        assert_eq!(all(&server, "").await, lines);
    }
}

#[tokio::test]
async fn serves_a_recording_with_a_dictionary() {
    for path in vectors::samples() {
        let scratch = Scratch::new();
        let dictionary = vectors::dictionary(1_234_567, &path);
        fs::write(scratch.path("dictionary"), &dictionary).unwrap();
        serves_with_dictionary(&path, &scratch.path("dictionary")).await;
    }
    let recorded = vectors::recorded(["production_v1.jsonl", "legacy_subscribe.zdict"]);
    if let Some([path, dictionary]) = recorded {
        serves_with_dictionary(&path, &dictionary).await;
    }
}

async fn serves_with_dictionary(path: &Path, dictionary: &Path) {
    let lines = vectors::lines(path);
    let flags = ["--close-at-end", "--zstd-dictionary", dictionary.to_str().unwrap()];
    let dictionary = fs::read(dictionary).unwrap();
    for kind in ["legacy", "v2"] {
        let server = ServeProcess::start(path, &[&flags[..], &["--server-kind", kind]].concat());
        let mut client = Client::connect_zstd(&server.url(""), dictionary.clone()).await;
        let (events, end) = client.rest().await;
        assert_eq!(end, end_of_recording());
        if kind == "legacy" {
            assert_eq!(events, lines);
        } else {
            assert_eq!(events.len(), lines.len());
            let cursor = format!(r#","cursor":{},"kind""#, lines.len());
            assert!(events[lines.len() - 1].contains(&cursor), "{events:?}");
        }
        let by_header = [("Socket-Encoding", "zstd")];
        let client = Client::try_connect(&server.url(""), &by_header).await.unwrap();
        assert_eq!(client.with_dictionary(dictionary.clone()).rest().await.0, events);
    }
}

#[tokio::test]
async fn reads_recordings_from_zstd_files_and_from_stdin() {
    let scratch = Scratch::new();
    let lines = events(30, true);
    let path = scratch.path("recording.zst");
    let packed = zstd::encode_all(lines.join("\n").as_bytes(), 3).unwrap();
    fs::write(&path, &packed).unwrap();
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    assert!(server.ready_line.contains("(v2, max)"), "{}", server.ready_line);
    assert_eq!(all(&server, "").await, lines);

    let mut child = serve_command("-")
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"did\":\"did:plc:a\"\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("recording -, line 1: "), "{stderr}");
}

#[test]
fn a_malformed_line_is_refused_with_its_number() {
    let scratch = Scratch::new();
    let mut lines = events(5, false);
    lines[3].truncate(40);
    let path = scratch.recording(&lines);
    let output = serve_command(&path).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("recording.ndjson, line 4: "), "{stderr}");
}

#[tokio::test]
async fn the_other_server_kind_differs_only_in_stamped_fields() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(20, true));
    let server = ServeProcess::start(&path, &["--close-at-end", "--server-kind", "legacy"]);
    assert_eq!(all(&server, "").await, events(20, false));

    let path = scratch.recording(&events(20, false));
    let server = ServeProcess::start(&path, &["--close-at-end", "--server-kind", "v2"]);
    let renumber = |(i, line): (usize, String)| {
        line.replace(&format!(r#""cursor":{}"#, 100 + i), &format!(r#""cursor":{}"#, i + 1))
    };
    let expected: Vec<String> = events(20, true).into_iter().enumerate().map(renumber).collect();
    assert_eq!(all(&server, "").await, expected);
}

#[tokio::test]
async fn a_loop_repeats_the_events_with_later_times_and_higher_cursors() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(20, true));
    let server = ServeProcess::start(&path, &["--loop", "--keep-identities"]);
    let got = Client::connect(&server.url("")).await.take(45).await;
    assert_eq!(got[..20], events(20, true));
    let time = |i: u64| FIRST_US + i * 1_000;
    let second = events(20, true)[3]
        .replace(&time(3).to_string(), &(time(3) + 1_019_000).to_string())
        .replace(r#""cursor":103"#, r#""cursor":123"#);
    assert_eq!(got[23], second);
    // A cursor of a later round resumes in that round.
    let resumed = Client::connect(&server.url("cursor=123")).await.take(22).await;
    assert_eq!(resumed, got[23..]);
}

#[tokio::test]
async fn looped_events_have_new_event_ids() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(20, true));
    let server = ServeProcess::start(&path, &["--loop"]);
    let got = Client::connect(&server.url("")).await.take(60).await;
    let name = |line: &String| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        (
            event["did"].clone(),
            event["commit"]["rev"].clone(),
            event["commit"]["rkey"].clone(),
            event["identity"]["seq"].clone(),
        )
    };
    for i in 0..20 {
        let names = [name(&got[i]), name(&got[i + 20]), name(&got[i + 40])];
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
        assert_eq!((&names[0].0, &names[0].2), (&names[2].0, &names[2].2));
    }
}

/// Each round has new events for a consumer that removes duplicates. With the dedup keys of the
/// first round, the consumer still reaches the live tip.
#[test]
fn skytail_tail_continues_over_the_rounds_of_a_loop() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(20, true));
    let server = ServeProcess::start(&path, &["--loop"]);
    let host = server.address.to_string();
    for protocol in ["v1", "v2"] {
        let flags = ["--host", &*host, "--protocol", protocol, "-n", "70"];
        let end_of_recording = tail(&Scratch::new().path(""), &flags);
        assert_eq!(
            (end_of_recording.code(), end_of_recording.rest.len()),
            (0, 70),
            "{protocol}: {}",
            end_of_recording.stderr
        );
    }
    // The last event of the first round is older than the run, and all later ones are known.
    let server = ServeProcess::start(&path, &["--loop", "--keep-identities", "--restamp"]);
    let host = server.address.to_string();
    let flags = ["--host", &*host, "--cursor", "oldest", "--archive", "off", "--exit-when-live"];
    let end_of_recording = tail(&Scratch::new().path(""), &flags);
    assert_eq!(end_of_recording.code(), 0, "{}", end_of_recording.stderr);
    assert!(end_of_recording.stderr.contains("at the live tip"), "{}", end_of_recording.stderr);
}

#[test]
fn byte_order_marks_blank_lines_and_a_torn_last_line_are_accepted_and_gzip_is_detected() {
    let scratch = Scratch::new();
    let path = scratch.path("edited.ndjson");
    let lines = events(20, true);
    let text = format!("\u{feff}\n{}\r\n \n{}", lines.join("\n"), &lines[3][..50]);
    std::fs::write(&path, text).unwrap();
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let end_of_recording =
        tail(&Scratch::new().path(""), &["--host", &server.address.to_string(), "-n", "20"]);
    let printed: Vec<&str> = end_of_recording.rest.iter().map(|line| line.trim_end()).collect();
    assert_eq!(printed, lines, "{}", end_of_recording.stderr);
    let zipped = scratch.path("a.ndjson.gz");
    std::fs::write(&zipped, b"\x1f\x8b\x08\0\0\0\0\0").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_skytail"));
    let output = command.arg("serve").arg(&zipped).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("looks like gzip: gunzip -c "), "{log}");
    assert!(log.contains("a.ndjson.gz | skytail serve -"), "{log}");
}

#[tokio::test]
async fn restamping_moves_the_last_event_to_now() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(20, false));
    let now_us = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(since.unwrap().as_micros()).unwrap()
    };
    let before = now_us();
    let server = ServeProcess::start(&path, &["--restamp", "--close-at-end"]);
    let after = now_us();
    let got = all(&server, "").await;
    let times: Vec<u64> = got.iter().map(|line| time_us(line)).collect();
    assert!((before..=after).contains(&times[19]), "{before} {} {after}", times[19]);
    assert!(times.windows(2).all(|w| w[1] - w[0] == 1_000));
    // Cursors use the times that are sent.
    assert_eq!(all(&server, &format!("cursor={}", times[12])).await, got[12..]);
}

fn time_us(line: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value["time_us"].as_u64().unwrap()
}

#[tokio::test]
async fn a_trained_dictionary_can_be_written_and_used() {
    let scratch = Scratch::new();
    let lines = events(2_000, true);
    let path = scratch.recording(&lines);
    let written = scratch.path("trained.zdict");
    let flags = ["--close-at-end", "--write-dictionary", written.to_str().unwrap()];
    let server = ServeProcess::start(&path, &flags);
    let dictionary = fs::read(&written).unwrap();
    assert_ne!(dictionary[4..8], 1_612_007_021_u32.to_le_bytes());
    let mut client = Client::connect_zstd(&server.url(""), dictionary.clone()).await;
    assert_eq!(client.rest().await, (lines.clone(), end_of_recording()));

    // The same recording trains the same dictionary, also without the flag.
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let mut client = Client::connect_zstd(&server.url(""), dictionary).await;
    assert_eq!(client.rest().await, (lines, end_of_recording()));
}

#[tokio::test]
async fn legacy_measures_the_compressed_size() {
    let scratch = Scratch::new();
    let lines = events(2_000, false);
    let path = scratch.recording(&lines);
    let written = scratch.path("trained.zdict");
    let flags = ["--close-at-end", "--write-dictionary", written.to_str().unwrap()];
    let smallest = lines.iter().map(String::len).min().unwrap();
    let query = format!("maxMessageSizeBytes={}", smallest - 1);
    for (kind, passes) in [("legacy", true), ("v2", false)] {
        let server = ServeProcess::start(&path, &[&flags[..], &["--server-kind", kind]].concat());
        let dictionary = fs::read(&written).unwrap();
        let (got, _) = Client::connect_zstd(&server.url(&query), dictionary).await.rest().await;
        assert_eq!(!got.is_empty(), passes, "{kind}");
        assert_eq!(all(&server, &query).await, Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test]
async fn without_any_dictionary_compression_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(3, true));
    let server = ServeProcess::start(&path, &[]);
    let refused = Client::try_connect(&server.url("compress=true"), &[]).await;
    let Err(Error::Http(response)) = refused else { panic!("the server accepted the request") };
    assert_eq!(response.status(), 400);
}
