//! Decodes the messages of one connection into lines, whatever its wire format.
//!
//! This is the seam for wire formats. A new one needs a file that implements the methods below, an
//! arm in [`Decoder`], and a request that asks a server for it (see [`super::client`]). Nothing
//! else that handles a message asks which format its connection has. The reader asks for the
//! protocol between messages, because v1 and v2 differ in what a cursor may be
//! (`pipeline::reader`). An enum rather than a trait object keeps the decoding of each message free
//! of indirect calls.

use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::position::ServerKind;

use super::decoding::{Decoded, WireMessage};
use super::protocol::Protocol;
use super::v1::decoder::V1Decoder;
use super::v2::decoder::V2Decoder;

/// The decoder of one connection.
#[derive(Debug)]
pub enum Decoder {
    /// Jetstream v1.
    V1(V1Decoder),
    /// Jetstream v2.
    V2(V2Decoder),
}

impl Decoder {
    /// Decodes one message. Appends at most one line to `batch`.
    pub fn decode(&mut self, message: WireMessage<'_>, batch: &mut Batch) -> Decoded {
        match self {
            Self::V1(decoder) => decoder.decode(message, batch),
            Self::V2(decoder) => decoder.decode(message, batch),
        }
    }

    /// Returns the protocol whose messages it decodes.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::V1(_) => Protocol::V1,
            Self::V2(_) => Protocol::V2,
        }
    }

    /// Returns the format of the lines.
    #[must_use]
    pub fn format(&self) -> EventFormat {
        match self {
            Self::V1(_) => EventFormat::V1,
            Self::V2(decoder) => decoder.format(),
        }
    }

    /// Returns the kind of server, which the first sound event shows; `None` before that.
    #[must_use]
    pub fn server_kind(&self) -> Option<ServerKind> {
        match self {
            Self::V1(decoder) => decoder.server_kind(),
            Self::V2(decoder) => decoder.server_kind(),
        }
    }

    /// Returns the kind of server to assume before the first sound event. No line exists then
    /// that could depend on it.
    #[must_use]
    pub fn presumed_kind(&self) -> ServerKind {
        match self {
            Self::V1(_) => ServerKind::Legacy,
            Self::V2(_) => ServerKind::V2,
        }
    }

    /// Returns whether the server said that it no longer holds the requested time.
    #[must_use]
    pub fn is_clamped(&self) -> bool {
        match self {
            Self::V1(_) => false,
            Self::V2(decoder) => decoder.is_clamped(),
        }
    }

    /// Returns whether text messages may be read straight into `batch`, without white space around
    /// them: they are lines as they are, or are decoded later. [`Decoder::next_other`] then finds
    /// the others.
    #[must_use]
    pub fn reads_inline(&self, batch: &Batch) -> bool {
        match self {
            Self::V1(decoder) => decoder.is_verbatim(),
            Self::V2(decoder) => decoder.reads_inline(batch),
        }
    }

    /// Sets whether messages may stay encoded, for [`Batch::decode`] on another thread.
    pub fn set_deferring(&mut self, defers: bool) {
        if let Self::V2(decoder) = self {
            decoder.set_deferring(defers);
        }
    }

    /// Returns the first message that is not an event among the lines from `first` on, which were read
    /// straight into `batch`, and its result.
    pub fn next_other(&mut self, batch: &mut Batch, first: usize) -> Option<(usize, Decoded)> {
        match self {
            Self::V1(_) => None,
            Self::V2(decoder) => decoder.next_other(batch, first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::source::decoding::Decompressor;
    use std::sync::Arc;

    fn v1() -> Decoder {
        Decoder::V1(V1Decoder::new(Decompressor::new(None, 1000), Arc::new(Metrics::default())))
    }

    fn v2(format: EventFormat) -> Decoder {
        let decompressor = Decompressor::new(None, 1000);
        Decoder::V2(V2Decoder::new(format, decompressor, Arc::new(Metrics::default())))
    }

    #[test]
    fn each_wire_format_answers_for_itself() {
        let v1_event = r#"{"did":"did:plc:a","time_us":5,"kind":"account"}"#;
        let v2_event = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{"active":true},"did":"did:plc:a","seq":7,"time":"2026-07-04T14:38:08.390226Z"}}"#;
        for (mut decoder, event, protocol, format, kind, is_verbatim) in [
            (v1(), v1_event, Protocol::V1, EventFormat::V1, ServerKind::Legacy, true),
            (v2(EventFormat::V1), v2_event, Protocol::V2, EventFormat::V1, ServerKind::V2, false),
            (
                v2(EventFormat::Native),
                v2_event,
                Protocol::V2,
                EventFormat::Native,
                ServerKind::V2,
                false,
            ),
        ] {
            let mut batch = Batch::default();
            assert_eq!((decoder.protocol(), decoder.format()), (protocol, format));
            assert_eq!((decoder.server_kind(), decoder.presumed_kind()), (None, kind));
            assert!(!decoder.reads_inline(&Batch::default()) && !decoder.is_clamped());
            let message = WireMessage::Text(event.as_bytes());
            assert_eq!(decoder.decode(message, &mut batch), Decoded::Event);
            assert_eq!(decoder.server_kind(), Some(kind));
            assert_eq!(decoder.reads_inline(&Batch::default()), is_verbatim);
            assert!(batch.lines().all(|line| format.parse(line).is_ok()) && batch.len() == 1);
        }
    }
}
