//! What `skytail serve` promises, shown on the built binary over real sockets.
//!
//! Source of the promises: protocol/jetstream-v1.md, by section.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use support::client::{Client, End, Next};
use support::{FIRST_US, Scratch, ServeProcess, events, serve_command, shared};
use tokio_tungstenite::tungstenite::Error;

const END: &str = "end of recording";

fn ended() -> End {
    End::Closed(1000, END.to_owned())
}

fn lines_of(path: &std::path::Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Everything that a connection with this query gets from a server that closes at the end.
async fn all(server: &ServeProcess, query: &str) -> Vec<String> {
    let (events, end) = Client::connect(&server.url(query)).await.rest().await;
    assert_eq!(end, ended());
    events
}

// ---- Recordings ---------------------------------------------------------------------------

#[tokio::test]
async fn serves_the_production_vectors_byte_for_byte() {
    let Some(path) = shared("production_v1.jsonl") else { return };
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    assert!(server.ready_line.starts_with("skytail: serving 152 events on ws://127.0.0.1:"));
    assert!(server.ready_line.ends_with("/subscribe (legacy, max)\n"), "{}", server.ready_line);
    assert_eq!(all(&server, "").await, lines_of(&path));
}

#[tokio::test]
async fn serves_the_production_vectors_with_the_official_dictionary() {
    let Some(path) = shared("production_v1.jsonl") else { return };
    let Some(dictionary) = shared("legacy_subscribe.zdict") else { return };
    let flags = ["--close-at-end", "--zstd-dictionary", dictionary.to_str().unwrap()];
    let dictionary = fs::read(&dictionary).unwrap();
    for kind in ["legacy", "v2"] {
        let server = ServeProcess::start(&path, &[&flags[..], &["--server-kind", kind]].concat());
        let mut client = Client::connect_zstd(&server.url(""), dictionary.clone()).await;
        let (events, end) = client.rest().await;
        assert_eq!(end, ended());
        if kind == "legacy" {
            assert_eq!(events, lines_of(&path));
        } else {
            assert_eq!(events.len(), 152);
            assert!(events[151].contains(r#","cursor":152,"kind""#), "{}", events[151]);
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
fn a_malformed_line_is_refused_by_its_number() {
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
async fn imitates_the_other_kind_by_the_stamped_members_only() {
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
    let server = ServeProcess::start(&path, &["--loop"]);
    let got = Client::connect(&server.url("")).await.take(45).await;
    assert_eq!(got[..20], events(20, true));
    let time = |i: u64| FIRST_US + i * 1_000;
    let second = events(20, true)[3]
        .replace(&time(3).to_string(), &(time(3) + 1_019_000).to_string())
        .replace(r#""cursor":103"#, r#""cursor":123"#);
    assert_eq!(got[23], second);
    // A cursor of a later round goes on in that round.
    let resumed = Client::connect(&server.url("cursor=123")).await.take(22).await;
    assert_eq!(resumed, got[23..]);
}

#[tokio::test]
async fn restamping_makes_the_last_event_now() {
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
    // Cursors are in the times that are sent.
    assert_eq!(all(&server, &format!("cursor={}", times[12])).await, got[12..]);
}

fn time_us(line: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value["time_us"].as_u64().unwrap()
}

// ---- Cursors, §4 --------------------------------------------------------------------------

#[tokio::test]
async fn v2_cursors_are_seqs_below_ten_to_the_fifteen_and_times_from_there() {
    let scratch = Scratch::new();
    let lines = events(50, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    for (cursor, from) in [
        (String::new(), 0),
        ("0".into(), 0),
        ("1".into(), 0),
        ("100".into(), 0),
        ("117".into(), 17),
        ("149".into(), 49),
        ("150".into(), 50),
        ("999999999999999".into(), 50),
        // Before everything; inside the active segment, where times are coarse; in the future.
        ("1000000000000000".into(), 0),
        ((FIRST_US + 17_000).to_string(), 0),
        ((FIRST_US + 10_000_000_000).to_string(), 50),
        (i64::MAX.to_string(), 50),
    ] {
        let got = all(&server, &format!("cursor={cursor}")).await;
        assert_eq!(got, lines[from..], "cursor {cursor:?}");
    }
}

#[tokio::test]
async fn a_v2_time_cursor_is_exact_in_sealed_segments() {
    let scratch = Scratch::new();
    let lines = events(10_030, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let at = |i: u64| format!("cursor={}", FIRST_US + i * 1_000);
    assert_eq!(all(&server, &at(9_998)).await, lines[9_998..]);
    assert_eq!(all(&server, &at(10_020)).await, lines[10_000..], "coarse in the active one");
}

#[tokio::test]
async fn legacy_cursors_are_times_and_short_ones_are_compared_as_strings() {
    let scratch = Scratch::new();
    let lines = events(50, false);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    for (cursor, from) in [
        (String::new(), 0),
        ((FIRST_US + 17_000).to_string(), 17),
        ((FIRST_US + 17_001).to_string(), 18),
        ((FIRST_US - 1).to_string(), 0),
        ((FIRST_US + 10_000_000_000).to_string(), 50),
        ("117".into(), 0),
        ("0".into(), 0),
        ("-7".into(), 0),
    ] {
        let got = all(&server, &format!("cursor={cursor}")).await;
        assert_eq!(got, lines[from..], "cursor {cursor:?}");
    }
}

// ---- Pacing -------------------------------------------------------------------------------

#[tokio::test]
async fn a_paced_recording_starts_with_the_first_client_and_arrives_in_order() {
    let scratch = Scratch::new();
    for (seqs, rate) in [(true, "1x"), (true, "1000/s"), (false, "2x"), (false, "1000/s")] {
        let lines = events(120, seqs);
        let path = scratch.recording(&lines);
        let server = ServeProcess::start(&path, &["--close-at-end", "--rate", rate]);
        assert_eq!(all(&server, "").await, lines, "{rate}");
        // The playhead is at the end now: nothing is live, and all is history.
        assert_eq!(all(&server, "").await, Vec::<String>::new(), "{rate}");
        let cursor = if seqs { "110".to_owned() } else { (FIRST_US + 10_000).to_string() };
        assert_eq!(all(&server, &format!("cursor={cursor}")).await, lines[10..], "{rate}");
    }
}

#[tokio::test]
async fn a_later_client_without_cursor_joins_at_the_playhead() {
    let scratch = Scratch::new();
    let lines = events(1_000, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end", "--rate", "500/s"]);
    let mut first = Client::connect(&server.url("")).await;
    let begun = first.take(100).await;
    let (later, end) = Client::connect(&server.url("")).await.rest().await;
    assert_eq!(end, ended());
    assert!(later.len() <= 900, "{} events", later.len());
    assert!(lines.ends_with(&later));
    assert_eq!([begun, first.rest().await.0].concat(), lines);
}

#[tokio::test]
async fn without_close_at_end_a_connection_stays_open_and_silent() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    let server = ServeProcess::start(&path, &[]);
    let mut client = Client::connect(&server.url("")).await;
    assert_eq!(client.take(5).await.len(), 5);
    assert_eq!(client.ping().await, Vec::<String>::new());
}

// ---- Filters, §3 and §6 -------------------------------------------------------------------

#[tokio::test]
async fn filters_select_as_the_servers_do() {
    let scratch = Scratch::new();
    let lines = events(60, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let only = |keep: &dyn Fn(&str) -> bool| -> Vec<String> {
        lines.iter().filter(|l| keep(l)).cloned().collect()
    };
    let has = |line: &str, word: &str| line.contains(word);
    let identity = r#""kind":"identity""#;
    for (query, expected) in [
        (
            "wantedCollections=app.bsky.feed.post",
            only(&|l| has(l, "feed.post") || has(l, identity)),
        ),
        ("wantedCollections=app.bsky.feed.%2A", lines.clone()),
        ("wantedCollections=app.bsky.feedgen.*", only(&|l| has(l, identity))),
        ("wantedCollections=.*", only(&|l| has(l, identity))),
        ("wantedDids=did:plc:odd&wantedDids=did:plc:tenth", only(&|l| !has(l, "did:plc:even"))),
        ("wantedDids=did:plc:odd&wantedCollections=app.bsky.feed.post", Vec::new()),
        ("maxMessageSizeBytes=200", only(&|l| l.len() <= 200)),
        ("maxMessageSizeBytes=many&wantedcollections=x", lines.clone()),
    ] {
        assert_eq!(all(&server, query).await, expected, "{query}");
    }
    assert!(lines.iter().any(|l| l.len() <= 200) && lines.iter().any(|l| l.len() > 200));
}

/// Sent by hand: the client library refuses URLs beyond 64 KiB.
#[test]
fn ten_thousand_dids_fit_into_the_url() {
    let scratch = Scratch::new();
    let lines = events(20, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let mut query = "wantedDids=did:plc:odd".to_owned();
    for i in 0..9_999 {
        query.push_str(&format!("&wantedDids=did:plc:{i:024}"));
    }
    let answer = server.raw_bytes(&format!(
        "GET /subscribe?{query} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    for line in &lines {
        assert_eq!(answer.contains(line.as_str()), line.contains("plc:odd"), "{line}");
    }
}

#[tokio::test]
async fn a_hello_starts_the_stream_with_its_filters() {
    let scratch = Scratch::new();
    let lines = events(40, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let mut client = Client::connect(&server.url("requireHello=true&cursor=110")).await;
    client.send(r#"{"type":"something_else","payload":1}"#).await;
    client.send_binary(b"ignored").await;
    assert_eq!(client.ping().await, Vec::<String>::new(), "nothing before the hello");
    client.send(r#"{"type":"options_update","payload":{"wantedDids":["did:plc:even"]}}"#).await;
    let expected: Vec<String> =
        lines[10..].iter().filter(|l| l.contains("plc:even")).cloned().collect();
    assert_eq!(client.rest().await, (expected, ended()));
}

#[tokio::test]
async fn an_update_replaces_the_filters_of_a_running_stream() {
    let scratch = Scratch::new();
    let lines = events(200, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--rate", "400/s", "--close-at-end"]);
    let mut client = Client::connect(&server.url("wantedDids=did:plc:even")).await;
    assert_eq!(client.take(2).await, [lines[0].clone(), lines[2].clone()]);
    client.send(r#"{"type":"options_update","payload":{"wantedCollections":["app.bsky.feed.like"],"wantedDids":["did:plc:odd"]}}"#).await;
    let (rest, end) = client.rest().await;
    assert_eq!(end, ended());
    let switched = rest.iter().position(|l| l.contains("plc:odd")).expect("the new filter");
    assert!(rest[switched..].iter().all(|l| l.contains("plc:odd")));
    assert!(lines.iter().rev().find(|l| l.contains("plc:odd")) == rest.last());
}

#[tokio::test]
async fn bad_messages_end_the_connection_as_each_server_ends_it() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(1, true));
    let too_long = " ".repeat(10_000_001);
    let bad_did = r#"{"type":"options_update","payload":{"wantedDids":["bob"]}}"#;
    let long_did = bad_did.replace("bob", &"é".repeat(100));
    let v2 = ServeProcess::start(&path, &["--server-kind", "v2"]);
    for (message, code, reason) in [
        ("hello", 1007, "bad SubscriberSourcedMessage envelope"),
        (r#"{"type":"options_update","payload":[]}"#, 1007, "bad options_update payload"),
        (
            r#"{"type":"options_update","payload":{"wantedCollections":7}}"#,
            1007,
            "bad options_update payload",
        ),
        (bad_did, 1008, "invalid DID: bob"),
        (&long_did, 1008, &format!("invalid DID: {}", "é".repeat(55))),
        (&too_long, 1009, "message too big"),
    ] {
        let mut client = Client::connect(&v2.url("requireHello=true")).await;
        client.send(message).await;
        assert_eq!(client.next().await, Next::End(End::Closed(code, reason.to_owned())));
    }
    let legacy = ServeProcess::start(&path, &["--server-kind", "legacy"]);
    for message in ["hello", bad_did] {
        let mut client = Client::connect(&legacy.url("requireHello=true")).await;
        client.send(message).await;
        let Next::End(End::Closed(1000, reason)) = client.next().await else {
            panic!("not closed with 1000");
        };
        assert!(!reason.is_empty());
    }
    let mut client = Client::connect(&legacy.url("requireHello=true")).await;
    client.send(&too_long).await;
    assert_eq!(client.ping().await, Vec::<String>::new(), "legacy ignores it");
}

// ---- Compression, §5 ----------------------------------------------------------------------

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
    assert_eq!(client.rest().await, (lines.clone(), ended()));

    // The same recording trains the same dictionary, without the flag too.
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let mut client = Client::connect_zstd(&server.url(""), dictionary).await;
    assert_eq!(client.rest().await, (lines, ended()));
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
    let Err(Error::Http(response)) = refused else { panic!("not refused") };
    assert_eq!(response.status(), 400);
}

// ---- HTTP, §2 and §10 ---------------------------------------------------------------------

#[test]
fn refusals_come_in_each_servers_words() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(3, true));
    let v2 = ServeProcess::start(&path, &["--server-kind", "v2"]);
    let legacy = ServeProcess::start(&path, &["--server-kind", "legacy"]);
    let check = |answer: String, status: &str, body: &str| {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        if body.ends_with('\n') && !body.starts_with('{') {
            assert!(answer.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{answer}");
        }
    };
    let bad_request = "400 Bad Request";
    for (query, body) in [
        (
            "wantedCollections=app.bsky.fo*",
            "subscribe: invalid options: invalid collection: app.bsky.fo*\n",
        ),
        ("wantedCollections=", "subscribe: invalid options: invalid collection: \n"),
        ("wantedDids=bob", "subscribe: invalid options: invalid DID: bob\n"),
        ("cursor=x", "subscribe: invalid cursor: \"x\"\n"),
        ("cursor=-1", "subscribe: invalid cursor: negative value -1\n"),
        // Filters are checked before the cursor.
        ("cursor=x&wantedDids=bob", "subscribe: invalid options: invalid DID: bob\n"),
    ] {
        check(v2.get(&format!("/subscribe?{query}")), bad_request, body);
    }
    assert!(v2.get("/subscribe?a=%zz").starts_with("HTTP/1.1 400"));
    assert!(v2.get("/subscribe?a=1;b").starts_with("HTTP/1.1 400"));
    check(legacy.get("/subscribe?cursor=x"), bad_request, "invalid cursor: x\n");
    check(
        legacy.get("/subscribe?wantedDids=bob"),
        bad_request,
        "invalid subscriber options: invalid DID\n",
    );

    assert!(v2.get("/subscribe?cursor=5&wantedDids=did:plc:a").starts_with("HTTP/1.1 426"));
    assert!(v2.raw_request("POST /subscribe HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(v2.raw_request("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    for target in ["/nowhere", "/xrpc/network.bsky.jetstream.subscribeEvents"] {
        assert!(v2.get(target).starts_with("HTTP/1.1 404"), "{target}");
    }
    let keyless = "GET /subscribe HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let versionless = format!("{keyless}\r\n");
    assert!(v2.raw_request(&versionless).starts_with("HTTP/1.1 400"));
    let keyless = format!("{keyless}Sec-WebSocket-Version: 13\r\n\r\n");
    assert!(v2.raw_request(&keyless).starts_with("HTTP/1.1 400"));
}

#[test]
fn the_two_servers_can_be_told_apart_before_connecting() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let written = scratch.path("trained.zdict");
    let flags = ["--write-dictionary", written.to_str().unwrap()];
    let v2 = ServeProcess::start(&path, &[]);
    let legacy = ServeProcess::start(&path, &["--server-kind", "legacy"]);
    assert!(legacy.get("/").ends_with("\r\n\r\nWelcome to Jetstream\n"));
    assert!(v2.get("/").contains("Content-Type: text/html"));
    let get_dictionary = "/xrpc/network.bsky.jetstream.getZstdDictionary";
    assert!(legacy.get(get_dictionary).starts_with("HTTP/1.1 404"));
    let unknown = v2.get(&format!("{get_dictionary}?id=1612007021"));
    assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("\"DictionaryNotFound\""));
    drop(v2);

    let v2 = ServeProcess::start(&path, &flags);
    let id = fs::read(&written).unwrap()[4..8].try_into().map(u32::from_le_bytes).unwrap();
    let head = raw_head(&v2, get_dictionary);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains(&format!("X-Zstd-Dictionary-Id: {id}")), "{head}");
}

/// The head of an answer whose body is no text.
fn raw_head(server: &ServeProcess, target: &str) -> String {
    use std::io::{BufRead, BufReader};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\n\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn two_compression_schemes_at_once_are_refused_on_v2() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let server = ServeProcess::start(&path, &[]);
    let deflate = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let refused = Client::try_connect(&server.url("compress=true"), &deflate).await;
    let Err(Error::Http(response)) = refused else { panic!("not refused") };
    let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
    assert!(body.starts_with("choose one compression scheme: "), "{body}");
}

// ---- Stopping, §9 -------------------------------------------------------------------------

#[tokio::test]
async fn a_signal_stops_it_cleanly_and_each_kind_says_goodbye_its_way() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    for (kind, signal, end) in [
        ("v2", "INT", End::Closed(1001, "server shutting down".into())),
        ("v2", "TERM", End::Closed(1001, "server shutting down".into())),
        ("legacy", "TERM", End::Dropped),
    ] {
        let server = ServeProcess::start(&path, &["--server-kind", kind]);
        let mut client = Client::connect(&server.url("")).await;
        client.take(5).await;
        let stopped = tokio::task::spawn_blocking(move || server.stop(signal));
        assert_eq!(client.next().await, Next::End(end), "{kind} {signal}");
        let (status, stderr) = stopped.await.unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{kind} {signal}");
    }
}
