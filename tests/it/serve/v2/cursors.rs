//! Where the stream starts (§4).

use super::{all, json, refusal, seqs};
use crate::support::{FIRST_US, Scratch, ServeProcess, V2_STREAM, events};

#[tokio::test]
async fn cursors_are_inclusive_seqs_or_times_and_future_ones_are_live() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(50, true));
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    for (cursor, from) in [
        (String::new(), 100),
        ("0".into(), 100),
        ("1".into(), 100),
        ("117".into(), 117),
        ("149".into(), 149),
        ("150".into(), 150),
        ("999999999999999".into(), 150),
        ("1000000000000000".into(), 100),
        ((FIRST_US + 17_000).to_string(), 100),
        ((FIRST_US + 10_000_000_000).to_string(), 150),
    ] {
        let frames = all(&server, &format!("cursor={cursor}")).await;
        assert_eq!(seqs(&frames), (from..150).collect::<Vec<_>>(), "cursor {cursor:?}");
    }
}

#[tokio::test]
async fn below_the_floor_a_seq_is_refused_and_a_time_starts_there_with_an_advisory() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(1_000, true));
    let flags = ["--close-at-end", "--archive-segment-events", "100", "--retention-events", "250"];
    let server = ServeProcess::start(&path, &flags);
    // Rounded down to the start of a segment.
    let floor = 100 + 700;
    for seq in [0, 1, 100, floor - 1] {
        let (status, error, message) = refusal(&server.get(&format!("{V2_STREAM}?cursor={seq}")));
        assert_eq!((status, error.as_str()), (400, "CursorTooOld"));
        let words = format!("cursor {seq} below lookback floor {floor};");
        assert!(message.starts_with("subscribe: cursor too old: ") && message.contains(&words));
    }
    let whole: Vec<u64> = (floor..1_100).collect();
    assert_eq!(seqs(&all(&server, &format!("cursor={floor}")).await), whole);
    let frames = all(&server, &format!("cursor={}", FIRST_US + 699_000)).await;
    let first = json(&frames[0]);
    let message =
        format!("requested timestamp cursor below retention floor; starting at seq {floor}");
    assert_eq!(first["payload"]["$type"], "network.bsky.jetstream.subscribeEvents#info");
    assert_eq!(first["payload"]["name"], "OutdatedCursor");
    assert_eq!(first["payload"]["message"], message.as_str());
    assert_eq!(seqs(&frames[1..]), whole);
    assert_eq!(seqs(&all(&server, &format!("cursor={}", FIRST_US + 700_000)).await), whole);
    // v1 does not report it.
    let clamped = crate::serve::all(&server, "cursor=1").await;
    assert_eq!(clamped.len(), 300);
}

#[tokio::test]
async fn the_advisory_is_compressed_too() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let server = ServeProcess::start(&path, &["--close-at-end", "--chaos", "clamp=50"]);
    let (id, dictionary) = super::dictionary::fetch(&server);
    let url = server.v2_url(&format!("cursor={FIRST_US}&zstdDictionary={id}"));
    let client = crate::support::client::Client::connect(&url).await;
    let frames = client.with_dictionary(dictionary).rest().await.0;
    assert_eq!(json(&frames[0])["payload"]["name"], "OutdatedCursor");
    assert_eq!(frames.len(), 51);
}

#[tokio::test]
async fn without_lookback_every_cursor_is_live() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(50, true));
    let server = ServeProcess::start(&path, &["--close-at-end", "--retention-events", "0"]);
    for cursor in [1, 120, FIRST_US] {
        assert_eq!(all(&server, &format!("cursor={cursor}")).await, [""; 0]);
    }
}
