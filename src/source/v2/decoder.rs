//! Decodes the messages of one v2 connection: events become lines, errors end the connection,
//! and types that skytail does not know are skipped.

use std::sync::Arc;

use memchr::memmem::Finder;

use crate::display::printable::one_line;
use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::event::v2::payload::Event;
use crate::event::v2::{self, EventReader, Message, MessageError};
use crate::event::whitespace;
use crate::metrics::Metrics;
use crate::position::ServerKind;
use crate::source::count_malformed;
use crate::source::decoding::{Decoded, Decompressor, ServerClose, WireMessage};

/// The most characters of a server's text that the log shows.
const MAX_SHOWN_CHARS: usize = 300;

/// The capacity kept for the next compressed message, in bytes.
const KEEP_INFLATED_BYTES: usize = 256 * 1024;

/// The name of the advisory that the server no longer holds the requested time (§4).
const OUTDATED_CURSOR: &str = "OutdatedCursor";

/// The start of a commit whose members are in the usual order.
const USUAL_START: &[u8; 86] =
    b"{\"$type\":\"message\",\"payload\":{\"$type\":\"network.bsky.jetstream.subscribeEvents#commit\",";
/// The type of commits. No string of a message contains its quotes, and only commits have records.
const COMMIT_TYPE: &[u8] = b"\"network.bsky.jetstream.subscribeEvents#commit\"";

/// The decoder of one v2 connection.
#[derive(Debug)]
pub struct V2Decoder {
    format: EventFormat,
    decompressor: Decompressor,
    /// The last compressed message, decompressed.
    inflated: Vec<u8>,
    events: Box<EventReader>,
    /// The sequence number of the last event; `None` before the first.
    last_seq: Option<u64>,
    /// Whether messages may stay encoded.
    defers: bool,
    /// Finds the type of commits in messages whose members are in another order.
    commit_type: Box<Finder<'static>>,
    /// Whether a v2 message has come, so that the server speaks v2.
    is_v2: bool,
    is_clamped: bool,
    metrics: Arc<Metrics>,
}

impl V2Decoder {
    /// Creates the decoder of a new connection, which writes lines in `format`.
    #[must_use]
    pub fn new(format: EventFormat, decompressor: Decompressor, metrics: Arc<Metrics>) -> Self {
        Self {
            format,
            decompressor,
            inflated: Vec::new(),
            events: Box::default(),
            last_seq: None,
            defers: false,
            commit_type: Box::new(Finder::new(COMMIT_TYPE)),
            is_v2: false,
            is_clamped: false,
            metrics,
        }
    }

    /// Returns whether the server said that it no longer holds the requested time.
    #[must_use]
    pub fn is_clamped(&self) -> bool {
        self.is_clamped
    }

    /// Returns the format of the lines.
    #[must_use]
    pub fn format(&self) -> EventFormat {
        self.format
    }

    /// Returns the kind of server; `None` before the first sound event.
    #[must_use]
    pub fn server_kind(&self) -> Option<ServerKind> {
        self.last_seq.map(|_| ServerKind::V2)
    }

    /// Sets whether messages may stay encoded, for [`Batch::decode`] on another thread.
    pub fn set_deferring(&mut self, defers: bool) {
        self.defers = defers;
    }

    /// Returns whether text messages may be read straight into `batch`.
    #[must_use]
    pub fn reads_inline(&self, batch: &Batch) -> bool {
        self.may_defer(batch) && !self.decompressor.is_enabled()
    }

    /// Returns whether the next message may stay encoded. The first event is decoded, because the
    /// connection must know its server, and no batch has lines and messages.
    #[inline]
    fn may_defer(&self, batch: &Batch) -> bool {
        self.defers && self.last_seq.is_some() && (batch.is_empty() || batch.is_encoded())
    }

    /// Returns the first message that is not an event among the lines from `first` on, which were read
    /// straight into `batch`, and its result.
    pub fn next_other(&mut self, batch: &mut Batch, first: usize) -> Option<(usize, Decoded)> {
        batch.mark_encoded();
        (first..batch.len()).find_map(|i| match self.sort(batch.line(i)) {
            Decoded::Event => None,
            other => Some((i, other)),
        })
    }

    /// Returns the result for a message that stays encoded if it is an event.
    #[inline]
    fn sort(&mut self, message: &[u8]) -> Decoded {
        // As arrays, which are compared without a call.
        let is_usual = message.first_chunk() == Some(USUAL_START);
        if is_usual || self.commit_type.find(message).is_some() {
            return Decoded::Event;
        }
        match read_unusual(message, &mut None) {
            Ok(Message::Event(_)) => Decoded::Event,
            read => self.on_other(read, message),
        }
    }

    /// Decodes one message.
    pub fn decode(&mut self, message: WireMessage<'_>, batch: &mut Batch) -> Decoded {
        let frame = match message {
            WireMessage::Text(text) => return self.decode_text(text, batch),
            WireMessage::Binary(frame) => frame,
        };
        if self.may_defer(batch) {
            return self.inflate_into(frame, batch);
        }
        let mut inflated = std::mem::take(&mut self.inflated);
        inflated.clear();
        let decoded = match self.decompressor.append(frame, &mut inflated, &self.metrics) {
            Ok(()) => self.decode_text(&inflated, batch),
            Err(decoded) => decoded,
        };
        // A large event is rare, so its memory is freed.
        inflated.shrink_to(KEEP_INFLATED_BYTES);
        self.inflated = inflated;
        decoded
    }

    /// Decompresses a message where it stays.
    fn inflate_into(&mut self, frame: &[u8], batch: &mut Batch) -> Decoded {
        let inflated = self.decompressor.append(frame, batch.line_buffer(), &self.metrics);
        let (before, length) = whitespace::text_span(batch.partial_line());
        let text = batch.partial_line().get(before..before + length).unwrap_or_default();
        let decoded = inflated.map_or_else(|skipped| skipped, |()| self.sort(text));
        if decoded == Decoded::Event {
            batch.mark_encoded();
            batch.take_line(before, length);
        }
        batch.discard_partial_line();
        decoded
    }

    fn decode_text(&mut self, message: &[u8], batch: &mut Batch) -> Decoded {
        let message = whitespace::trimmed(message);
        if self.may_defer(batch) {
            let decoded = self.sort(message);
            if decoded == Decoded::Event {
                batch.mark_encoded();
                batch.push(message);
            }
            return decoded;
        }
        if let Some(event) = self.events.read(message) {
            self.is_v2 = true;
            return self.on_event(&event, batch);
        }
        self.decode_unusual(message, batch)
    }

    #[inline(never)]
    fn decode_unusual(&mut self, message: &[u8], batch: &mut Batch) -> Decoded {
        match read_unusual(message, &mut None) {
            Ok(Message::Event(event)) => {
                self.is_v2 = true;
                self.on_event(&event, batch)
            }
            read => self.on_other(read, message),
        }
    }

    /// Processes a message other than an event.
    fn on_other(&mut self, read: Result<Message<'_>, MessageError>, message: &[u8]) -> Decoded {
        if matches!(read, Err(MessageError::NoEnvelope)) && !self.is_v2 {
            return Decoded::NotV2;
        }
        self.is_v2 |= read.is_ok();
        match read {
            Ok(Message::Event(_)) => Decoded::Event,
            Ok(Message::Info { name, message }) => {
                self.on_advisory(&name, &message);
                Decoded::Advisory
            }
            Ok(Message::Error { name, message }) => {
                Decoded::ServerClose(server_close(&name, &message))
            }
            Ok(Message::Unknown(kind)) => {
                self.report_unknown(&kind);
                Decoded::Skipped
            }
            Err(error) => {
                count_malformed(&self.metrics, &error.to_string(), message);
                Decoded::Skipped
            }
        }
    }

    /// Appends an event's line to `batch`.
    #[inline]
    fn on_event(&mut self, event: &Event<'_>, batch: &mut Batch) -> Decoded {
        // Sequence numbers start at 1.
        let last = self.last_seq.unwrap_or(0);
        if event.seq <= last {
            report_disorder(&self.metrics, event.seq, last);
        }
        self.last_seq = Some(event.seq);
        let header = match self.format {
            EventFormat::V1 => event.write_v1_line(batch.line_buffer()),
            EventFormat::Native => {
                batch.line_buffer().extend_from_slice(event.native_line());
                event.native_spans()
            }
        };
        let line_bytes = batch.partial_line().len();
        batch.end_line_with(header.as_parsed(line_bytes));
        Decoded::Event
    }

    fn on_advisory(&mut self, name: &str, message: &str) {
        self.is_clamped |= name == OUTDATED_CURSOR;
        let name = one_line(name.as_bytes(), MAX_SHOWN_CHARS);
        let message = one_line(message.as_bytes(), MAX_SHOWN_CHARS);
        tracing::info!("the server says {name}: {message}");
    }

    #[cold]
    fn report_unknown(&self, kind: &str) {
        self.metrics.received.add(1);
        self.metrics.unknown.add(1);
        let total = self.metrics.unknown.get();
        if crate::display::log_throttle::is_doubling(total) {
            let kind = one_line(kind.as_bytes(), MAX_SHOWN_CHARS);
            tracing::warn!(total, "skipped an event of a type that skytail does not know: {kind}");
        }
    }
}

/// Reads a message with the general parser, without its line breaks if it has any.
#[inline(never)]
fn read_unusual<'a>(
    message: &'a [u8],
    compact: &'a mut Option<Vec<u8>>,
) -> Result<Message<'a>, MessageError> {
    match v2::read_any(message) {
        Err(MessageError::Malformed(error)) => match whitespace::compacted(message) {
            Some(text) => v2::read(compact.insert(text)),
            None => Err(error.into()),
        },
        read => read,
    }
}

/// Counts and logs a sequence number that did not rise, although the server promises it (§4).
/// Numbers cannot show what was lost or repeated by that; the dedup keys decide, as always.
#[cold]
pub(super) fn report_disorder(metrics: &Metrics, seq: u64, last: u64) {
    metrics.disordered.add(1);
    let total = metrics.disordered.get();
    if crate::display::log_throttle::is_doubling(total) {
        let what = if seq == last { "repeated" } else { "went back" };
        tracing::warn!(
            total,
            "the server's sequence numbers {what}: seq {seq} came after seq {last}; each event is still printed once"
        );
    }
}

fn server_close(name: &str, message: &str) -> ServerClose {
    let message = one_line(message.as_bytes(), MAX_SHOWN_CHARS);
    match name {
        "ConsumerTooSlow" => ServerClose::TooSlow(message),
        "InternalError" => ServerClose::Internal(message),
        _ => ServerClose::Other { name: one_line(name.as_bytes(), MAX_SHOWN_CHARS), message },
    }
}

#[cfg(test)]
mod tests;
