//! `planSnapshot`, and the downloads that follow a plan (§1, §2).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use super::{plan, plan_with, read_plan, recorded, server};
use crate::support::client::Client;
use crate::support::{PATIENCE, Scratch, ServeProcess, V2_STREAM, events};

#[test]
fn a_plan_without_filters_lists_all_sealed_segments() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let page = plan(&server, "{}");
    assert_eq!((&page["plannedThroughSeq"], &page["sealedTipSeq"]), (&json!(1_099), &json!(1_099)));
    let segments = page["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 10);
    for (i, segment) in segments.iter().enumerate() {
        assert_eq!(segment["name"], format!("seg_{i:010}.jss"));
        assert_eq!((&segment["index"], &segment["mode"]), (&json!(i), &json!("segment")));
        assert_eq!(segment["minSeq"], 100 + 100 * i);
        assert_eq!(segment["maxSeq"], 199 + 100 * i);
        assert_eq!(segment["checksum"].as_str().unwrap().len(), 16);
        assert_eq!(segment.get("blocks"), None);
    }
    let stats = json!({ "segmentsExamined": 10, "segmentsMatched": 10, "blocksMatched": 100, "entries": 10 });
    assert_eq!(page["stats"], stats);
    assert_eq!(read_plan(&server, "").0, recorded(1_000));
}

#[test]
fn bounds_are_exclusive_below_and_inclusive_above() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let page = plan(&server, r#"{"afterSeq":329,"beforeSeq":410}"#);
    assert_eq!((&page["plannedThroughSeq"], &page["sealedTipSeq"]), (&json!(410), &json!(410)));
    let entries: Vec<_> = page["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["index"].as_u64().unwrap(), s["blocks"].clone()))
        .collect();
    assert_eq!(
        entries,
        [(2, json!([{ "first": 3, "last": 9 }])), (3, json!([{ "first": 0, "last": 1 }])),]
    );
    let beyond = plan(&server, r#"{"afterSeq":1099}"#);
    assert_eq!((&beyond["segments"], &beyond["sealedTipSeq"]), (&json!([]), &json!(1_099)));
}

#[test]
fn a_filtered_plan_covers_every_match() {
    let scratch = Scratch::new();
    // Posts in the middle, and one account that acts twice.
    let mut lines = events(1_050, true);
    for (i, line) in lines.iter_mut().enumerate() {
        if !(400..550).contains(&i) {
            *line = line.replace("app.bsky.feed.post", "app.bsky.feed.repost");
        }
        if i == 130 || i == 735 {
            *line =
                line.replace("did:plc:even", "did:plc:rare").replace("did:plc:odd", "did:plc:rare");
        }
        if i == 860 {
            *line = line.replace("commit", "sync").replace("\"sync\":{", "\"sync\":{\"seq\":1,");
        }
    }
    let path = scratch.recording(&lines);
    let sizes = ["--archive-segment-events", "100", "--archive-block-events", "10"];
    let server = ServeProcess::start(&path, &sizes);
    for (filters, words, most) in [
        (
            r#""kinds":["commit"],"collections":["app.bsky.feed.post"],"#,
            "\"app.bsky.feed.post\"",
            150,
        ),
        (r#""collections":["app.bsky.feed.post"],"kinds":[],"#, "\"app.bsky.feed.post\"", 1_000),
        (r#""dids":["did:plc:rare"],"#, "did:plc:rare", 20),
        (r#""kinds":["identity"],"#, "identity", 1_000),
        (r#""kinds":["sync"],"#, "\"kind\":\"sync\"", 10),
        (r#""dids":["did:plc:none"],"#, "did:plc:none", 0),
    ] {
        let (found, _) = read_plan(&server, filters);
        assert!(found.len() <= most, "{filters}: {}", found.len());
        let wanted = lines[..1_000].iter().filter(|line| line.contains(words));
        for line in wanted.map(|line| super::without_cid(line)) {
            assert!(found.contains(&line), "{filters}: {line}");
        }
    }
}

#[test]
fn pages_are_limited_by_entries_and_link_to_the_next() {
    let scratch = Scratch::new();
    for entries in [1, 3, 7] {
        let server = server(&scratch, &["--chaos", &format!("page={entries}")]);
        assert_eq!(read_plan(&server, ""), (recorded(1_000), 10_usize.div_ceil(entries)));
        // Every second block of all but the last segments: five ranges each.
        let (found, pages) =
            read_plan(&server, r#""kinds":["identity"],"dids":["did:plc:tenth"],"#);
        assert_eq!(found.len(), 1_000);
        assert!(pages > 1);
    }
    let server = server(&scratch, &["--chaos", "page=2"]);
    let page = plan(&server, r#"{"afterSeq":149}"#);
    assert_eq!(page["segments"][0]["blocks"], json!([{ "first": 5, "last": 9 }]));
    assert_eq!((&page["plannedThroughSeq"], &page["stats"]["entries"]), (&json!(299), &json!(2)));
}

#[test]
fn bad_requests_are_refused_by_error_name() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let many = |value: &str, count: usize| vec![format!("\"{value}\""); count].join(",");
    for body in [
        String::new(),
        "[]".into(),
        "{".into(),
        r#"{"afterSeq":-1}"#.into(),
        r#"{"afterSeq":"1"}"#.into(),
        r#"{"afterSeq":5,"beforeSeq":5}"#.into(),
        r#"{"beforeSeq":0}"#.into(),
        r#"{"kinds":["commits"]}"#.into(),
        r#"{"kinds":["identity"],"collections":["app.bsky.x"]}"#.into(),
        r#"{"collections":["app.*"]}"#.into(),
        r#"{"dids":["bob"]}"#.into(),
        format!(r#"{{"dids":[{}]}}"#, many("did:plc:a", 10_001)),
        format!(r#"{{"collections":[{}]}}"#, many("app.bsky.x", 101)),
        format!(r#"{{"kinds":[{}]}}"#, many("commit", 5)),
    ] {
        let answer = plan_with(&server, &body, "");
        let short = &body[..body.len().min(60)];
        assert_eq!(answer.error(), (400, "InvalidRequest".into()), "{short}");
    }
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(2_000_000));
    assert_eq!(plan_with(&server, &long, "").error(), (413, "TooLarge".into()));
    let target = "/xrpc/network.bsky.jetstream.planSnapshot";
    let answer = server.get(target);
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nAllow: POST\r\n"));
    let untyped = format!("POST {target} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}");
    assert!(server.raw_request(&untyped).starts_with("HTTP/1.1 400 "));
    let chunked = format!("POST {target} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert!(server.raw_request(&chunked).starts_with("HTTP/1.1 411 "));
}

#[test]
fn expect_100_continue_is_answered() {
    let scratch = Scratch::new();
    let server = server(&scratch, &[]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /xrpc/network.bsky.jetstream.planSnapshot HTTP/1.1\r\nExpect: 100-continue\r\n\
                Content-Type: application/json\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn unsealed_events_are_on_the_stream_and_old_ones_only_in_the_archive() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--retention-events", "200"]);
    let refused = server.get(&format!("{V2_STREAM}?cursor=100"));
    assert!(refused.contains("CursorTooOld"), "{refused}");
    let (mut all, _) = read_plan(&server, "");
    let tip = all.last().unwrap()["cursor"].as_u64().unwrap();
    let live = Client::connect(&server.url(&format!("cursor={tip}"))).await.rest().await.0;
    all.extend(live.iter().skip(1).map(|line| super::without_cid(line)));
    assert_eq!(all, recorded(1_050));
}

#[tokio::test]
async fn the_archive_sends_the_times_of_the_stream() {
    let scratch = Scratch::new();
    let spec = ["--restamp", "--chaos", "same=5,imported=7,instance=3"];
    let server = server(&scratch, &spec);
    let (archived, _) = read_plan(&server, "");
    let streamed = crate::serve::all(&server, "").await;
    let streamed: Vec<_> = streamed.iter().map(|line| super::without_cid(line)).collect();
    assert_eq!(archived, streamed[..1_000]);
}

#[tokio::test]
async fn a_paced_recording_is_sealed_as_it_plays() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--rate", "1000/s", "--restamp"]);
    assert_eq!(plan(&server, "{}")["sealedTipSeq"], 0);
    let mut client = Client::connect(&server.url("cursor=0")).await;
    let played = client.take(250).await;
    let (archived, _) = read_plan(&server, "");
    assert!(archived.len() >= 200 && archived.len() % 100 == 0, "{}", archived.len());
    let played: Vec<_> = played.iter().map(|line| super::without_cid(line)).collect();
    assert_eq!(archived[..200], played[..200]);
}

/// After a crash the archive has the events of the log.
#[tokio::test]
async fn reused_seqs_are_archived_under_their_last_events() {
    let scratch = Scratch::new();
    let server = server(&scratch, &["--chaos", "reuse=300"]);
    let mut streamed = Vec::new();
    for _ in 0..100 {
        streamed = Client::connect(&server.url("cursor=0")).await.rest().await.0;
        if streamed.len() == 1_050 {
            break;
        }
    }
    let streamed: Vec<_> = streamed.iter().map(|line| super::without_cid(line)).collect();
    assert_eq!(streamed.len(), 1_050);
    assert_ne!(streamed, recorded(1_050), "the crash changed no event");
    assert_eq!(read_plan(&server, "").0, streamed[..1_000]);
}

#[test]
fn a_short_recording_has_an_empty_archive() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(50, true)), &[]);
    let page = plan(&server, "{}");
    let nothing = json!({
        "plannedThroughSeq": 0, "sealedTipSeq": 0, "segments": [],
        "stats": { "segmentsExamined": 0, "segmentsMatched": 0, "blocksMatched": 0, "entries": 0 },
    });
    assert_eq!(page, nothing);
}
