//! Decodes the messages of one v2 connection: events become lines, errors end the connection,
//! and types that skytail does not know are skipped.

use std::sync::Arc;

use crate::display::printable::one_line;
use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::event::v2::payload::Event;
use crate::event::v2::{self, Message, MessageError};
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

/// The decoder of one v2 connection.
#[derive(Debug)]
pub struct V2Decoder {
    format: EventFormat,
    decompressor: Decompressor,
    /// The last compressed message, decompressed.
    inflated: Vec<u8>,
    /// The sequence number of the last event; `None` before the first.
    last_seq: Option<u64>,
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
            last_seq: None,
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

    /// Decodes one message.
    pub fn decode(&mut self, message: WireMessage<'_>, batch: &mut Batch) -> Decoded {
        let frame = match message {
            WireMessage::Text(text) => return self.decode_text(text, batch),
            WireMessage::Binary(frame) => frame,
        };
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

    fn decode_text(&mut self, message: &[u8], batch: &mut Batch) -> Decoded {
        let message = whitespace::trimmed(message);
        if let Some(event) = v2::read_event(message) {
            self.is_v2 = true;
            return self.on_event(&event, batch);
        }
        self.decode_unusual(message, batch)
    }

    #[inline(never)]
    fn decode_unusual(&mut self, message: &[u8], batch: &mut Batch) -> Decoded {
        match v2::read_any(message) {
            Err(MessageError::Malformed(error)) => match whitespace::compacted(message) {
                Some(compact) => self.on_read(v2::read(&compact), message, batch),
                None => self.on_read(Err(error.into()), message, batch),
            },
            read => self.on_read(read, message, batch),
        }
    }

    fn on_read(
        &mut self,
        read: Result<Message<'_>, MessageError>,
        message: &[u8],
        batch: &mut Batch,
    ) -> Decoded {
        if matches!(read, Err(MessageError::NoEnvelope)) && !self.is_v2 {
            return Decoded::NotV2;
        }
        self.is_v2 |= read.is_ok();
        match read {
            Ok(Message::Event(event)) => self.on_event(&event, batch),
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
            self.report_disorder(event.seq, last);
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

    /// Counts and logs a sequence number that did not rise, although the server promises it
    /// (§4). Numbers cannot show what was lost or repeated by that; the dedup keys decide, as
    /// always.
    #[cold]
    fn report_disorder(&self, seq: u64, last: u64) {
        self.metrics.disordered.add(1);
        let total = self.metrics.disordered.get();
        if crate::display::log_throttle::is_doubling(total) {
            let what = if seq == last { "repeated" } else { "went back" };
            tracing::warn!(
                total,
                "the server's sequence numbers {what}: seq {seq} came after seq {last}; each event is still printed once"
            );
        }
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
mod tests {
    use super::*;

    fn event(seq: u64) -> String {
        format!(
            r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{{"active":true}},"did":"did:plc:a","seq":{seq},"time":"2026-07-04T14:38:08.390226Z"}}}}"#
        )
    }

    fn decoder(format: EventFormat) -> V2Decoder {
        V2Decoder::new(format, Decompressor::new(None, 1 << 20), Arc::default())
    }

    fn decode(decoder: &mut V2Decoder, message: &str, batch: &mut Batch) -> Decoded {
        decoder.decode(WireMessage::Text(message.as_bytes()), batch)
    }

    #[test]
    fn events_become_lines_of_the_requested_format() {
        let mut batch = Batch::default();
        for format in [EventFormat::V1, EventFormat::Native] {
            let mut decoder = decoder(format);
            assert_eq!(decoder.server_kind(), None);
            assert_eq!(decode(&mut decoder, &event(5), &mut batch), Decoded::Event);
            assert_eq!(decoder.server_kind(), Some(ServerKind::V2));
        }
        let lines: Vec<_> = batch.lines().collect();
        assert_eq!(EventFormat::V1.parse(lines[0]), EventFormat::Native.parse(lines[1]));
        assert!(lines[1].starts_with(br#"{"$type":"network"#));
    }

    #[test]
    fn of_repeated_payloads_only_the_last_counts() {
        let (first, rest) = (event(5), event(6));
        let typeless = rest.replace("\"$type\":\"network", "\"type\":\"network");
        let begin = first.trim_end_matches('}').to_owned() + "}";
        for between in ["", "\"payload\":\"text\","] {
            let message = |last: &str| {
                let last = last.trim_start_matches("{\"$type\":\"message\",");
                format!("{begin},{between}{last}")
            };
            let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
            assert_eq!(decode(&mut decoder, &message(&rest), &mut batch), Decoded::Event);
            assert_eq!(batch.header(0).and_then(|header| header.cursor()), Some(6));
            decode(&mut decoder, &message(&typeless), &mut batch);
            assert_eq!(batch.len(), 1, "members of the first payload became an event");
        }
    }

    #[test]
    fn the_sidecar_has_what_a_parse_of_the_line_finds() {
        let with_did = |did: &str| event(5).replace("did:plc:a", did);
        let spaced = event(5).replace("\"payload\":{", "\"x\":[1, 2], \"payload\" : { ");
        for format in [EventFormat::V1, EventFormat::Native] {
            for message in [event(5), spaced.clone(), event(5).replace('{', "{ \n")] {
                let (mut batch, mut decoder) = (Batch::default(), decoder(format));
                batch.push(b"before");
                assert_eq!(decode(&mut decoder, &message, &mut batch), Decoded::Event);
                let parsed = format.parse_spans(batch.lines().last().unwrap()).unwrap();
                assert_eq!(batch.header(1), Some(parsed));
            }
            // The dedup stage has to check escapes.
            for did in ["d\\u0069d", "\\q"] {
                let (mut batch, mut decoder) = (Batch::default(), decoder(format));
                assert_eq!(decode(&mut decoder, &with_did(did), &mut batch), Decoded::Event);
                assert_eq!(batch.header(0), None);
            }
        }
    }

    #[test]
    fn white_space_around_and_within_a_message_is_accepted() {
        let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::Native));
        let value: serde_json::Value = serde_json::from_str(&event(6)).unwrap();
        for message in [format!(" {}\r\n", event(5)), serde_json::to_string_pretty(&value).unwrap()]
        {
            assert_eq!(decode(&mut decoder, &message, &mut batch), Decoded::Event);
        }
        assert!(batch.lines().all(|line| EventFormat::Native.parse(line).is_ok()));
        assert_eq!(decoder.metrics.malformed.get(), 0);
    }

    #[test]
    fn an_advisory_is_not_an_event_and_an_error_ends_the_connection() {
        let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
        let mut decode = |message: &str| {
            let decoded = decode(&mut decoder, message, &mut batch);
            (decoded, decoder.is_clamped())
        };
        let info = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#info","name":"NAME","message":"m"}}"#;
        assert_eq!(decode(info), (Decoded::Advisory, false));
        assert_eq!(decode(&info.replace("NAME", OUTDATED_CURSOR)), (Decoded::Advisory, true));
        let error = r#"{"$type":"error","error":"NAME","message":"m\u001b[31m"}"#;
        for (name, close) in [
            ("ConsumerTooSlow", ServerClose::TooSlow("m [31m".into())),
            ("InternalError", ServerClose::Internal("m [31m".into())),
            ("New", ServerClose::Other { name: "New".into(), message: "m [31m".into() }),
        ] {
            let decoded = decode(&error.replace("NAME", name)).0;
            assert_eq!(decoded, Decoded::ServerClose(close));
        }
        assert!(batch.is_empty());
    }

    #[test]
    fn an_object_without_a_type_means_another_protocol_only_before_the_first_v2_message() {
        let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
        let v1 = r#"{"did":"did:plc:a","time_us":1,"kind":"commit"}"#;
        assert_eq!(decode(&mut decoder, "{broken", &mut batch), Decoded::Skipped);
        assert_eq!(decode(&mut decoder, v1, &mut batch), Decoded::NotV2);
        assert_eq!(decode(&mut decoder, &event(5), &mut batch), Decoded::Event);
        assert_eq!(decode(&mut decoder, v1, &mut batch), Decoded::Skipped);
        assert_eq!(decoder.metrics.malformed.get(), 2);
    }

    #[test]
    fn sequence_numbers_that_do_not_rise_are_counted_and_their_events_kept() {
        let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
        for seq in [5, 5, 4, 6] {
            decode(&mut decoder, &event(seq), &mut batch);
        }
        assert_eq!((batch.len(), decoder.metrics.disordered.get()), (4, 2));
    }
}
