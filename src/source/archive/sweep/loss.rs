//! What a sweep can't have: damaged blocks and segments, as gaps between two seqs.

use super::super::Step;
use super::super::decode::seq;
use super::{Decoding, Sweep};
use crate::metrics::now_us;
use crate::position::gap::Gap;
use crate::position::{EventPosition, TimeUs};

/// Most bytes of what is told of one gap.
const MAX_TOLD_BYTES: usize = 600;

impl Sweep {
    /// The block in front can't be had.
    pub(super) fn lost(&mut self, why: &str) -> Option<Step> {
        let Decoding { job, .. } = self.decoding.pop_front()?;
        if job.is_last {
            self.common.metrics.backfill.segments_done.add(1);
        }
        let what = format!("{}: {why}", job.name());
        match &job.entry {
            Some(entry) => {
                let (first, last) = (entry.min_seq, entry.max_seq.min(self.tip));
                self.last_block_seq = self.last_block_seq.max(entry.max_seq);
                Some(self.lost_seqs(first, last, what))
            }
            None => {
                self.open_gap = Some(match self.open_gap.take() {
                    Some((from, before)) => (from, joined(before, &what)),
                    None => (self.done, what),
                });
                None
            }
        }
    }

    /// The segment in front can't be read at all.
    pub(super) fn lost_segment(&mut self, why: &str) -> Option<Step> {
        let Decoding { job, .. } = self.decoding.pop_front()?;
        self.common.metrics.backfill.segments_done.add(1);
        let planned = &job.volume.planned;
        let (first, last) = (planned.min_seq, planned.max_seq.min(self.tip));
        let what = format!("{}: {why}", planned.name);
        Some(self.lost_seqs(first, last, what))
    }

    fn lost_seqs(&mut self, first: u64, last: u64, what: String) -> Step {
        let (from, what) = match self.open_gap.take() {
            Some((from, before)) => (from, joined(before, &what)),
            None => (first.saturating_sub(1).max(self.done), what),
        };
        self.done = self.done.max(last);
        let through = seq(self.done).map(|seq| EventPosition { time: self.latest, seq: Some(seq) });
        Step { through, ..self.gap(from, last + 1, what) }
    }

    /// A gap between two seqs that are not part of it.
    pub(super) fn gap(&self, from: u64, to: u64, what: String) -> Step {
        let gap = Gap {
            seen_at: TimeUs(now_us()),
            from_time: None,
            to_time: None,
            from_seq: seq(from),
            to_seq: seq(to),
            reason: format!("the archive: {what}"),
        };
        Step { gap: Some(gap), ..Step::default() }
    }
}

/// Two reasons for one gap, as long as anybody reads them.
pub(super) fn joined(before: String, what: &str) -> String {
    if before.len() + what.len() > MAX_TOLD_BYTES { before } else { format!("{before}; {what}") }
}
