//! Decodes the messages that the decoder of a connection left in its batches.

use std::sync::Arc;

use super::decoder::report_disorder;
use crate::event::batch::{Batch, MessageDecoder, MessageObserver};
use crate::metrics::Metrics;
use crate::source::protocol::Protocol;
use crate::source::{ConnectionInfo, count_malformed};

/// Decodes batches in the order in which they were received.
#[derive(Debug)]
pub struct DeferredDecoder {
    messages: MessageDecoder,
    order: SeqOrder,
}

/// The sequence numbers so far, which a server promises to raise.
#[derive(Debug)]
struct SeqOrder {
    /// The number of the connection of the last event.
    connection: Option<u64>,
    /// The last sequence number of that connection; 0 before the first.
    last_seq: u64,
    metrics: Arc<Metrics>,
}

impl DeferredDecoder {
    /// Returns a decoder that has seen no event.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let order = SeqOrder { connection: None, last_seq: 0, metrics };
        Self { messages: MessageDecoder::default(), order }
    }

    /// Decodes the messages of a batch, if it has any.
    pub fn decode(&mut self, batch: &mut Batch, connection: &ConnectionInfo) {
        if connection.protocol != Protocol::V2 {
            return;
        }
        if self.order.connection != Some(connection.number) {
            (self.order.connection, self.order.last_seq) = (Some(connection.number), 0);
        }
        if batch.is_encoded() {
            return batch.decode(connection.shape, &mut self.messages, &mut self.order);
        }
        // The decoder of the connection has checked the order within this batch.
        let last = batch.len().checked_sub(1).and_then(|last| batch.header(last)?.cursor());
        self.order.last_seq = last.unwrap_or(self.order.last_seq);
    }
}

impl MessageObserver for SeqOrder {
    #[inline]
    fn on_event(&mut self, seq: u64) {
        if seq <= self.last_seq {
            report_disorder(&self.metrics, seq, self.last_seq);
        }
        self.last_seq = seq;
    }

    fn on_malformed(&mut self, error: &str, message: &[u8]) {
        count_malformed(&self.metrics, error, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::format::EventFormat;
    use crate::position::{Origin, ServerKind};
    use crate::source::RequestedCursor;

    fn connection(number: u64) -> ConnectionInfo {
        ConnectionInfo {
            number,
            origin: Origin {
                server: "h.example".into(),
                kind: ServerKind::V2,
                filter_fingerprint: 0,
            },
            requested: RequestedCursor::Live,
            protocol: Protocol::V2,
            shape: EventFormat::V1,
            is_clamped: false,
        }
    }

    fn batch(seqs: &[u64]) -> Batch {
        let mut batch = Batch::default();
        for seq in seqs {
            let message = format!(
                r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{{"active":true}},"did":"did:plc:a","seq":{seq},"time":"2026-07-04T14:38:08.390226Z"}}}}"#
            );
            batch.push(message.as_bytes());
        }
        batch.mark_encoded();
        batch
    }

    #[test]
    fn sequence_numbers_of_one_connection_must_rise() {
        let metrics = Arc::new(Metrics::default());
        let mut decoder = DeferredDecoder::new(Arc::clone(&metrics));
        let mut decode = |number: u64, batch: &mut Batch| {
            decoder.decode(batch, &connection(number));
            metrics.disordered.get()
        };
        let mut first = batch(&[5, 6]);
        assert_eq!(decode(1, &mut first), 0);
        assert_eq!(first.header(1).and_then(|header| header.cursor()), Some(6));
        assert_eq!(decode(1, &mut batch(&[6, 7, 3])), 2);
        assert_eq!(decode(2, &mut batch(&[3])), 2);
        // Lines that the connection's decoder made count, too.
        assert_eq!(decode(2, &mut first), 2);
        assert_eq!(decode(2, &mut batch(&[6])), 3);
    }

    #[test]
    fn a_message_that_is_no_event_is_counted_and_left_out() {
        let metrics = Arc::new(Metrics::default());
        let mut decoder = DeferredDecoder::new(Arc::clone(&metrics));
        let mut batch = batch(&[1]);
        batch.push(b"{broken");
        decoder.decode(&mut batch, &connection(1));
        assert_eq!((batch.len(), metrics.malformed.get(), metrics.received.get()), (1, 1, 1));
    }
}
