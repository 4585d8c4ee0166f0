//! Filters in the query and in client messages (§3 and §6).

use crate::serve::{all, end_of_recording};
use crate::support::client::{Client, End, Next};
use crate::support::{Scratch, ServeProcess, events};

#[tokio::test]
async fn filters_match_the_real_servers() {
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

/// Sent as raw bytes: the client library refuses URLs beyond 64 KiB.
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
    assert_eq!(
        client.ping().await,
        Vec::<String>::new(),
        "the server sends nothing before the hello"
    );
    client.send(r#"{"type":"options_update","payload":{"wantedDids":["did:plc:even"]}}"#).await;
    let expected: Vec<String> =
        lines[10..].iter().filter(|l| l.contains("plc:even")).cloned().collect();
    assert_eq!(client.rest().await, (expected, end_of_recording()));
}

#[tokio::test]
async fn an_update_replaces_the_filters_of_a_running_stream() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(200, true));
    let server = ServeProcess::start(&path, &["--rate", "2000/s", "--loop"]);
    let mut client = Client::connect(&server.url("wantedDids=did:plc:even")).await;
    let before = client.take(20).await;
    assert!(before.iter().all(|l| l.contains("plc:even")));
    client.send(r#"{"type":"options_update","payload":{"wantedCollections":["app.bsky.feed.like"],"wantedDids":["did:plc:odd"]}}"#).await;
    while client.take(1).await[0].contains("plc:even") {}
    let after = client.take(100).await;
    assert!(after.iter().all(|l| l.contains("plc:odd")));
}

#[tokio::test]
async fn bad_messages_end_the_connection_as_on_the_real_servers() {
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
            panic!("the server did not close with 1000");
        };
        assert!(!reason.is_empty());
    }
    let mut client = Client::connect(&legacy.url("requireHello=true")).await;
    client.send(&too_long).await;
    assert_eq!(client.ping().await, Vec::<String>::new(), "a legacy server ignores the message");
}
