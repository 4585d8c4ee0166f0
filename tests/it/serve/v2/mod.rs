//! The v2 stream, next to `/subscribe` (protocol/jetstream-v2.md; "§" is a section of it).

mod chaos;
mod cursors;
mod dictionary;
mod frames;
mod refusals;

use serde_json::Value;

use crate::serve::end_of_recording;
use crate::support::client::Client;
use crate::support::{ServeProcess, V2_STREAM};

/// Returns all messages of the v2 stream from a server that closes at the end.
async fn all(server: &ServeProcess, query: &str) -> Vec<String> {
    let (frames, end) = Client::connect(&server.v2_url(query)).await.rest().await;
    assert_eq!(end, end_of_recording());
    frames
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns the seqs of messages; 0 for a message without one.
fn seqs(frames: &[String]) -> Vec<u64> {
    frames.iter().map(|frame| json(frame)["payload"]["seq"].as_u64().unwrap_or(0)).collect()
}

/// Returns a request to upgrade to the v2 stream, with additional header lines.
fn upgrade(query: &str, headers: &str) -> String {
    format!(
        "GET {V2_STREAM}?{query} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// Returns the status and the error's name and message of an XRPC answer.
fn refusal(answer: &str) -> (u16, String, String) {
    assert!(answer.contains("\r\nContent-Type: application/json\r\n"), "{answer}");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
    let body = json(answer.split_once("\r\n\r\n").unwrap().1);
    assert_eq!(body.as_object().unwrap().len(), 2, "{answer}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (status, text("error"), text("message"))
}

/// Converts a line of `/subscribe` to the v2 stream's shape (§7), with a JSON tree.
fn in_v2_shape(line: &str) -> Value {
    let line = json(line);
    let kind = line["kind"].as_str().unwrap();
    let time_us = line["time_us"].as_i64().unwrap();
    let time = jiff::Timestamp::from_microsecond(time_us).unwrap();
    let mut payload = match kind {
        "commit" => line["commit"].clone(),
        kind => serde_json::json!({ kind: line[kind] }),
    };
    payload["$type"] = format!("network.bsky.jetstream.subscribeEvents#{kind}").into();
    payload["did"] = line["did"].clone();
    payload["seq"] = line["cursor"].clone();
    payload["time"] = format!("{time:.6}").into();
    serde_json::json!({ "$type": "message", "payload": payload })
}
