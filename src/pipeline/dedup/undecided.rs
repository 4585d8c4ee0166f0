//! Events with absurd times in the surplus of a server that was asked for an instant.
//!
//! Such an event alone does not show whether it belongs to the surplus, which an earlier
//! connection has delivered. The event that follows it does: so the event waits for that one.
//! Until then the position does not pass it, so that a process that is killed gets it again.

use crate::event::batch::Batch;
use crate::position::TimeUs;

use super::EventProcessor;
use super::surplus::{Surplus, SurplusFilter, is_imported};

/// If more absurd times than this come in a row, this machine's clock is the wrong one.
const MAX_IN_A_ROW: usize = 4;

impl EventProcessor {
    /// Returns the events that waited, followed by `batch`, without those that belong to the
    /// surplus and without those at the end that wait for the next batch. Changes nothing unless
    /// an event has an absurd time while the surplus lasts.
    pub(super) fn hold_undecided(&mut self, batch: Batch) -> Batch {
        let mut batch =
            if self.undecided.is_empty() { batch } else { self.after_undecided(&batch) };
        let Some(instant) = self.surplus_until else { return batch };
        let Some((surplus, undecided)) = self.find_surplus(&mut batch, instant) else {
            (self.surplus_until, self.surplus) = (None, SurplusFilter::default());
            return batch;
        };
        if surplus.is_empty() && undecided == 0 {
            return batch;
        }
        let decided = batch.len() - undecided;
        let mut left = Batch::default();
        for (i, line) in batch.lines().enumerate() {
            if i >= decided {
                self.undecided.push_with(line, batch.header(i));
            } else if surplus.contains(&i) {
                self.metrics.early.add(1);
            } else {
                left.push_with(line, batch.header(i));
            }
        }
        left
    }

    fn after_undecided(&mut self, batch: &Batch) -> Batch {
        let mut joined = std::mem::take(&mut self.undecided);
        joined.append(batch);
        joined
    }

    /// Returns the indexes of the lines with absurd times that an event of the surplus follows,
    /// and the number of lines at the end of the batch from the first undecided one on. Returns
    /// `None` if this machine's clock is wrong, so that no time shows where the surplus ends.
    fn find_surplus(&self, batch: &mut Batch, instant: TimeUs) -> Option<(Vec<usize>, usize)> {
        let (mut filter, mut surplus, mut undecided) = (self.surplus, Vec::new(), Vec::new());
        for i in 0..batch.len() {
            let Some(header) = batch.header_or_parse(i, self.shape) else { continue };
            let time = TimeUs(header.time_us);
            if self.is_absurd(time) {
                undecided.push(i);
                if undecided.len() > MAX_IN_A_ROW {
                    return None;
                }
                continue;
            }
            match filter.classify(time, instant) {
                _ if is_imported(time, instant) => {}
                Surplus::Inside => surplus.append(&mut undecided),
                Surplus::Outside => undecided.clear(),
                Surplus::Ended => return Some((surplus, 0)),
            }
        }
        let undecided = undecided.first().map_or(0, |first| batch.len() - first);
        Some((surplus, undecided))
    }
}
