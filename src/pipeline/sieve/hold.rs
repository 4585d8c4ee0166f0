//! Events with absurd times in the surplus of a server that was asked for an instant.
//!
//! Such an event does not show by itself whether it belongs to the surplus, which an earlier
//! connection has delivered. The event that follows it does: so the event waits for that one.
//! Until then the position does not pass it, so that a process that is killed gets it again.

use crate::event::batch::Batch;
use crate::position::TimeUs;

use super::Sieve;
use super::early::{Early, Surplus, is_imported};

/// So many absurd times in a row are no lies: this machine's clock is the one that is wrong.
const MANY: usize = 4;

impl Sieve {
    /// Returns `batch` behind the events that waited for it, without those that belong to the
    /// surplus, and without those at its end that wait for the next batch. Changes nothing unless
    /// an event has an absurd time and the surplus lasts.
    pub(super) fn hold_undecided(&mut self, batch: Batch) -> Batch {
        let Some(instant) = self.skip_until else {
            return if self.undecided.is_empty() { batch } else { self.behind_undecided(&batch) };
        };
        let batch = if self.undecided.is_empty() { batch } else { self.behind_undecided(&batch) };
        let Some((surplus, undecided)) = self.find_surplus(&batch, instant) else {
            (self.skip_until, self.early) = (None, Early::default());
            return batch;
        };
        if surplus.is_empty() && undecided == 0 {
            return batch;
        }
        let decided = batch.len() - undecided;
        let mut left = Batch::default();
        for (i, line) in batch.lines().enumerate() {
            if i >= decided {
                self.undecided.push(line);
            } else if surplus.contains(&i) {
                self.metrics.early.add(1);
            } else {
                left.push(line);
            }
        }
        left
    }

    fn behind_undecided(&mut self, batch: &Batch) -> Batch {
        let mut joined = std::mem::take(&mut self.undecided);
        joined.append(batch);
        joined
    }

    /// Returns the numbers of the lines with absurd times that an event of the surplus follows,
    /// and how many lines, from the first undecided one on, stand at the end of the batch. Returns
    /// `None` if this machine's clock is wrong, so that no time tells where the surplus ends.
    fn find_surplus(&self, batch: &Batch, instant: TimeUs) -> Option<(Vec<usize>, usize)> {
        let (mut early, mut surplus, mut undecided) = (self.early, Vec::new(), Vec::new());
        for (i, line) in batch.lines().enumerate() {
            let Ok(header) = self.shape.parse(line) else { continue };
            let time = TimeUs(header.time_us);
            if self.is_absurd(time) {
                undecided.push(i);
                if undecided.len() > MANY {
                    return None;
                }
                continue;
            }
            match early.look(time, instant) {
                _ if is_imported(time, instant) => {}
                Surplus::Early => surplus.append(&mut undecided),
                Surplus::Wanted => undecided.clear(),
                Surplus::Over => return Some((surplus, 0)),
            }
        }
        let undecided = undecided.first().map_or(0, |first| batch.len() - first);
        Some((surplus, undecided))
    }
}
