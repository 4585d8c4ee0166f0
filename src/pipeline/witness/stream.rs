//! The witness's stream, as the writer takes it from the channel.

use std::sync::Arc;

use crate::event::batch::CompactBatch;
use crate::metrics::Metrics;
use crate::pipeline::channel::{Item, Receiver, Recv};
use crate::pipeline::dedup::{Delivery, EventProcessor, PassedEvent};
use crate::pipeline::feedback::WriterFeedback;
use crate::pipeline::gap_detector::Anomaly;
use crate::position::TimeUs;
use crate::source::ConnectionInfo;
use crate::source::v2::deferred::DeferredDecoder;

/// The stream of one server that is the witness.
#[derive(Debug)]
pub struct WitnessStream {
    /// The name of the server.
    pub server: Arc<str>,
    /// Where its lines come from.
    pub receiver: Receiver,
    /// Decodes the messages that its connection left in the batches.
    pub messages: DeferredDecoder,
    /// Filters and deduplicates its lines, independently of the server in use.
    pub processor: EventProcessor,
    /// Reports the position to its reader.
    pub feedback: Arc<WriterFeedback>,
    /// The counters of its reader.
    pub metrics: Arc<Metrics>,
    /// Whether it starts at the live tip.
    pub is_live: bool,
}

/// The lines of a batch that are new in the witness's stream.
pub(super) struct PassedLines {
    pub(super) lines: CompactBatch,
    pub(super) passed: Vec<PassedEvent>,
    pub(super) connection: Arc<ConnectionInfo>,
}

impl WitnessStream {
    /// Takes the next batch of the channel, without waiting.
    pub(super) fn take(&mut self, now: TimeUs) -> Option<PassedLines> {
        let Recv::Item(item) = self.receiver.recv(None) else { return None };
        let Item { mut batch, connection, gap, through, .. } = item;
        self.messages.decode(&mut batch, &connection);
        if let Some(gap) = gap {
            self.processor.report_gap(gap);
        }
        let staged = self.processor.process(batch, &connection, now);
        let passed = self.processor.take_passed();
        self.processor.take_rejected();
        self.report_anomaly(connection.number);
        self.feedback.set_early(self.processor.surplus_time());
        let lines = self.processor.commit(staged, Delivery::Bytes(0));
        if let Some(through) = through {
            self.processor.advance_watermark(&connection, through, now);
        }
        self.feedback.set(self.processor.position());
        Some(PassedLines { lines, passed, connection })
    }

    /// Gives the memory of a batch back.
    pub(super) fn recycle(&self, lines: CompactBatch) {
        self.receiver.recycle(lines.into_batch());
    }

    fn report_anomaly(&mut self, connection: u64) {
        let server = &self.server;
        match self.processor.take_anomaly() {
            Some(Anomaly::Gap(gap)) => tracing::warn!(
                %server,
                "the witness can't compare gap {gap}: {}; the events of the server in use are printed as always",
                gap.reason,
            ),
            Some(Anomaly::Renumbered { .. }) => self.feedback.reject_numbers(connection),
            Some(Anomaly::Reused { .. } | Anomaly::Ahead { .. }) | None => {}
        }
    }
}
