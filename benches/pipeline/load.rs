//! The load: events of real shape, as prepared frames.

use skytail::serve::{demo, v2_message};

/// The time of the last event; any past instant does.
const END_US: u64 = 1_780_000_000_000_000;
/// The demo's seed.
const SEED: u64 = 7;
/// Events generated at once, so that the generator's own memory stays small.
const PIECE: usize = 100_000;

/// Frames, back to back.
pub struct Load {
    pub frames: Vec<u8>,
    pub events: usize,
    /// The size of the lines with their line feeds, in bytes.
    pub line_bytes: u64,
    pub protocol: Protocol,
}

/// The protocol of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    V1,
    V2,
}

/// The lines of `events` events. Every piece is another network, in the order of time and with
/// continuous numbers.
pub fn lines(events: usize, mut each: impl FnMut(&[u8])) {
    let mut left = events;
    let mut seq = demo::FIRST_SEQ;
    let mut whole = Vec::new();
    let mut numbered = |line: &[u8]| {
        const MEMBER: &[u8] = br#""cursor":"#;
        let at = memchr::memmem::find(line, MEMBER).expect("a v2 server's event") + MEMBER.len();
        let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        whole.clear();
        whole.extend_from_slice(&line[..at]);
        whole.extend_from_slice(seq.to_string().as_bytes());
        whole.extend_from_slice(&line[at + digits..]);
        seq += 1;
        each(&whole);
    };
    while left > 0 {
        let piece = left.min(PIECE);
        // A commit takes two milliseconds, so that pieces don't overlap.
        let end_us = END_US - (left - piece) as u64 * 2_500;
        let recording = demo::recording(SEED + left as u64, piece, end_us);
        recording.lines().take(piece).for_each(&mut numbered);
        left -= piece;
    }
}

impl Load {
    pub fn plain(events: usize) -> Self {
        let mut load = Self::none(events);
        lines(events, |line| {
            load.line_bytes += line.len() as u64 + 1;
            frame(0x81, line, &mut load.frames);
        });
        load
    }

    /// The same events as messages of v2.
    pub fn v2(events: usize) -> Self {
        let mut load = Self { protocol: Protocol::V2, ..Self::none(events) };
        lines(events, |line| {
            load.line_bytes += line.len() as u64 + 1;
            let header = skytail::event::header::parse(line).expect("a sound event");
            let seq = header.cursor.expect("a v2 server's event");
            let message = v2_message(line, header.time_us, seq).expect("a sound event");
            frame(0x81, &message, &mut load.frames);
        });
        load
    }

    fn none(events: usize) -> Self {
        Self { frames: Vec::new(), events, line_bytes: 0, protocol: Protocol::V1 }
    }

    /// Every event as one zstd frame in a binary message.
    pub fn compressed(events: usize, dictionary: &[u8]) -> Self {
        let mut load = Self::none(events);
        let mut compressor =
            zstd::bulk::Compressor::with_dictionary(1, dictionary).expect("a sound dictionary");
        lines(events, |line| {
            load.line_bytes += line.len() as u64 + 1;
            let packed = compressor.compress(line).expect("it fits into memory");
            frame(0x82, &packed, &mut load.frames);
        });
        load
    }

    /// Returns the payloads of the frames.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.frames[..];
        std::iter::from_fn(move || {
            let (payload, tail) = split(rest)?;
            rest = tail;
            Some(payload)
        })
    }
}

/// Trains a dictionary for events like these.
pub fn dictionary() -> Vec<u8> {
    let mut samples = Vec::new();
    lines(4_000, |line| samples.push(line.to_vec()));
    zstd::dict::from_samples(&samples, 64 * 1024).expect("enough samples")
}

fn frame(first: u8, payload: &[u8], into: &mut Vec<u8>) {
    into.push(first);
    match payload.len() {
        short @ 0..126 => into.push(short as u8),
        long => {
            into.push(126);
            let long = u16::try_from(long).expect("the demo has no events of 64 KiB");
            into.extend_from_slice(&long.to_be_bytes());
        }
    }
    into.extend_from_slice(payload);
}

/// Returns the payload of the first frame, and the bytes after it.
pub fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (begin, length) = match bytes {
        [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        [_, short, ..] if *short < 126 => (2, usize::from(*short)),
        _ => return None,
    };
    Some((bytes.get(begin..begin + length)?, &bytes[begin + length..]))
}
