//! The load: events of real shape, as prepared frames.

use std::sync::Arc;

use skytail::serve::v2_message;
use tokio_rustls::rustls::ServerConfig;

use super::corpus::{self, MemberOrder, lines};

/// Frames, back to back.
pub struct Load {
    pub frames: Vec<u8>,
    pub events: usize,
    /// The size of the lines with their line feeds, in bytes.
    pub line_bytes: u64,
    pub protocol: Protocol,
    /// The dictionary of the messages.
    pub dictionary: Option<Vec<u8>>,
    /// The server's TLS; `None` for plain TCP.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The protocol of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    V1,
    V2,
}

impl Load {
    pub fn plain(events: usize) -> Self {
        Self::plain_in(MemberOrder::Usual, events)
    }

    /// Messages of v1 whose members are in this order.
    pub fn plain_in(order: MemberOrder, events: usize) -> Self {
        Self::of(Protocol::V1, order, events)
    }

    /// The same events as messages of v2.
    pub fn v2(events: usize) -> Self {
        Self::v2_in(MemberOrder::Usual, events)
    }

    /// Messages of v2 whose members are in this order.
    pub fn v2_in(order: MemberOrder, events: usize) -> Self {
        Self::of(Protocol::V2, order, events)
    }

    fn of(protocol: Protocol, order: MemberOrder, events: usize) -> Self {
        let mut load = Self { protocol, ..Self::none(events) };
        let mut rng = fastrand::Rng::with_seed(3);
        lines(events, |line| {
            load.line_bytes += line.len() as u64 + 1;
            let message = message(line, protocol);
            if order == MemberOrder::Usual {
                frame(0x81, &message, &mut load.frames);
            } else {
                frame(0x81, &corpus::reorder(&message, order, &mut rng), &mut load.frames);
            }
        });
        load
    }

    /// A load without messages.
    pub fn none(events: usize) -> Self {
        let frames = Vec::new();
        let protocol = Protocol::V1;
        Self { frames, events, line_bytes: 0, protocol, dictionary: None, tls: None }
    }

    /// Every message as one zstd frame in a binary message.
    pub fn compressed(protocol: Protocol, events: usize, dictionary: &[u8]) -> Self {
        let dictionary_bytes = Some(dictionary.to_vec());
        let mut load = Self { protocol, dictionary: dictionary_bytes, ..Self::none(events) };
        let mut compressor =
            zstd::bulk::Compressor::with_dictionary(1, dictionary).expect("a sound dictionary");
        lines(events, |line| {
            let message = message(line, protocol);
            load.line_bytes += message.len() as u64 + 1;
            let packed = compressor.compress(&message).expect("it fits into memory");
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

/// Returns the message of an event.
fn message(line: &[u8], protocol: Protocol) -> std::borrow::Cow<'_, [u8]> {
    if protocol == Protocol::V1 {
        return line.into();
    }
    let header = skytail::event::header::parse(line).expect("a sound event");
    let seq = header.cursor.expect("a v2 server's event");
    v2_message(line, header.time_us, seq).expect("a sound event").into()
}

/// Trains a dictionary for messages like these.
pub fn dictionary(protocol: Protocol) -> Vec<u8> {
    let mut samples = Vec::new();
    lines(4_000, |line| samples.push(message(line, protocol).into_owned()));
    zstd::dict::from_samples(&samples, 64 * 1024).expect("enough samples")
}

fn frame(first: u8, payload: &[u8], into: &mut Vec<u8>) {
    into.push(first);
    match payload.len() {
        short @ 0..126 => into.push(short as u8),
        long => {
            into.push(126);
            let long = u16::try_from(long).expect("no event has 64 KiB");
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
