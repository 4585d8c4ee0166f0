//! Faults of order, repetition and fragmentation, and their repeatability with the same seed.

use std::io::Read as _;

use super::{PING, RawEnd, chaotic, frames, json, raw_bytes, upgraded};
use crate::support::{Scratch, events};

#[tokio::test]
async fn duplicate_repeats_an_event() {
    let scratch = Scratch::new();
    let lines = events(20, true);
    let server = chaotic(&scratch.recording(&lines), "duplicate=1");
    let twice: Vec<String> = lines.iter().flat_map(|l| [l.clone(), l.clone()]).collect();
    assert_eq!(crate::serve::all(&server, "").await, twice);
}

#[tokio::test]
async fn swap_exchanges_neighbours_of_two_accounts() {
    let scratch = Scratch::new();
    let lines = events(500, true);
    let server = chaotic(&scratch.recording(&lines), "swap=5");
    let got = crate::serve::all(&server, "").await;
    let place = |line: &String| lines.iter().position(|l| l == line).unwrap();
    let places: Vec<usize> = got.iter().map(place).collect();
    let moved = places.iter().zip(0..).filter(|&(&p, i)| p != i).count();
    assert!(moved > 40, "{moved}");
    assert!(places.iter().zip(0..).all(|(&p, i)| p.abs_diff(i) <= 1));
    for did in ["did:plc:even", "did:plc:odd", "did:plc:tenth"] {
        assert!(got.iter().filter(|l| json(l)["did"] == did).map(place).is_sorted());
    }
    // The events of one account keep their order.
    let alone: Vec<String> = lines.iter().filter(|l| l.contains("plc:odd")).cloned().collect();
    assert_eq!(crate::serve::all(&server, "wantedDids=did:plc:odd").await, alone);
}

#[test]
fn dribble_sends_single_bytes() {
    let scratch = Scratch::new();
    // Enough of them that a busy machine lets the reader run in between.
    let lines = events(200, true);
    let server = chaotic(&scratch.recording(&lines), "dribble=1");
    let mut stream = upgraded(&server, "");
    let (mut bytes, mut reads) = (Vec::new(), 0);
    loop {
        let mut some = [0; 4096];
        match stream.read(&mut some).unwrap() {
            0 => break,
            n => bytes.extend_from_slice(&some[..n]),
        }
        reads += 1;
    }
    let (frames, _) = frames(&bytes);
    assert_eq!(super::recorded_lines(&frames, &lines), lines);
    // The kernel decides how many bytes one read returns.
    assert!(reads > 100, "{reads} reads of {} bytes", bytes.len());
}

#[tokio::test]
async fn fragment_sends_an_event_in_parts_with_pings_between() {
    let scratch = Scratch::new();
    let lines = events(20, true);
    let server = chaotic(&scratch.recording(&lines), "fragment=1");
    assert_eq!(crate::serve::all(&server, "").await, lines);
    let (bytes, _) = tokio::task::spawn_blocking(move || raw_bytes(&server, "")).await.unwrap();
    let (frames, _) = frames(&bytes);
    let firsts: Vec<u8> = frames.iter().take(3).map(|(first, _)| *first).collect();
    assert_eq!(firsts[..2], [0x01, PING], "not a text fragment, then a ping");
    assert!(matches!(firsts[2], 0x00 | 0x80), "not a continuation frame");
}

const MANY: &str = "duplicate=20,swap=10,same=10,step=50,imported=30,garbage=10,ping=10,\
                    fragment=10,dribble=100,violate=2000,drop=1000,cut=2000,reuse=300";

#[test]
fn a_seed_repeats_the_same_faults_on_the_same_connection() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(400, true));
    let play = |spec: &str| {
        let server = chaotic(&path, spec);
        [raw_bytes(&server, ""), raw_bytes(&server, "")]
    };
    let first = play(&format!("seed=5,{MANY}"));
    assert_eq!(first, play(&format!("seed=5,{MANY}")));
    assert_ne!(first[0].0, first[1].0, "two connections have the same faults");
    assert_ne!(first[0].0, play(&format!("seed=6,{MANY}"))[0].0, "two seeds give the same faults");
    assert!(first.iter().all(|(_, end)| *end == RawEnd::Fin));
}

#[test]
fn the_ready_line_names_the_seed_and_keeps_its_prefix() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    let server = chaotic(&path, "stall=50,close=7");
    let line = &server.ready_line;
    assert!(line.starts_with("skytail: serving 5 events on ws://127.0.0.1:"), "{line}");
    assert!(line.ends_with("(v2, max, chaos seed=0,close=7,stall=50:2s)\n"), "{line}");
}
