//! Text messages that become lines where they were read to: the way of nearly all events.
//!
//! A message in one frame of less than 64 KiB is taken as it lies between its header and the
//! next one, of which the first byte becomes the line feed. Anything else (control frames,
//! pieces, binary, long messages, broken frames) is left to [`super::FrameBuffer`], and so is
//! the judgement of it.

use crate::event::batch::Batch;
use crate::event::space;

use super::FrameBuffer;

/// The first byte of a text message in one frame: FIN, no reserved bit, opcode 1 (RFC 6455
/// §5.2).
const WHOLE_TEXT: u8 = 0x81;

/// Room for a frame of which nothing but the first bytes are here yet.
const SOME_BYTES: usize = 1024;

impl FrameBuffer {
    /// Opens the bytes that are held in `batch`, for more to be read behind them; they stay
    /// held, too, until [`FrameBuffer::take_texts`]. Says how many bytes may be read there, 0
    /// where this is not the time or `batch` has no room for the next message.
    pub fn open_in(&self, batch: &mut Batch) -> usize {
        let is_between = self.skip_bytes == 0 && self.fragments.is_none();
        let held = self.buffer.get(self.start..self.end).unwrap_or_default();
        // One byte more: the last line's line feed may have no next frame to stand in.
        let room_bytes = batch.room_bytes().saturating_sub(1);
        if !is_between || wanted_bytes(held) > room_bytes {
            return 0;
        }
        batch.open_line().extend_from_slice(held);
        room_bytes - held.len()
    }

    /// Makes lines of the whole text messages at the beginning of what is open in `batch`, up
    /// to `max_events` lines in all, and holds the rest. Says how many were taken.
    pub fn take_texts(&mut self, batch: &mut Batch, max_events: usize) -> usize {
        let before = batch.len();
        let mut first = batch.opened().first().copied();
        // From the second frame on, the first byte is a line feed already.
        let mut here = 1;
        while let Some(byte) = first.filter(|_| batch.len() < max_events) {
            let rest = batch.opened().get(here..).unwrap_or_default();
            let Some((header_bytes, length)) = whole_text(byte, rest) else { break };
            if length > self.max_message_bytes || header_bytes + length > rest.len() {
                break;
            }
            let payload = rest.get(header_bytes..header_bytes + length).unwrap_or_default();
            let (before, text_bytes) = space::text_span(payload);
            let after = length - before - text_bytes;
            first = batch.take_line(here + header_bytes + before, text_bytes);
            here = 0;
            // Then the line feed took the place of the space, not of the next frame's first byte.
            if let Some(next) = after.checked_sub(1) {
                first = batch.opened().get(next).copied();
                here = after;
            }
        }
        let rest = batch.opened().get(here..).unwrap_or_default();
        self.hold(first, rest);
        batch.discard_open_line();
        batch.len() - before
    }

    /// Holds what begins with `first` and goes on with `rest`, and nothing else.
    fn hold(&mut self, first: Option<u8>, rest: &[u8]) {
        (self.start, self.end) = (0, 0);
        let Some(first) = first else { return };
        let length = 1 + rest.len();
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        if let Some([head, tail @ ..]) = self.buffer.get_mut(..length) {
            *head = first;
            tail.copy_from_slice(rest);
            self.end = length;
        }
    }
}

/// The length in bytes of the frame that begins with these bytes, header and all.
fn wanted_bytes(held: &[u8]) -> usize {
    match held {
        [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [_, 127, ..] => usize::MAX,
        _ => SOME_BYTES,
    }
}

/// The length of the header behind its first byte, and of the payload; `None` where it is no
/// text message in one frame, or a long one, or where the header is not all there.
#[inline]
fn whole_text(first: u8, rest: &[u8]) -> Option<(usize, usize)> {
    match rest {
        _ if first != WHOLE_TEXT => None,
        [126, high, low, ..] => Some((3, usize::from(u16::from_be_bytes([*high, *low])))),
        [short @ 0..=125, ..] => Some((1, usize::from(*short))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::frame::{FrameBuffer, Message};
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match u8::try_from(payload.len()) {
            Ok(short @ 0..=125) => frame.push(short),
            _ => {
                frame.push(126);
                frame.extend((payload.len() as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    /// What becomes of bytes that come in these pieces: lines, and what the frame reader says.
    fn read(wire: &[u8], pieces: &[usize], in_place: bool) -> (Vec<Vec<u8>>, bool) {
        let (mut batch, mut frames) = (Batch::with_capacity(1 << 16), FrameBuffer::new(1000, &[]));
        let mut pieces = pieces.iter().copied().cycle();
        let mut rest = wire;
        loop {
            loop {
                match frames.next() {
                    Ok(Some(Message::Text(line))) => batch.push(space::trimmed(line)),
                    Ok(Some(other)) => batch.push(format!("{other:?}").as_bytes()),
                    Ok(None) => break,
                    Err(_) => return (batch.lines().map(<[u8]>::to_vec).collect(), false),
                }
            }
            let (piece, later) = rest.split_at(pieces.next().unwrap_or(1).min(rest.len()));
            if piece.is_empty() {
                return (batch.lines().map(<[u8]>::to_vec).collect(), true);
            }
            rest = later;
            if in_place && frames.open_in(&mut batch) >= piece.len() {
                batch.open_line().extend_from_slice(piece);
                frames.take_texts(&mut batch, usize::MAX);
            } else {
                batch.discard_open_line();
                frames.spare()[..piece.len()].copy_from_slice(piece);
                frames.filled(piece.len());
            }
        }
    }

    proptest! {
        #[test]
        fn the_lines_are_those_of_the_frame_reader(
            frames in prop::collection::vec(
                (prop_oneof![
                    8 => Just(0x81_u8), 1 => Just(0x01), 1 => Just(0x80), 1 => Just(0x00),
                    1 => Just(0x82), 1 => Just(0x89), 1 => Just(0x8a), 1 => Just(0x83),
                ], prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..300),
                    "[ \\n\\t]{0,3}[{]x*[}][ \\n\\r]{0,3}".prop_map(String::into_bytes),
                    "[ \\n\\r]{0,9}".prop_map(String::into_bytes),
                ], 0..20_usize),
                0..12,
            ),
            pieces in prop::collection::vec(1..400_usize, 1..5),
        ) {
            let mut wire = Vec::new();
            for (first, payload, times) in &frames {
                // Now and then one beyond the cap.
                let times = if *times == 0 { 8 } else { 1 };
                wire.extend(frame(*first, &payload.repeat(times)));
            }
            prop_assert_eq!(read(&wire, &pieces, true), read(&wire, &pieces, false));
        }
    }

    #[test]
    fn no_more_lines_are_taken_than_are_wanted() {
        let (mut batch, mut frames) = (Batch::with_capacity(9000), FrameBuffer::new(1000, &[]));
        batch.open_line().extend([frame(0x81, b"a"), frame(0x81, b"b")].concat());
        assert_eq!(frames.take_texts(&mut batch, 1), 1);
        assert!(batch.lines().eq([b"a"]));
        assert_eq!(frames.next(), Ok(Some(Message::Text(b"b"))));
    }

    #[test]
    fn a_message_that_does_not_fit_is_read_elsewhere() {
        let mut batch = Batch::with_capacity(2000);
        let mut frames = FrameBuffer::new(10_000, &frame(0x81, &[b'x'; 1996])[..100]);
        assert_eq!(frames.open_in(&mut batch), 0);
        assert_eq!(batch.opened(), b"");
        let mut batch = Batch::with_capacity(2001);
        assert_eq!(frames.open_in(&mut batch), 1900);
        frames.take_texts(&mut batch, 1);
        assert_eq!((frames.open_in(&mut batch), batch.opened().len()), (1900, 100));
    }
}
