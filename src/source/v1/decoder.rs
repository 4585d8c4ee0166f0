//! Decodes the messages of one v1 connection: each is a line as it is, or a compressed one.

use std::sync::Arc;

use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::event::header_spans::HeaderSpans;
use crate::event::whitespace;
use crate::metrics::Metrics;
use crate::position::ServerKind;
use crate::source::decoding::{Decoded, Decompressor, WireMessage};

/// The decoder of one v1 connection.
#[derive(Debug)]
pub struct V1Decoder {
    decompressor: Decompressor,
    /// What the first sound event showed.
    kind: Option<ServerKind>,
    /// Whether the server writes events over several lines.
    is_multiline: bool,
    metrics: Arc<Metrics>,
}

impl V1Decoder {
    /// Creates the decoder of a new connection.
    #[must_use]
    pub fn new(decompressor: Decompressor, metrics: Arc<Metrics>) -> Self {
        Self { decompressor, kind: None, is_multiline: false, metrics }
    }

    /// Returns the kind of server; `None` before the first sound event.
    #[must_use]
    pub fn server_kind(&self) -> Option<ServerKind> {
        self.kind
    }

    /// Returns whether text messages are lines as they are. They are not checked for line breaks
    /// after that, because the first events show whether a server writes any.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        self.kind.is_some() && !self.is_multiline && !self.decompressor.is_enabled()
    }

    /// Decodes one message.
    pub fn decode(&mut self, message: WireMessage<'_>, batch: &mut Batch) -> Decoded {
        match message {
            WireMessage::Text(text) => {
                let text = whitespace::trimmed(text);
                match self.compacted(text) {
                    Some(compact) => batch.push(&compact),
                    None => batch.push(text),
                }
            }
            WireMessage::Binary(frame) => {
                // The line is decompressed where it stays, and not copied.
                let out = batch.line_buffer();
                if let Err(decoded) = self.decompressor.append(frame, out, &self.metrics) {
                    batch.discard_partial_line();
                    return decoded;
                }
                let (before, length) = whitespace::text_span(batch.partial_line());
                let text = batch.partial_line().get(before..before + length).unwrap_or_default();
                match self.compacted(text) {
                    Some(compact) => {
                        batch.discard_partial_line();
                        batch.push(&compact);
                    }
                    None => {
                        batch.take_line(before, length);
                        batch.discard_partial_line();
                    }
                }
            }
        }
        if self.kind.is_none() {
            self.kind = batch.header_of_last(EventFormat::V1).map(|header| kind_of(&header));
        }
        Decoded::Event
    }

    /// Returns an event without line breaks, if it has any. Only the first events of a
    /// connection are searched for them, unless these had some.
    fn compacted(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        if self.kind.is_some() && !self.is_multiline {
            return None;
        }
        let compact = whitespace::compacted(text);
        self.is_multiline |= compact.is_some();
        compact
    }
}

/// Returns the kind of server that sent an event (protocol/jetstream-v1.md §2).
fn kind_of(header: &HeaderSpans) -> ServerKind {
    if header.cursor().is_some() { ServerKind::V2 } else { ServerKind::Legacy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header;

    const LEGACY: &str = r#"{"did":"did:plc:a","time_us":5,"kind":"account"}"#;

    fn decoder() -> (V1Decoder, Batch) {
        let metrics = Arc::new(Metrics::default());
        let decompressor = Decompressor::new(None, 1000);
        (V1Decoder::new(decompressor, metrics), Batch::default())
    }

    #[test]
    fn the_first_sound_event_shows_the_kind_of_server() {
        for (event, kind) in [
            (LEGACY.to_owned(), ServerKind::Legacy),
            (LEGACY.replace("\"kind\"", "\"cursor\":7,\"kind\""), ServerKind::V2),
        ] {
            let (mut decoder, mut batch) = decoder();
            assert_eq!(decoder.decode(WireMessage::Text(b"{broken"), &mut batch), Decoded::Event);
            assert_eq!((decoder.server_kind(), decoder.is_verbatim()), (None, false));
            let message = WireMessage::Text(event.as_bytes());
            assert_eq!(decoder.decode(message, &mut batch), Decoded::Event);
            assert_eq!((decoder.server_kind(), decoder.is_verbatim()), (Some(kind), true));
        }
    }

    #[test]
    fn multiline_events_become_single_lines_and_are_never_read_verbatim() {
        let (mut decoder, mut batch) = decoder();
        let value: serde_json::Value = serde_json::from_str(LEGACY).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for _ in 0..2 {
            decoder.decode(WireMessage::Text(format!("{pretty}\r\n").as_bytes()), &mut batch);
        }
        assert!(batch.lines().all(|line| header::parse(line).is_ok() && !line.contains(&b'\n')));
        assert_eq!(decoder.server_kind(), Some(ServerKind::Legacy));
        assert!(!decoder.is_verbatim());
    }

    #[test]
    fn binary_messages_without_compression_are_skipped_and_counted() {
        let (mut decoder, mut batch) = decoder();
        assert_eq!(decoder.decode(WireMessage::Binary(b"x"), &mut batch), Decoded::Skipped);
        assert!(batch.is_empty());
        assert_eq!(decoder.metrics.malformed.get(), 1);
    }
}
