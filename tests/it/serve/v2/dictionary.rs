//! The dictionary, and messages compressed with it (§6).

use super::{refusal, seqs};
use crate::support::client::Client;
use crate::support::{Scratch, ServeProcess, V2_STREAM, events, vectors};

const GET: &str = "/xrpc/network.bsky.jetstream.getZstdDictionary";

/// Returns the head and the body of an answer.
fn answer(server: &ServeProcess, request: &str) -> (String, Vec<u8>) {
    let answer = server.raw_bytes(request);
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end + 2].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

fn get(server: &ServeProcess, query: &str, headers: &str) -> (String, Vec<u8>) {
    answer(server, &format!("GET {GET}{query} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"))
}

/// Fetches the server's dictionary and its id.
pub(super) fn fetch(server: &ServeProcess) -> (u32, Vec<u8>) {
    let (head, body) = get(server, "", "");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let id = u32::from_le_bytes(body[4..8].try_into().unwrap());
    assert!(head.contains(&format!("\r\nX-Zstd-Dictionary-Id: {id}\r\n")), "{head}");
    (id, body)
}

#[test]
fn the_dictionary_is_served_with_its_id_and_cache_headers() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(2_000, true)), &[]);
    let (id, dictionary) = fetch(&server);
    assert_eq!(dictionary[..4], 0xEC30_A437_u32.to_le_bytes());
    let (head, body) = get(&server, &format!("?id={id}"), "");
    assert_eq!(body, dictionary);
    for line in [
        "Content-Type: application/octet-stream".to_owned(),
        format!("ETag: \"zstd-dict-{id}\""),
        "Cache-Control: public, max-age=31536000, immutable".to_owned(),
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    let (head, body) = get(&server, "", &format!("If-None-Match: \"a\", W/\"zstd-dict-{id}\"\r\n"));
    assert!(head.starts_with("HTTP/1.1 304 ") && body.is_empty(), "{head}");
    let (head, _) = get(&server, "", "If-None-Match: \"zstd-dict-1\"\r\n");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (head, body) = get(&server, "", "Range: bytes=4-7\r\n");
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert!(head.contains(&format!("\r\nContent-Range: bytes 4-7/{}\r\n", dictionary.len())));
    assert_eq!(body, id.to_le_bytes());
    let (head, body) = answer(&server, &format!("HEAD {GET} HTTP/1.1\r\n\r\n"));
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", dictionary.len())), "{head}");
    assert_eq!(body, b"");
}

#[test]
fn unknown_ids_are_not_found_and_bad_ones_are_refused() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(2_000, true)), &[]);
    let (id, _) = fetch(&server);
    let other = if id == 5 { 6 } else { 5 };
    let (status, error, message) = refusal(&server.get(&format!("{GET}?id={other}")));
    assert_eq!((status, error.as_str()), (404, "DictionaryNotFound"));
    assert_eq!(message, format!("no dictionary with id {other}; current dictionary id is {id}"));
    for bad in ["0", "-1", "x", "", "%2B5"] {
        let (status, error, _) = refusal(&server.get(&format!("{GET}?id={bad}")));
        assert_eq!((status, error.as_str()), (400, "InvalidRequest"), "{bad}");
    }
    let (status, error, _) = refusal(&server.raw_request(&format!("POST {GET} HTTP/1.1\r\n\r\n")));
    assert_eq!((status, error.as_str()), (405, "MethodNotAllowed"));
    let stream = format!("{V2_STREAM}?zstdDictionary={other}");
    let (status, error, message) = refusal(&server.get(&stream));
    assert_eq!((status, error.as_str()), (400, "UnknownZstdDictionary"));
    assert!(message.ends_with(&format!("current dictionary id is {id}")), "{message}");
}

#[test]
fn a_recording_too_short_for_a_dictionary_has_none() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(3, true)), &[]);
    let (status, error, _) = refusal(&server.get(GET));
    assert_eq!((status, error.as_str()), (503, "ServiceUnavailable"));
    let (_, error, _) = refusal(&server.get(&format!("{V2_STREAM}?zstdDictionary=5")));
    assert_eq!(error, "UnknownZstdDictionary");
}

#[tokio::test]
async fn every_message_is_one_zstd_frame_of_the_same_text() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    let (id, dictionary) = fetch(&server);
    let client = Client::connect(&server.v2_url(&format!("zstdDictionary={id}"))).await;
    let packed = client.with_dictionary(dictionary).rest().await.0;
    assert_eq!(packed, super::all(&server, "zstdDictionary=").await);
    assert_eq!(packed.len(), 2_000);
}

#[tokio::test]
async fn a_given_dictionary_is_served_unchanged() {
    let scratch = Scratch::new();
    let path = scratch.path("dictionary");
    let trained = vectors::dictionary(1_234_567, &vectors::samples()[0]);
    std::fs::write(&path, trained).unwrap();
    assert_served_unchanged(&path, 1_234_567).await;
    if let Some([path]) = vectors::recorded(["subscribe_events_20260811.zdict"]) {
        assert_served_unchanged(&path, 20_260_811).await;
    }
}

async fn assert_served_unchanged(path: &std::path::Path, expected_id: u32) {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(5, true));
    let flags = ["--close-at-end", "--v2-dictionary", path.to_str().unwrap()];
    let server = ServeProcess::start(&recording, &flags);
    let (id, dictionary) = fetch(&server);
    assert_eq!((id, &dictionary), (expected_id, &std::fs::read(path).unwrap()));
    let client = Client::connect(&server.v2_url(&format!("zstdDictionary={id}"))).await;
    let frames = client.with_dictionary(dictionary).rest().await.0;
    assert_eq!(seqs(&frames), [100, 101, 102, 103, 104]);
}
