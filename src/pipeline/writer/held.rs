//! Output that waits for the witness (`--witness-hold`).
//!
//! A stage of its own notes what comes, for the matcher and for the reader: a reconnect resumes
//! there, because what waits is in memory. The writer's own stage, and with it the saved position,
//! only sees what has waited long enough.

use std::sync::Arc;

use crate::event::batch::Batch;
use crate::filter::Filter;
use crate::metrics::Metrics;
use crate::pipeline::channel::Item;
use crate::pipeline::dedup::EventProcessor;
use crate::pipeline::handoff::inline_writer::BatchWriter as _;
use crate::pipeline::witness::{MainStream, Step, WitnessSide, observe};
use crate::position::TimeUs;
use crate::source::RequestedCursor;

use super::Writer;

/// The stage of what has come.
#[derive(Debug)]
pub struct Arrival {
    /// Filters and deduplicates what comes.
    pub processor: EventProcessor,
}

/// Cuts a batch that has more event time than `step_us`, as a replay's may, so that its first lines
/// don't wait for its last ones.
fn pieces(mut item: Item, step_us: u64) -> Vec<Item> {
    let shape = item.connection.shape;
    let first = item.batch.header_or_parse(0, shape).map_or(0, |header| header.time_us);
    let last = item.batch.header_of_last(shape).map_or(0, |header| header.time_us);
    if last.saturating_sub(first) <= step_us {
        return vec![item];
    }
    let (mut pieces, mut piece, mut since) = (Vec::new(), Batch::default(), first);
    for i in 0..item.batch.len() {
        let time = item.batch.header_or_parse(i, shape).map_or(since, |header| header.time_us);
        if time.abs_diff(since) > step_us && !piece.is_empty() {
            since = time;
            pieces.push(item.split_lines(std::mem::take(&mut piece)));
        }
        piece.push_with(item.batch.line(i), item.batch.header(i));
    }
    pieces.push(Item { batch: piece, ..item });
    pieces
}

impl Writer {
    /// Notes a batch that has come, and writes what has waited long enough.
    pub(super) fn hold(&mut self, mut item: Item) {
        self.messages.decode(&mut item.batch, &item.connection);
        self.config.metrics.last_event_at_us.set(crate::metrics::now_us());
        // The archive has no witness, and is followed by the stream.
        if item.connection.requested == RequestedCursor::Archive {
            self.note_arrival(&item);
            self.write_held(true);
            if !self.has_ended {
                self.process(item);
                self.resume();
            }
            return;
        }
        let step_us = self.config.witness.as_ref().map_or(0, WitnessSide::hold_step_us);
        for piece in pieces(item, step_us) {
            self.note_arrival(&piece);
            let latest = self.config.arrival.as_ref().map(|arrival| arrival.processor.latest());
            if let Some(witness) = &mut self.config.witness {
                witness.hold(piece, latest.unwrap_or_default());
            }
        }
        self.write_held(false);
    }

    /// Changes the filter of what comes. What waits passes the old one, so that the output changes
    /// after it.
    pub(super) fn hold_filter(&mut self, filter: Arc<Filter>, item: &Item) {
        let Some(Arrival { processor, .. }) = &mut self.config.arrival else { return };
        processor.change_filter(Arc::clone(&filter));
        self.config.feedback.set(processor.position());
        let latest = processor.latest();
        if let Some(witness) = &mut self.config.witness {
            witness.hold(Item::filter_change(filter, Arc::clone(&item.connection)), latest);
        }
    }

    fn note_arrival(&mut self, item: &Item) {
        let Some(Arrival { processor }) = &mut self.config.arrival else { return };
        let mut batch = Batch::default();
        batch.append(&item.batch);
        let copy = Item::lines(batch, Arc::clone(&item.connection));
        let copy = Item { gap: item.gap.clone(), through: item.through, ..copy };
        let now = TimeUs(crate::metrics::now_us());
        // The writer's own stage reports what is wrong with the stream when it comes there.
        let (lines, passed, _) = observe(processor, copy, now, &self.config.feedback);
        if let Some(witness) = &mut self.config.witness {
            witness.note_main(&lines, &passed, &item.connection);
        }
    }

    /// Writes what has waited long enough; with `all`, whatever waits.
    pub(super) fn write_held(&mut self, all: bool) {
        while !self.has_ended && self.open.is_none() {
            let held = self.config.witness.as_mut().and_then(|witness| witness.next_held(all));
            match held {
                None => return,
                Some(Step::Main(Item { filter: Some(filter), .. })) => self.change_filter(filter),
                Some(Step::Main(item)) => {
                    self.process(item);
                    self.resume();
                }
                Some(Step::Missing(missing)) => {
                    self.write_missing(missing, TimeUs(crate::metrics::now_us()));
                }
            }
        }
    }

    /// Returns what the witness is compared with.
    pub(super) fn main_stream<'a>(
        processor: &'a EventProcessor,
        arrival: Option<&'a Arrival>,
        metrics: &Metrics,
    ) -> MainStream<'a> {
        MainStream {
            written: processor,
            arrived: arrival.map(|arrival| &arrival.processor),
            events: metrics.received.get(),
        }
    }
}
