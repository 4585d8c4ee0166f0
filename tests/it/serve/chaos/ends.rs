//! Faults that end a connection, or leave it open without events.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use super::upgraded;
use super::{
    CLOSE, RawEnd, TEXT, chaotic, event_numbers, frames, raw_bytes, read_on, read_with_margin,
    recorded_lines,
};
use crate::support::client::{Client, End};
use crate::support::{Scratch, ServeProcess, events};

#[tokio::test]
async fn close_ends_with_a_close_frame_after_an_event() {
    let scratch = Scratch::new();
    let lines = events(500, true);
    let server = chaotic(&scratch.recording(&lines), "close=50");
    let (got, end) = Client::connect(&server.url("")).await.rest().await;
    assert_eq!(end, End::Closed(1001, "chaos".into()));
    assert!((1..500).contains(&got.len()));
    assert_eq!(got, lines[..got.len()]);
}

#[test]
fn drop_ends_with_whole_frames_and_no_close_frame() {
    let scratch = Scratch::new();
    let lines = events(500, true);
    let server = chaotic(&scratch.recording(&lines), "drop=50");
    let (bytes, end) = raw_bytes(&server, "");
    let (frames, rest) = frames(&bytes);
    assert_eq!((end, rest), (RawEnd::Fin, &b""[..]));
    assert!(frames.iter().all(|(first, _)| *first == TEXT));
    assert!((1..500).contains(&frames.len()));
    assert_eq!(recorded_lines(&frames, &lines), lines[..frames.len()]);
}

#[test]
fn reset_ends_with_an_rst() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch.recording(&events(500, true)), "reset=50");
    assert_eq!(raw_bytes(&server, "").1, RawEnd::Reset);
}

#[test]
fn cut_ends_in_the_middle_of_a_frame() {
    let scratch = Scratch::new();
    let lines = events(500, true);
    let server = chaotic(&scratch.recording(&lines), "cut=50");
    let (bytes, end) = raw_bytes(&server, "");
    let (frames, rest) = frames(&bytes);
    assert_eq!(end, RawEnd::Fin);
    assert!(!rest.is_empty() && rest[0] == TEXT, "{rest:?}");
    assert_eq!(recorded_lines(&frames, &lines), lines[..frames.len()]);
}

#[test]
fn a_hung_connection_answers_nothing_and_stays_open() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch.recording(&events(50, true)), "hang=1");
    let mut stream = upgraded(&server, "");
    // A ping and a close frame, both masked with zeros. The server closes only because this side
    // does, after reading both.
    stream.write_all(&[0x89, 0x80, 0, 0, 0, 0, 0x88, 0x80, 0, 0, 0, 0]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    assert_eq!((read_on(stream, &mut bytes), bytes), (RawEnd::Fin, vec![]));
}

#[tokio::test]
async fn a_muted_connection_answers_pings_and_sends_no_event() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch.recording(&events(50, true)), "mute=1");
    let mut client = Client::connect(&server.url("")).await;
    for _ in 0..3 {
        assert_eq!(client.ping().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_stalled_connection_answers_pings_and_continues() {
    let scratch = Scratch::new();
    let lines = events(50, true);
    let path = scratch.recording(&lines);
    let endless = chaotic(&path, "stall=1:24h");
    assert_eq!(Client::connect(&endless.url("")).await.ping().await, Vec::<String>::new());
    let server = chaotic(&path, "stall=10:20ms");
    assert_eq!(crate::serve::all(&server, "").await, lines);
}

#[test]
fn a_hung_or_stalled_connection_does_not_delay_the_stop() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(50, true));
    for spec in ["hang=1", "stall=1:24h", "mute=1"] {
        let server = chaotic(&path, spec);
        let mut stream = upgraded(&server, "");
        let (status, stderr) = server.stop("TERM");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{spec}");
        let _ = stream.read(&mut [0; 100]);
    }
}

#[test]
fn a_violation_ends_the_connection() {
    let scratch = Scratch::new();
    let lines = events(500, true);
    let path = scratch.recording(&lines);
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..12 {
        let server = chaotic(&path, &format!("seed={seed},violate=20"));
        let (bytes, end) = raw_bytes(&server, "");
        assert_eq!(end, RawEnd::Fin);
        let (frames, rest) = frames(&bytes);
        let whole = frames.iter().take_while(|(first, _)| *first == TEXT).count();
        assert_eq!(recorded_lines(&frames, &lines), lines[..whole]);
        // Either the last frame has a bad first byte, or it is masked and can't be parsed here.
        let bad = frames.get(whole).map_or_else(|| rest[0], |(first, _)| *first);
        assert_ne!(bad, CLOSE);
        kinds.insert(bad);
    }
    assert!(kinds.len() >= 3, "{kinds:x?}");
}

#[tokio::test]
async fn a_client_that_rewinds_by_a_margin_loses_nothing() {
    let scratch = Scratch::new();
    for (kind, seqs) in [("v2", true), ("legacy", false)] {
        let path = scratch.recording(&events(600, seqs));
        for faults in ["close=80", "drop=80", "reset=80", "cut=80", "close=300,drop=300,cut=200"] {
            let flags = ["--close-at-end", "--server-kind", kind, "--chaos", faults];
            let server = ServeProcess::start(&path, &flags);
            let (mut seen, connections) = read_with_margin(&server, 600).await;
            assert!(connections > 1, "{kind} {faults}");
            // A reset may destroy bytes on their way, and the order with them.
            seen.sort_unstable();
            assert_eq!(seen, (0..600).collect::<Vec<_>>(), "{kind} {faults}");
        }
    }
}

#[tokio::test]
async fn a_reused_seq_deceives_a_client_that_trusts_the_last_seq() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(600, true));
    let server = chaotic(&path, "seed=3,reuse=100");
    let (first, end) = Client::connect(&server.url("")).await.rest().await;
    assert_eq!(end, End::Dropped);
    let last = 100 + first.len() as u64 - 1;
    let (again, _) = Client::connect(&server.url("cursor=0")).await.rest().await;
    let (old, new) = (event_numbers(&first), event_numbers(&again[..first.len()]));
    assert_ne!(old, new, "the reused seqs have the old events");
    assert!(new.iter().any(|event| !old.contains(event)), "no event was lost after seq {last}");
    let (mut seen, _) = read_with_margin(&server, 600).await;
    seen.sort_unstable();
    assert_eq!(seen, (0..600).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_crash_drops_all_connections() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(600, true));
    let server = chaotic(&path, "seed=3,reuse=100");
    let mut waiting = Client::connect(&server.url("requireHello=true")).await;
    waiting.ping().await;
    let mut streaming = Client::connect(&server.url("")).await;
    assert_eq!(streaming.rest().await.1, End::Dropped);
    assert_eq!(waiting.rest().await, (vec![], End::Dropped));
}
