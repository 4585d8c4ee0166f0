//! Malformed input: broken JSON, broken zstd, invalid frames. Pure.

use std::sync::OnceLock;

use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use super::random::Draw;

/// Size of an oversized message: above 16 MiB, the limit of many clients.
const OVERSIZED_BYTES: usize = 17 << 20;
/// Decompressed size of a zstd bomb.
const BOMB_BYTES: usize = 64 << 20;
/// Nesting depth of the array message.
const DEPTH: usize = 100_000;

/// Messages that a client must neither accept as events nor fail on.
const GARBAGE: [&[u8]; 16] = [
    b"",
    b"null",
    b"{}",
    b"{}{}",
    b"[{\"did\":\"did:plc:garbage\"}]",
    b"{\"did\":\"did:plc:garbage\",\"time_us\":17",
    b"{\"did\":\"did:plc:garbage\\",
    b"{\"did\":7,\"time_us\":\"now\",\"kind\":[]}",
    b"{\"did\":\"did:plc:garbage\",\"time_us\":-1,\"kind\":\"commit\",\"commit\":\"none\"}",
    b"{\"did\":\"did:plc:garbage\",\"time_us\":1e999,\"kind\":\"commit\"}",
    b"{\"did\":\"did:plc:garbage\",\"time_us\":1,\"kind\":\"a\x01\r\nb\"}",
    b"\x1b]0;garbage\x07\x1b[2J\x1b[31mgarbage",
    b"\0\0\0\0",
    b"\n\n{\"did\":\n",
    // Not UTF-8: sent in binary messages only, because invalid text would violate the protocol.
    b"{\"did\":\"did:plc:\xff\xfe\",\"time_us\":1,\"kind\":\"commit\"}",
    b"\xc3\x28\xa0\xa1\x80",
];

/// Returns a message that is not an event.
pub(in crate::serve) fn garbage(draw: Draw) -> Bytes {
    match GARBAGE.get(draw.below(0, GARBAGE.len() as u64 + 1) as usize) {
        Some(&bytes) => Bytes::from_static(bytes),
        None => vec![b'['; DEPTH].into(),
    }
}

/// Returns oversized JSON that is not an event. Built once and shared.
pub(in crate::serve) fn oversized() -> Utf8Bytes {
    static OVERSIZED: OnceLock<Utf8Bytes> = OnceLock::new();
    let make = || {
        let (start, end) = ("{\"oversized\":\"", "\"}");
        let filler = "a".repeat(OVERSIZED_BYTES - start.len() - end.len());
        format!("{start}{filler}{end}").into()
    };
    OVERSIZED.get_or_init(make).clone()
}

/// Returns a zstd frame of a few kilobytes that expands to 64 MiB. Built once and shared; empty if
/// zstd has no memory for it.
pub(in crate::serve) fn bomb() -> Bytes {
    static BOMB: OnceLock<Bytes> = OnceLock::new();
    let make = || zstd::bulk::compress(&vec![b' '; BOMB_BYTES], 1).unwrap_or_default().into();
    BOMB.get_or_init(make).clone()
}

/// Damages a valid zstd frame: changes bytes, truncates it, or changes its dictionary id.
pub(in crate::serve) fn damage(draw: Draw, mut frame: Vec<u8>) -> Bytes {
    // Offset of the frame header descriptor, after the magic number (RFC 8878 §3.1.1.1).
    const DESCRIPTOR: usize = 4;
    match draw.below(1, 3) {
        0 => frame.truncate(frame.len() / 2),
        1 => {
            // Here the dictionary id (up to four bytes) or the first block begins.
            let single_segment = frame.get(DESCRIPTOR).is_some_and(|d| d & 0x20 != 0);
            let id_at = DESCRIPTOR + if single_segment { 1 } else { 2 };
            if let Some(byte) = frame.get_mut(id_at) {
                *byte ^= 0x55;
            }
        }
        _ => {
            // The checksum at the end makes any change in the middle detectable.
            let (middle, last) = (frame.len() / 2, frame.len().saturating_sub(1));
            for at in [middle, last] {
                if let Some(byte) = frame.get_mut(at) {
                    *byte ^= 0xff;
                }
            }
        }
    }
    frame.into()
}

/// Returns a frame that violates RFC 6455: reserved bits (§5.2), masked by a server (§5.1), or a
/// reserved opcode (§5.2).
pub(in crate::serve) fn violation(draw: Draw) -> &'static [u8] {
    const ALL: [&[u8]; 5] = [
        b"\xf1\x02{}",
        b"\x81\x82\x01\x02\x03\x04\x7a\x7f",
        b"\x83\x02{}",
        b"\x8b\x00",
        // A fragmented ping (§5.5).
        b"\x09\x01a",
    ];
    ALL.get(draw.below(0, ALL.len() as u64) as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header;

    #[test]
    fn garbage_is_never_an_event() {
        for number in 0..200 {
            let bytes = garbage(Draw::of(number));
            let text = std::str::from_utf8(&bytes);
            assert!(text.is_err() || header::parse(&bytes).is_err(), "{bytes:?}");
        }
        assert!(header::parse(oversized().as_bytes()).is_err());
        assert_eq!(oversized().len(), OVERSIZED_BYTES);
    }

    #[test]
    fn a_bomb_is_small_and_expands() {
        let bomb = bomb();
        assert!((1..100_000).contains(&bomb.len()), "{}", bomb.len());
        assert_eq!(zstd::bulk::decompress(&bomb, BOMB_BYTES).unwrap().len(), BOMB_BYTES);
    }

    #[test]
    fn a_damaged_frame_does_not_decompress() {
        let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
        compressor.include_checksum(true).unwrap();
        let line = br#"{"did":"did:plc:a","time_us":1,"kind":"commit"}"#;
        for number in 0..50 {
            let frame = compressor.compress(line).unwrap();
            let damaged = damage(Draw::of(number), frame);
            assert!(zstd::bulk::decompress(&damaged, 1_000).is_err(), "{number}");
        }
    }
}
