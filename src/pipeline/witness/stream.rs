//! The witness's stream, as the writer takes it from the channel.

use std::sync::Arc;

use crate::event::batch::CompactBatch;
use crate::filter::Filter;
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
    /// The filter that the stream has from these lines on, if it changes.
    pub(super) filter: Option<Arc<Filter>>,
}

impl WitnessStream {
    /// Takes the next batch of the channel, without waiting.
    pub(super) fn take(&mut self, now: TimeUs) -> Option<PassedLines> {
        let Recv::Item(mut item) = self.receiver.recv(None) else { return None };
        self.messages.decode(&mut item.batch, &item.connection);
        let filter = item.filter.take();
        if let Some(filter) = &filter {
            self.processor.change_filter(Arc::clone(filter));
        }
        let connection = Arc::clone(&item.connection);
        let (lines, passed, anomaly) = observe(&mut self.processor, item, now, &self.feedback);
        if let Some(Anomaly::Gap(gap)) = anomaly {
            let server = &self.server;
            tracing::warn!(
                %server,
                "the witness can't compare gap {gap}: {}; the events of the server in use are printed as always",
                gap.reason,
            );
        }
        Some(PassedLines { lines, passed, connection, filter })
    }

    /// Returns whether it is connected and has brought an event.
    pub(super) fn has_brought_events(&self) -> bool {
        let metrics = &self.metrics;
        metrics.connected.get() == 1
            && (metrics.received.get() > 0 || metrics.queue_events.get() > 0)
    }

    /// Gives the memory of a batch back.
    pub(super) fn recycle(&self, lines: CompactBatch) {
        self.receiver.recycle(lines.into_batch());
    }
}

/// Passes a batch through a stage that writes nothing, and reports to the reader of its stream how far
/// that has come. Returns the lines that were let through, their keys, and what is wrong with the stream.
pub fn observe(
    processor: &mut EventProcessor,
    item: Item,
    now: TimeUs,
    feedback: &WriterFeedback,
) -> (CompactBatch, Vec<PassedEvent>, Option<Anomaly>) {
    let Item { batch, connection, gap, through, .. } = item;
    if let Some(gap) = gap {
        processor.report_gap(gap);
    }
    let staged = processor.process(batch, &connection, now);
    let passed = processor.take_passed();
    processor.take_rejected();
    let anomaly = processor.take_anomaly();
    if let Some(Anomaly::Renumbered { .. }) = anomaly {
        feedback.reject_numbers(connection.number);
    }
    feedback.set_early(processor.surplus_time());
    let lines = processor.commit(staged, Delivery::Bytes(0));
    if let Some(through) = through {
        processor.advance_watermark(&connection, through, now);
    }
    feedback.set(processor.position());
    (lines, passed, anomaly)
}
