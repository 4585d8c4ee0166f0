//! Tests the frame parser against hand-written frames, random bytes, and the WebSocket library.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::*;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n @ 0..=125 => frame.push(n as u8),
        n @ 126..=0xffff => {
            frame.push(126);
            frame.extend((n as u16).to_be_bytes());
        }
        n => {
            frame.push(127);
            frame.extend((n as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// Feeds bytes in pieces of `step` and describes each message.
fn read_all(bytes: &[u8], step: usize, max: usize) -> Result<Vec<String>, FrameError> {
    let mut frames = FrameBuffer::new(max, &[]);
    let mut seen = Vec::new();
    for piece in bytes.chunks(step) {
        let mut piece = piece;
        while !piece.is_empty() {
            let space = frames.unfilled();
            let n = piece.len().min(space.len());
            space[..n].copy_from_slice(&piece[..n]);
            frames.advance(n);
            piece = &piece[n..];
            while let Some(message) = frames.next()? {
                seen.push(match message {
                    Message::Text(t) if t.len() > 99 => format!("text of {}", t.len()),
                    Message::Text(t) => format!("text {}", String::from_utf8_lossy(t)),
                    Message::Binary(b) => format!("binary {}", b.len()),
                    Message::Close { code, reason } => {
                        format!("close {code:?} {}", String::from_utf8_lossy(reason))
                    }
                    Message::Ping(p) => format!("ping {}", String::from_utf8_lossy(p)),
                    other => format!("{other:?}"),
                });
            }
        }
    }
    Ok(seen)
}

#[test]
fn messages_do_not_depend_on_how_the_bytes_arrive() {
    let mut bytes = frame(0x81, b"one");
    bytes.extend(frame(0x82, &[7; 200]));
    bytes.extend(frame(0x89, b"p"));
    bytes.extend(frame(0x01, b"frag"));
    bytes.extend(frame(0x8a, b""));
    bytes.extend(frame(0x00, b"men"));
    bytes.extend(frame(0x80, b"ted"));
    bytes.extend(frame(0x81, &vec![b'x'; 70_000]));
    bytes.extend(frame(0x81, b""));
    bytes.extend(frame(0x88, b"\x03\xe9bye"));
    let expected = [
        "text one",
        "binary 200",
        "ping p",
        "Pong",
        "text fragmented",
        "text of 70000",
        "text ",
        "close Some(1001) bye",
    ];
    for step in [1, 2, 3, 7, 100, 4096, bytes.len()] {
        assert_eq!(read_all(&bytes, step, 100_000).unwrap(), expected, "step {step}");
    }
}

#[test]
fn a_message_over_the_limit_is_skipped_and_the_next_one_parsed() {
    let mut bytes = frame(0x81, &vec![b'x'; 2_000_000]);
    bytes.extend(frame(0x81, b"next"));
    bytes.extend(frame(0x01, &[b'x'; 900]));
    bytes.extend(frame(0x80, &[b'x'; 900]));
    bytes.extend(frame(0x01, &[b'x'; 5000]));
    bytes.extend(frame(0x80, &[b'x'; 5]));
    bytes.extend(frame(0x01, &[b'x'; 5]));
    bytes.extend(frame(0x80, &[b'x'; 5000]));
    bytes.extend(frame(0x81, b"last"));
    for step in [1000, 65_536] {
        assert_eq!(
            read_all(&bytes, step, 1000).unwrap(),
            ["TooLong", "text next", "TooLong", "TooLong", "TooLong", "text last"]
        );
    }
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let mut frames = FrameBuffer::new(usize::MAX / 2, &[0x81, 127, 0, 0, 0x7f, 0, 0, 0, 0, 0]);
    assert_eq!(frames.next(), Ok(None));
    assert!(frames.unfilled().len() <= READ_BYTES);
}

#[test]
fn memory_returns_after_a_large_message() {
    let mut frames = FrameBuffer::new(8 << 20, &frame(0x81, &vec![b'x'; 4 << 20]));
    assert!(matches!(frames.next(), Ok(Some(Message::Text(t))) if t.len() == 4 << 20));
    assert_eq!(frames.unfilled().len(), READ_BYTES);
}

#[test]
fn protocol_violations_are_errors() {
    for (bytes, error) in [
        (vec![0xc1, 0], FrameError::ReservedBits),
        (vec![0x83, 0], FrameError::UnknownOpcode(3)),
        (vec![0x8b, 0], FrameError::UnknownOpcode(11)),
        (vec![0x81, 0x80], FrameError::Masked),
        (vec![0x09, 0], FrameError::BadControl),
        (vec![0x89, 126, 0, 126], FrameError::BadControl),
        (vec![0x80, 0], FrameError::BadFragment),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), FrameError::BadFragment),
        (vec![0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], FrameError::BadLength),
    ] {
        assert_eq!(read_all(&bytes, 100, 1000), Err(error));
    }
}

/// A peer that sends recorded bytes and ignores what it receives.
struct Recorded<'a>(&'a [u8]);

impl Read for Recorded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Recorded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the messages that the library finds in the same bytes, and whether it reports a
/// protocol violation.
fn oracle(bytes: &[u8]) -> (Vec<String>, bool) {
    let mut socket = WebSocket::from_raw_socket(Recorded(bytes), Role::Client, None);
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(tungstenite::Message::Text(text)) if text.len() > 99 => {
                seen.push(format!("text of {}", text.len()));
            }
            Ok(tungstenite::Message::Text(text)) => seen.push(format!("text {text}")),
            Ok(tungstenite::Message::Binary(b)) => seen.push(format!("binary {}", b.len())),
            Ok(tungstenite::Message::Ping(p)) => {
                seen.push(format!("ping {}", String::from_utf8_lossy(&p)));
            }
            Ok(tungstenite::Message::Pong(_)) => seen.push("Pong".to_owned()),
            Ok(tungstenite::Message::Close(frame)) => {
                let code = frame.as_ref().map(|frame| u16::from(frame.code));
                let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                seen.push(format!("close {code:?} {reason}"));
                return (seen, false);
            }
            Ok(tungstenite::Message::Frame(_)) => {}
            Err(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return (seen, false);
            }
            Err(_) => return (seen, true),
        }
    }
}

/// A frame that is mostly valid, and short enough to be shown whole.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let data =
        prop_oneof![Just(0x81u8), Just(0x82), Just(0x01), Just(0x02), Just(0x00), Just(0x80)];
    prop_oneof![
        12 => (data, "[ -~]{0,90}").prop_map(|(first, text)| frame(first, text.as_bytes())),
        3 => (0x89u8..=0x8a, "[ -~]{0,40}").prop_map(|(first, text)| frame(first, text.as_bytes())),
        1 => "[ -~]{0,40}".prop_map(|text| frame(0x88, &[&[3, 0xe8], text.as_bytes()].concat())),
        1 => (any::<u8>(), "[ -~]{0,9}").prop_map(|(first, text)| frame(first, text.as_bytes())),
        1 => Just(vec![0x81, 0x81, 1, 2, 3, 4, 5]),
    ]
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000), step in 1usize..100,
    ) {
        let _ = read_all(&bytes, step, 300);
    }

    #[test]
    fn random_messages_come_out_unchanged(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..500), 0..20),
        step in 1usize..300,
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|p| frame(0x82, p)).collect();
        let expected: Vec<String> = payloads.iter().map(|p| format!("binary {}", p.len())).collect();
        prop_assert_eq!(read_all(&bytes, step, 500).unwrap(), expected);
    }

    #[test]
    fn the_library_finds_the_same_messages_in_random_frames(
        frames in prop::collection::vec(any_frame(), 0..30), step in 1usize..200,
    ) {
        // One accepts a close frame with half a code, the other refuses it.
        let is_odd = |f: &Vec<u8>| f[0] & 0x0f == 8 && (f[0] != 0x88 || f[1] < 2 || f[2] != 3);
        prop_assume!(!frames.iter().any(is_odd));
        let bytes = frames.concat();
        let (theirs, is_broken) = oracle(&bytes);
        match read_all(&bytes, step, 1 << 20) {
            Ok(ours) => {
                let end = ours.iter().position(|m| m.starts_with("close")).map(|i| i + 1);
                prop_assert_eq!(&ours[..end.unwrap_or(ours.len())], theirs);
                prop_assert!(!is_broken);
            }
            // What follows a close frame does not matter.
            Err(_) => prop_assert!(is_broken || theirs.last().is_some_and(|m| m.starts_with("close"))),
        }
    }
}
