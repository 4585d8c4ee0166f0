//! Parses text messages inside a batch, so that nearly all events become lines without a copy.
//!
//! The connection reads straight into a batch. A message in one frame of less than 64 KiB becomes
//! a line in place: the first byte of the next frame's header is overwritten with the line
//! feed. Everything else (control frames, fragments, binary and long messages, violations) is
//! stashed for [`FrameBuffer::next`].

use crate::event::batch::Batch;
use crate::event::whitespace;

use super::frame::FrameBuffer;

/// The first byte of an unfragmented text message: FIN, no reserved bit, opcode 1 (RFC 6455
/// §5.2).
const WHOLE_TEXT: u8 = 0x81;

/// The room to require for a frame whose length has not arrived yet, in bytes.
const UNKNOWN_FRAME_BYTES: usize = 1024;

impl FrameBuffer {
    /// Copies the unparsed bytes to the open line of `batch`, so that more can be read after them.
    /// They also stay in this buffer until [`FrameBuffer::parse_inline_text`].
    ///
    /// Returns how many bytes may be read there; 0 inside a fragmented or skipped message, or if
    /// `batch` has no room for the next message.
    pub fn begin_inline(&self, batch: &mut Batch) -> usize {
        let unparsed = self.buffer.get(self.start..self.end).unwrap_or_default();
        // One byte more: the last line's line feed may have no next frame to overwrite.
        let room_bytes = batch.room_bytes().saturating_sub(1);
        if !self.is_at_message_start() || frame_bytes(unparsed) > room_bytes {
            return 0;
        }
        batch.line_buffer().extend_from_slice(unparsed);
        room_bytes - unparsed.len()
    }

    /// Turns the complete text messages at the start of the open line of `batch` into lines, until
    /// the batch has `max_events` lines, and stashes the rest in this buffer. Returns the number
    /// of new lines.
    pub fn parse_inline_text(&mut self, batch: &mut Batch, max_events: usize) -> usize {
        let lines_before = batch.len();
        let mut first = batch.partial_line().first().copied();
        // From the second frame on, its first byte has been overwritten with a line feed.
        let mut here = 1;
        while let Some(byte) = first.filter(|_| batch.len() < max_events) {
            let rest = batch.partial_line().get(here..).unwrap_or_default();
            let Some((header_bytes, length)) = text_header(byte, rest) else { break };
            if length > self.max_message_bytes || header_bytes + length > rest.len() {
                break;
            }
            let payload = rest.get(header_bytes..header_bytes + length).unwrap_or_default();
            let (before, text_bytes) = whitespace::text_span(payload);
            let after = length - before - text_bytes;
            first = batch.take_line(here + header_bytes + before, text_bytes);
            here = 0;
            // With space after the text, the line feed overwrote that and not the next frame.
            if let Some(next) = after.checked_sub(1) {
                first = batch.partial_line().get(next).copied();
                here = after;
            }
        }
        let rest = batch.partial_line().get(here..).unwrap_or_default();
        self.stash(first, rest);
        batch.discard_partial_line();
        batch.len() - lines_before
    }

    /// Replaces the buffer's content with `first` and `rest`.
    fn stash(&mut self, first: Option<u8>, rest: &[u8]) {
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

/// Returns the length of the frame at the start of `unparsed`, header included, as far as it is
/// known.
fn frame_bytes(unparsed: &[u8]) -> usize {
    match unparsed {
        [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
        [_, 127, ..] => usize::MAX,
        _ => UNKNOWN_FRAME_BYTES,
    }
}

/// Returns the lengths of the header after its first byte, and of the payload. Returns `None` if
/// the frame is not an unfragmented text message of less than 64 KiB, or its header is incomplete.
#[inline]
fn text_header(first: u8, rest: &[u8]) -> Option<(usize, usize)> {
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
    use crate::source::websocket::frame::Message;
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

    /// Parses bytes that arrive in these pieces. Returns the lines, and whether all frames are
    /// valid.
    fn read(wire: &[u8], pieces: &[usize], is_inline: bool) -> (Vec<Vec<u8>>, bool) {
        let (mut batch, mut frames) = (Batch::with_capacity(1 << 16), FrameBuffer::new(1000, &[]));
        let mut pieces = pieces.iter().copied().cycle();
        let mut rest = wire;
        loop {
            loop {
                match frames.next() {
                    Ok(Some(Message::Text(line))) => batch.push(whitespace::trimmed(line)),
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
            if is_inline && frames.begin_inline(&mut batch) >= piece.len() {
                batch.line_buffer().extend_from_slice(piece);
                frames.parse_inline_text(&mut batch, usize::MAX);
            } else {
                batch.discard_partial_line();
                frames.unfilled()[..piece.len()].copy_from_slice(piece);
                frames.advance(piece.len());
            }
        }
    }

    proptest! {
        #[test]
        fn inline_parsing_gives_the_lines_of_the_frame_parser(
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
                // Some exceed the size limit.
                let times = if *times == 0 { 8 } else { 1 };
                wire.extend(frame(*first, &payload.repeat(times)));
            }
            prop_assert_eq!(read(&wire, &pieces, true), read(&wire, &pieces, false));
        }
    }

    #[test]
    fn parsing_stops_at_the_limit_of_lines() {
        let (mut batch, mut frames) = (Batch::with_capacity(9000), FrameBuffer::new(1000, &[]));
        batch.line_buffer().extend([frame(0x81, b"a"), frame(0x81, b"b")].concat());
        assert_eq!(frames.parse_inline_text(&mut batch, 1), 1);
        assert!(batch.lines().eq([b"a"]));
        assert_eq!(frames.next(), Ok(Some(Message::Text(b"b"))));
    }

    #[test]
    fn a_message_that_does_not_fit_is_not_read_inline() {
        let mut batch = Batch::with_capacity(2000);
        let mut frames = FrameBuffer::new(10_000, &frame(0x81, &[b'x'; 1996])[..100]);
        assert_eq!(frames.begin_inline(&mut batch), 0);
        assert_eq!(batch.partial_line(), b"");
        let mut batch = Batch::with_capacity(2001);
        assert_eq!(frames.begin_inline(&mut batch), 1900);
        frames.parse_inline_text(&mut batch, 1);
        assert_eq!((frames.begin_inline(&mut batch), batch.partial_line().len()), (1900, 100));
    }
}
