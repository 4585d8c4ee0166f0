//! `--chaos` faults of the v2 stream only.

use super::dictionary::fetch;
use super::{all, json, refusal, seqs, upgrade};
use crate::support::client::{Client, End};
use crate::support::{Scratch, ServeProcess, V2_STREAM, events};

fn chaotic(scratch: &Scratch, spec: &str) -> ServeProcess {
    let path = scratch.recording(&events(2_000, true));
    ServeProcess::start(&path, &["--close-at-end", "--chaos", spec])
}

#[tokio::test]
async fn slow_and_fail_end_the_stream_with_an_error_message_without_a_close_frame() {
    let scratch = Scratch::new();
    for (spec, name) in [("slow=100", "ConsumerTooSlow"), ("fail=100", "InternalError")] {
        let server = chaotic(&scratch, spec);
        let (id, dictionary) = fetch(&server);
        let url = server.v2_url(&format!("zstdDictionary={id}"));
        let client = Client::connect(&url).await;
        let (frames, end) = client.with_dictionary(dictionary).rest().await;
        assert_eq!(end, End::Dropped);
        let (last, events) = frames.split_last().unwrap();
        let last = json(last);
        assert_eq!((&last["$type"], &last["error"]), (&"error".into(), &name.into()));
        let seqs = seqs(events);
        assert!(!seqs.is_empty() && seqs.len() < 1_900, "{}", seqs.len());
        assert_eq!(seqs, (100..100 + seqs.len() as u64).collect::<Vec<_>>());
        // v1 has no such messages.
        assert_eq!(crate::serve::all(&server, "").await, events_of_v1());
    }
}

fn events_of_v1() -> Vec<String> {
    crate::support::events(2_000, true)
}

#[tokio::test]
async fn unknown_adds_messages_and_loses_none() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch, "unknown=20");
    let frames = all(&server, "").await;
    assert!((2_030..2_300).contains(&frames.len()), "{}", frames.len());
    let known = frames.iter().filter(|f| f.contains("#commit") || f.contains("#identity"));
    let known: Vec<String> = known.cloned().collect();
    assert_eq!(seqs(&known), (100..2_100).collect::<Vec<_>>());
    assert_eq!(
        frames,
        all(&chaotic(&scratch, "unknown=20"), "").await,
        "a second run has other faults"
    );
    assert_eq!(crate::serve::all(&server, "").await, events_of_v1());
}

#[test]
fn echo_omits_or_falsifies_the_subprotocol() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch, "fail=1,echo=1");
    let heads: Vec<String> = (0..12)
        .map(|_| {
            let answer = server.raw_bytes(&upgrade("", "Sec-WebSocket-Protocol: xrpc.v1.json\r\n"));
            String::from_utf8_lossy(&answer).split_once("\r\n\r\n").unwrap().0.to_owned()
        })
        .collect();
    let wrong = |head: &&String| head.contains("Sec-WebSocket-Protocol: xrpc.v0.chaos");
    assert!(!heads.iter().any(|head| head.contains("xrpc.v1.json")));
    assert!((1..12).contains(&heads.iter().filter(wrong).count()));
}

#[tokio::test]
async fn rotate_changes_the_dictionary_id_and_keeps_connections() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch, "rotate=2,stall=1900:1s");
    let (id, dictionary) = fetch(&server);
    let query = format!("zstdDictionary={id}");
    let mut before =
        Client::connect(&server.v2_url(&query)).await.with_dictionary(dictionary.clone());
    assert_eq!(before.take(5).await.len(), 5);
    drop(Client::connect(&server.v2_url(&query)).await);
    let (status, error, message) = refusal(&server.get(&format!("{V2_STREAM}?{query}")));
    assert_eq!((status, error.as_str()), (400, "UnknownZstdDictionary"));
    let (other, changed) = fetch(&server);
    assert_ne!(other, id);
    assert!(message.ends_with(&format!("current dictionary id is {other}")), "{message}");
    let client = Client::connect(&server.v2_url(&format!("zstdDictionary={other}"))).await;
    assert_eq!(client.with_dictionary(changed).rest().await.0.len(), 2_000);
    assert_eq!(before.rest().await.0.len(), 1_995);
}

#[test]
fn deny_refuses_the_current_dictionary() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch, "deny=1");
    let (id, _) = fetch(&server);
    let answer = server.get(&format!("{V2_STREAM}?zstdDictionary={id}"));
    let (_, error, message) = refusal(&answer);
    assert_eq!(error, "UnknownZstdDictionary");
    assert!(message.ends_with(&format!("current dictionary id is {id}")), "{message}");
}
