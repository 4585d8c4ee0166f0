//! Injected messages that are not events: no event is lost.

use super::{BINARY, PING, TEXT, chaotic, frames, raw_bytes, recorded_lines};
use crate::support::client::Client;
use crate::support::{Scratch, ServeProcess, events};

#[test]
fn garbage_is_sent_between_events() {
    let scratch = Scratch::new();
    let lines = events(300, true);
    let server = chaotic(&scratch.recording(&lines), "garbage=2");
    let (bytes, _) = raw_bytes(&server, "");
    let (frames, _) = frames(&bytes);
    assert_eq!(recorded_lines(&frames, &lines), lines);
    let garbage: Vec<&[u8]> = frames
        .iter()
        .filter(|(first, payload)| {
            *first == BINARY || (*first == TEXT && !lines.iter().any(|l| l.as_bytes() == *payload))
        })
        .map(|(_, payload)| *payload)
        .collect();
    assert!((100..200).contains(&garbage.len()), "{}", garbage.len());
    let any = |wanted: &dyn Fn(&[u8]) -> bool| garbage.iter().any(|g| wanted(g));
    assert!(any(&|g| g.is_empty()), "no empty message");
    assert!(any(&|g| g.starts_with(b"\x1b]")), "no escape sequence");
    assert!(any(&|g| g.contains(&1)), "no control character");
    assert!(any(&|g| std::str::from_utf8(g).is_err()), "no invalid UTF-8");
    assert!(any(&|g| g.len() == 100_000), "no deep nesting");
    // Bad UTF-8 in a text message would break RFC 6455, which is another fault.
    assert!(frames.iter().all(|(first, g)| *first != TEXT || std::str::from_utf8(g).is_ok()));
}

#[test]
fn oversized_sends_a_17_mib_message_that_is_not_an_event() {
    let scratch = Scratch::new();
    let lines = events(10, true);
    let server = chaotic(&scratch.recording(&lines), "oversized=3");
    let (bytes, _) = raw_bytes(&server, "");
    let (frames, _) = frames(&bytes);
    assert_eq!(recorded_lines(&frames, &lines), lines);
    let long = frames.iter().filter(|(first, text)| *first == TEXT && text.len() == 17 << 20);
    let long = long.count();
    assert!((1..10).contains(&long));
    assert_eq!(frames.len(), lines.len() + long + 1, "other frames than events and a close frame");
}

#[test]
fn zstd_garbage_is_sent_on_compressed_connections_only() {
    let scratch = Scratch::new();
    let lines = events(200, true);
    let path = scratch.recording(&lines);
    let dictionary_file = scratch.path("test.zdict");
    let flags = ["--close-at-end", "--chaos", "zstd=2", "--write-dictionary"];
    let flags = [&flags[..], &[dictionary_file.to_str().unwrap()]].concat();
    let server = ServeProcess::start(&path, &flags);
    let (plain, _) = raw_bytes(&server, "");
    assert_eq!(
        frames(&plain).0.len(),
        lines.len() + 1,
        "other frames than events and a close frame"
    );
    let (packed, _) = raw_bytes(&server, "compress=true");
    let (frames, _) = frames(&packed);
    let dictionary = std::fs::read(&dictionary_file).unwrap();
    let mut inflater = zstd::bulk::Decompressor::with_dictionary(&dictionary).unwrap();
    let (mut good, mut bombs, mut damaged) = (Vec::new(), 0, 0);
    for (first, payload) in &frames {
        match inflater.decompress(payload, 64 << 20) {
            _ if *first != BINARY => {}
            Ok(text) if text.len() == 64 << 20 => bombs += 1,
            Ok(text) => good.push(String::from_utf8(text).unwrap()),
            Err(_) => damaged += 1,
        }
    }
    assert_eq!(good, lines);
    assert!(bombs > 5 && damaged > 40, "{bombs} {damaged}");
}

#[tokio::test]
async fn an_injected_ping_has_a_payload() {
    let scratch = Scratch::new();
    let lines = events(20, true);
    let server = chaotic(&scratch.recording(&lines), "ping=1");
    assert_eq!(Client::connect(&server.url("")).await.rest().await.0, lines);
    let (bytes, _) = tokio::task::spawn_blocking(move || raw_bytes(&server, "")).await.unwrap();
    let (frames, _) = frames(&bytes);
    assert_eq!(frames[0], (PING, &b"chaos at 0"[..]));
    assert_eq!(frames.iter().filter(|(first, _)| *first == PING).count(), 20);
}
