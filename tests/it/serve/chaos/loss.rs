//! `omit` and `blind`: events that a server does not have, on no connection and for no cursor.

use super::{chaotic, event_number, event_numbers, json};
use crate::support::client::Client;
use crate::support::{Scratch, ServeProcess, events};

const EVENTS: u64 = 200;

/// Returns the numbers of the events that a server of this kind sends.
async fn sent(scratch: &Scratch, kind: &str, spec: &str) -> Vec<u64> {
    let path = scratch.recording(&events(EVENTS, kind == "v2"));
    let flags = ["--close-at-end", "--server-kind", kind, "--chaos", spec];
    let server = ServeProcess::start(&path, &flags);
    event_numbers(&crate::serve::all(&server, "").await)
}

fn without(is_missing: impl Fn(u64) -> bool) -> Vec<u64> {
    (0..EVENTS).filter(|event| !is_missing(*event)).collect()
}

#[tokio::test]
async fn omit_leaves_out_every_nth_event_by_the_seed() {
    let scratch = Scratch::new();
    for kind in ["v2", "legacy"] {
        for seed in [0, 3, 13] {
            let got = sent(&scratch, kind, &format!("seed={seed},omit=10")).await;
            assert_eq!(got, without(|event| event % 10 == seed % 10), "{kind}, seed {seed}");
        }
    }
}

#[tokio::test]
async fn blind_leaves_out_commits_of_a_collection_or_of_several() {
    let scratch = Scratch::new();
    let likes = |event: u64| event % 2 == 1 && event % 10 != 9;
    let got = sent(&scratch, "legacy", "blind=app.bsky.feed.like").await;
    assert_eq!(got, without(likes));
    let got = sent(&scratch, "v2", "blind=app.bsky.*,omit=20,seed=9").await;
    assert_eq!(got, without(|event| event % 10 != 9 || event % 20 == 9));
}

#[tokio::test]
async fn a_cursor_moves_past_what_a_server_does_not_have() {
    let scratch = Scratch::new();
    let lines = events(EVENTS, true);
    let server = chaotic(&scratch.recording(&lines), "omit=10,blind=app.bsky.feed.post");
    let is_there = |line: &&String| {
        let event = event_number(line);
        !event.is_multiple_of(10) && !event.is_multiple_of(2)
    };
    let rest: Vec<String> = lines[50..].iter().filter(is_there).cloned().collect();
    // The cursor is that of an event that the server does not have.
    assert_eq!(crate::serve::all(&server, "cursor=150").await, rest);
    let (frames, _) = Client::connect(&server.v2_url("cursor=150")).await.rest().await;
    let seqs = |frame: &String| json(frame)["payload"]["seq"].as_u64().unwrap();
    let recorded = |line: &String| json(line)["cursor"].as_u64().unwrap();
    assert!(frames.iter().map(seqs).eq(rest.iter().map(recorded)), "the v2 stream");
}

/// A client relies on it: a witness of a lossy server completes it.
#[tokio::test]
async fn two_instances_with_different_seeds_have_every_event_between_them() {
    let scratch = Scratch::new();
    let one = sent(&scratch, "v2", "seed=4,omit=7,instance=1").await;
    let other = sent(&scratch, "legacy", "seed=5,omit=7,instance=2").await;
    let mut all: Vec<u64> = one.iter().chain(&other).copied().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, without(|_| false));
    let mut sorted = one.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, without(|event| event % 7 == 4), "an instance lacks other events");
}
