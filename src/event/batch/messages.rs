//! Messages of v2 in a batch, which are decoded where they are.
//!
//! The reader's thread only divides the stream into messages, and the writer's decodes them, as it
//! parses the lines of v1: the text of a message is then read on one core, and neither thread waits
//! for the other (docs/internals/performance.md).

use std::ops::Range;

use super::{Batch, Span};
use crate::event::format::EventFormat;
use crate::event::header_spans::HeaderSpans;
use crate::event::v2::payload::Event;
use crate::event::v2::{self, EventReader, Message, MessageError, NativeEvent};
use crate::event::whitespace;

/// The capacity kept for the next line that needs memory of its own, in bytes.
const KEEP_SCRATCH_BYTES: usize = 64 * 1024;

/// Receives what [`Batch::decode`] finds.
pub trait MessageObserver {
    /// Notes the sequence number of an event.
    fn on_event(&mut self, seq: u64);

    /// Notes that a message is not a sound event, and is left out.
    fn on_malformed(&mut self, error: &str, message: &[u8]);
}

/// What decoding needs beside the messages. It is reused for all batches of a run.
#[derive(Debug, Default)]
pub struct MessageDecoder {
    events: EventReader,
    /// Memory for the lines that do not fit before their messages.
    scratch: Vec<u8>,
}

/// A line that was decoded.
struct DecodedLine {
    bytes: usize,
    header: Option<HeaderSpans>,
    /// Whether the line is in the scratch buffer, because there was no room in the batch.
    is_in_scratch: bool,
}

impl Batch {
    /// Returns whether the lines are messages that [`Batch::decode`] has to decode.
    #[must_use]
    #[inline]
    pub fn is_encoded(&self) -> bool {
        self.is_encoded
    }

    /// Notes that all lines of this batch are messages.
    #[inline]
    pub fn mark_encoded(&mut self) {
        self.is_encoded = true;
    }

    /// Replaces each message with the line of its event, and fills the sidecar.
    pub fn decode(
        &mut self,
        format: EventFormat,
        decoder: &mut MessageDecoder,
        observer: &mut impl MessageObserver,
    ) {
        if !std::mem::take(&mut self.is_encoded) {
            return;
        }
        self.headers.clear();
        match format {
            EventFormat::V1 => self.decode_to_v1(decoder, observer),
            EventFormat::Native => self.decode_to_native(decoder, observer),
        }
    }

    /// Writes each line to the place of the messages before its own, whose lines are shorter.
    fn decode_to_v1(&mut self, decoder: &mut MessageDecoder, observer: &mut impl MessageObserver) {
        let (mut end, mut kept) = (0, 0);
        for i in 0..self.spans.len() {
            let span = self.spans[i];
            let (before, message) = self.bytes.split_at_mut(span.start);
            let message = message.get(..span.length() - 1).unwrap_or_default();
            let room = before.get_mut(end..).unwrap_or_default();
            let Some(line) = decode_line(message, room, decoder, observer) else {
                continue;
            };
            let start = end;
            end += line.bytes + 1;
            if line.is_in_scratch {
                if end > span.end {
                    self.insert_room(i, end - span.end);
                }
                if let Some(to) = self.bytes.get_mut(start..start + line.bytes) {
                    to.copy_from_slice(decoder.scratch.get(..line.bytes).unwrap_or_default());
                }
            }
            if let Some(to) = self.bytes.get_mut(end - 1) {
                *to = b'\n';
            }
            self.spans[kept] = Span { start, end };
            self.headers.push(line.header);
            kept += 1;
        }
        self.bytes.truncate(end);
        self.spans.truncate(kept);
        decoder.scratch.shrink_to(KEEP_SCRATCH_BYTES);
    }

    /// Marks each line as a part of its message, and copies nothing: the stage that closes the gaps copies
    /// the lines that are written.
    fn decode_to_native(
        &mut self,
        decoder: &mut MessageDecoder,
        observer: &mut impl MessageObserver,
    ) {
        let mut kept = 0;
        for i in 0..self.spans.len() {
            let span = self.spans[i];
            let bytes = self.bytes.get_mut(span.start..span.end).unwrap_or_default();
            let message = bytes.get(..span.length() - 1).unwrap_or_default();
            let (line, header) = match decoder.events.read_native(message) {
                Some(NativeEvent { start, end, seq, spans }) => {
                    observer.on_event(seq);
                    (start..end, spans)
                }
                None => match write_unusual_native(bytes, observer) {
                    Some(found) => found,
                    None => continue,
                },
            };
            if let Some(to) = bytes.get_mut(line.end) {
                *to = b'\n';
            }
            let header = header.as_parsed(line.len());
            self.spans[kept] =
                Span { start: span.start + line.start, end: span.start + line.end + 1 };
            self.headers.push(header);
            kept += 1;
        }
        self.spans.truncate(kept);
        self.discard_partial_line();
    }

    /// Removes the line with this index, if it exists, and a partial line.
    pub fn remove_line(&mut self, index: usize) {
        if index < self.spans.len() {
            self.spans.remove(index);
        }
        if index < self.headers.len() {
            self.headers.remove(index);
        }
        // The bytes of the last line would begin the next one.
        self.discard_partial_line();
    }

    /// Moves the messages after this one. No message of today's servers is shorter than its line.
    #[cold]
    fn insert_room(&mut self, index: usize, bytes: usize) {
        let at = self.spans[index].end;
        self.bytes.splice(at..at, std::iter::repeat_n(0, bytes));
        for span in self.spans.iter_mut().skip(index + 1) {
            span.start += bytes;
            span.end += bytes;
        }
    }
}

/// Writes the line of a message in v1 format to `room`, or to the scratch buffer if that is too small.
#[inline]
fn decode_line(
    message: &[u8],
    room: &mut [u8],
    decoder: &mut MessageDecoder,
    observer: &mut impl MessageObserver,
) -> Option<DecodedLine> {
    let mut compact = None;
    let MessageDecoder { events, scratch } = decoder;
    let event = match events.read(message) {
        Some(event) => event,
        None => match read_unusual(message, &mut compact) {
            Ok(event) => event,
            Err(error) => {
                observer.on_malformed(&error, message);
                return None;
            }
        },
    };
    observer.on_event(event.seq);
    let needed = event.line_room();
    let is_in_scratch = room.len() < needed;
    let to = if is_in_scratch {
        if scratch.len() < needed {
            scratch.resize(needed, 0);
        }
        scratch.as_mut_slice()
    } else {
        room
    };
    let (bytes, header) = event.write_line(to);
    Some(DecodedLine { bytes, header: header.as_parsed(bytes), is_in_scratch })
}

/// Writes the line of a message, which a line feed follows in `bytes`, in native format to the start of
/// `bytes`: the line is a part of the message, or shorter than one without its line breaks. Returns
/// the place of the line.
#[inline(never)]
fn write_unusual_native(
    bytes: &mut [u8],
    observer: &mut impl MessageObserver,
) -> Option<(Range<usize>, HeaderSpans)> {
    let message = bytes.split_last().map_or(&[][..], |(_, message)| message);
    let mut compact = None;
    let (line, seq, spans) = match read_unusual(message, &mut compact) {
        Ok(event) => (event.native_line().to_vec(), event.seq, event.native_spans()),
        Err(error) => {
            observer.on_malformed(&error, message);
            return None;
        }
    };
    observer.on_event(seq);
    bytes.get_mut(..line.len())?.copy_from_slice(&line);
    Some((0..line.len(), spans))
}

#[inline(never)]
fn read_unusual<'a>(
    message: &'a [u8],
    compact: &'a mut Option<Vec<u8>>,
) -> Result<Event<'a>, String> {
    let read = match v2::read_any(message) {
        Err(MessageError::Malformed(error)) => match whitespace::compacted(message) {
            Some(text) => v2::read(compact.insert(text)),
            None => return Err(error.to_string()),
        },
        read => read,
    };
    match read {
        Ok(Message::Event(event)) => Ok(event),
        Ok(_) => Err("no event".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
