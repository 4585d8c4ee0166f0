//! Reports damaged blocks and segments as gaps between two seqs.

use super::super::BackfillStep;
use super::super::decode::valid_seq;
use super::{Backfill, BlockDecode};
use crate::metrics::now_us;
use crate::position::gap::Gap;
use crate::position::{EventPosition, TimeUs};

/// Most bytes of a gap's reason.
const MAX_REASON_BYTES: usize = 600;

impl Backfill {
    /// Reports the head-of-line block as a gap.
    pub(super) fn block_damaged(&mut self, why: &str) -> Option<BackfillStep> {
        let BlockDecode { job, .. } = self.decodes.pop_front()?;
        if job.is_last {
            self.context.metrics.backfill.segments_done.add(1);
        }
        let what = format!("{}: {why}", job.name());
        match &job.entry {
            Some(entry) => {
                let (first, last) = (entry.min_seq, entry.max_seq.min(self.tip));
                self.last_block_seq = self.last_block_seq.max(entry.max_seq);
                Some(self.damaged_seqs(first, last, what))
            }
            None => {
                self.open_gap = Some(match self.open_gap.take() {
                    Some((from, before)) => (from, join_reasons(before, &what)),
                    None => (self.done, what),
                });
                None
            }
        }
    }

    /// Reports the whole segment of the head-of-line block as a gap.
    pub(super) fn segment_damaged(&mut self, why: &str) -> Option<BackfillStep> {
        let BlockDecode { job, .. } = self.decodes.pop_front()?;
        self.context.metrics.backfill.segments_done.add(1);
        let planned = &job.segment.planned;
        let (first, last) = (planned.min_seq, planned.max_seq.min(self.tip));
        let what = format!("{}: {why}", planned.name);
        Some(self.damaged_seqs(first, last, what))
    }

    fn damaged_seqs(&mut self, first: u64, last: u64, what: String) -> BackfillStep {
        let (from, what) = match self.open_gap.take() {
            Some((from, before)) => (from, join_reasons(before, &what)),
            None => (first.saturating_sub(1).max(self.done), what),
        };
        self.done = self.done.max(last);
        let through =
            valid_seq(self.done).map(|seq| EventPosition { time: self.max_time, seq: Some(seq) });
        BackfillStep { through, ..self.gap_step(from, last + 1, what) }
    }

    /// Returns a gap between two seqs, which are not part of it.
    pub(super) fn gap_step(&self, from: u64, to: u64, what: String) -> BackfillStep {
        let gap = Gap {
            seen_at: TimeUs(now_us()),
            from_time: None,
            to_time: None,
            from_seq: valid_seq(from),
            to_seq: valid_seq(to),
            reason: format!("the archive: {what}"),
        };
        BackfillStep { gap: Some(gap), ..BackfillStep::default() }
    }
}

/// Joins two reasons of one gap, up to [`MAX_REASON_BYTES`].
pub(super) fn join_reasons(before: String, what: &str) -> String {
    if before.len() + what.len() > MAX_REASON_BYTES { before } else { format!("{before}; {what}") }
}
