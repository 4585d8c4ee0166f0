//! Compressed connections: a bad frame costs only itself, and a server with another dictionary ends
//! only runs with `--compress on`.

use crate::support::events;
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, Hang, Send, Sync};
use crate::support::scripted::{ScriptedServer, binary, text, texts};

/// A different dictionary for each salt.
fn dictionary(salt: u64) -> Vec<u8> {
    let samples: Vec<String> = (0..500_u64)
        .map(|n| {
            let word = (n + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            format!(r#"{{"did":"did:plc:{word:x}","time_us":{n},"kind":"commit","salt":{salt}}}"#)
        })
        .collect();
    ::zstd::dict::from_samples(&samples, 4096).unwrap()
}

fn deflate(line: impl AsRef<[u8]>, dictionary: &[u8]) -> Vec<u8> {
    let mut compressor = ::zstd::bulk::Compressor::with_dictionary(3, dictionary).unwrap();
    compressor.compress(line.as_ref()).unwrap()
}

fn compressed(lines: &[String], dictionary: &[u8]) -> Vec<u8> {
    lines.iter().flat_map(|line| binary(&deflate(line, dictionary))).collect()
}

fn tail_with(server: &ScriptedServer, mode: &str, dictionary: &[u8]) -> Tail {
    let tail = Tail::of(server);
    let file = tail.file("a.zdict", dictionary);
    tail.flags(&["--compress", mode, "--zstd-dictionary", &file])
}

/// Sends an event, then `bad`, then another event, all on a compressed connection.
#[track_caller]
fn assert_skips(bad: Vec<u8>) -> Run {
    let (events, ours) = (events(2, true), dictionary(1));
    let server = ScriptedServer::start([vec![
        Accept,
        Send(compressed(&events[..1], &ours)),
        Sync,
        Send(bad),
        Sync,
        Send(compressed(&events[1..], &ours)),
        Hang,
    ]]);
    let run = tail_with(&server, "on", &ours).flags(&["-n", "2", "--max-frame-size", "1MiB"]).run();
    run.ends_with(0).prints(&events);
    assert_eq!(server.requests()[0].query("compress"), ["true"]);
    run
}

// Guards INV-5.
#[test]
fn a_bomb_is_skipped_and_reported() {
    let bomb = deflate(vec![b'x'; 256 << 20], &dictionary(1));
    assert!(bomb.len() < 100_000);
    assert_skips(binary(&bomb)).says(&["decompresses to more than 1048576 bytes"]);
}

#[test]
fn damaged_frames_are_skipped_and_reported() {
    let ours = dictionary(1);
    let whole = deflate(&events(9, true)[8], &ours);
    assert_skips(binary(&whole[..whole.len() / 2])).says(&["the zstd frame is cut off"]);
    assert_skips(binary(&[&whole[..], b"more"].concat())).says(&["4 bytes follow the zstd frame"]);
    assert_skips(binary(b"\x1b[2Jhello")).says(&["not a zstd frame"]);
    assert_skips(binary(b"")).says(&["not a zstd frame"]);
    assert_skips(binary(&deflate("\n\x1b[2J", &ours))).says(&["skipped a malformed event"]);
}

#[test]
fn text_on_a_compressed_connection_is_accepted() {
    let (events, ours) = (events(3, true), dictionary(1));
    let mixed =
        [compressed(&events[..1], &ours), text(&events[1]), compressed(&events[2..], &ours)];
    let server = ScriptedServer::start([vec![Accept, Send(mixed.concat()), Hang]]);
    tail_with(&server, "on", &ours).flags(&["-n", "3"]).run().ends_with(0).prints(&events);
}

#[test]
fn one_message_with_another_dictionary_is_skipped_and_reported() {
    let foreign = deflate(&events(9, true)[8], &dictionary(2));
    assert_skips(binary(&foreign)).says(&["the server compresses with dictionary"]);
}

#[test]
fn another_dictionary_ends_a_run_with_compress_on() {
    let (ours, theirs) = (dictionary(1), dictionary(2));
    let server =
        ScriptedServer::start([vec![Accept, Send(compressed(&events(2, true), &theirs)), Hang]]);
    let run = tail_with(&server, "on", &ours).run();
    run.ends_with(1).prints([""; 0]).says(&[
        &server.host(),
        "the server compresses with dictionary",
        "--zstd-dictionary",
        "--compress off",
    ]);
}

#[test]
fn another_dictionary_makes_a_lenient_run_continue_uncompressed() {
    let (events, ours, theirs) = (events(9, true), dictionary(1), dictionary(2));
    // It changes its dictionary in the middle.
    let server = ScriptedServer::start([
        vec![
            Accept,
            Send(compressed(&events[..3], &ours)),
            Sync,
            Send(compressed(&events[3..5], &theirs)),
            Hang,
        ],
        vec![Accept, Send(texts(&events)), Hang],
    ]);
    let run = tail_with(&server, "auto", &ours).flags(&["-n", "9"]).run();
    run.ends_with(0).prints(&events).says(&["receiving uncompressed"]);
    let requests = server.requests();
    assert_eq!(requests[0].query("compress"), ["true"]);
    assert_eq!(requests[1].query("compress"), [""; 0]);
    assert_eq!(requests[1].query("cursor"), ["100"]);
}
