//! Where a stream starts, and the delivery of a paced recording (§4).

use crate::serve::{all, end_of_recording};
use crate::support::client::Client;
use crate::support::{FIRST_US, Scratch, ServeProcess, events};

#[tokio::test]
async fn v2_cursors_below_ten_to_the_fifteen_are_seqs_and_others_times() {
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
    assert_eq!(
        all(&server, &at(10_020)).await,
        lines[10_000..],
        "times are coarse in the active segment"
    );
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

#[tokio::test]
async fn a_paced_recording_starts_with_the_first_client_and_arrives_in_order() {
    let scratch = Scratch::new();
    for (seqs, rate) in [(true, "1x"), (true, "1000/s"), (false, "2x"), (false, "1000/s")] {
        let lines = events(120, seqs);
        let path = scratch.recording(&lines);
        let server = ServeProcess::start(&path, &["--close-at-end", "--rate", rate]);
        assert_eq!(all(&server, "").await, lines, "{rate}");
        // The playhead is at the end now: every event is replayed, and none is live.
        assert_eq!(all(&server, "").await, Vec::<String>::new(), "{rate}");
        let cursor = if seqs { "110".to_owned() } else { (FIRST_US + 10_000).to_string() };
        assert_eq!(all(&server, &format!("cursor={cursor}")).await, lines[10..], "{rate}");
    }
}

#[tokio::test]
async fn a_later_client_without_a_cursor_starts_at_the_playhead() {
    let scratch = Scratch::new();
    let lines = events(1_000, true);
    let path = scratch.recording(&lines);
    let server = ServeProcess::start(&path, &["--close-at-end", "--rate", "500/s"]);
    let mut first = Client::connect(&server.url("")).await;
    let begun = first.take(100).await;
    let (later, end) = Client::connect(&server.url("")).await.rest().await;
    assert_eq!(end, end_of_recording());
    assert!(later.len() <= 900, "{} events", later.len());
    assert!(lines.ends_with(&later));
    assert_eq!([begun, first.rest().await.0].concat(), lines);
}

#[tokio::test]
async fn without_close_at_end_a_connection_stays_open_and_idle() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    let server = ServeProcess::start(&path, &[]);
    let mut client = Client::connect(&server.url("")).await;
    assert_eq!(client.take(5).await.len(), 5);
    assert_eq!(client.ping().await, Vec::<String>::new());
}
