//! What a plan leaves out although the run wants everything, as gaps between two seqs.

use super::super::Step;
use super::super::list::{self, Hole};
use super::super::plan::Page;
use super::Sweep;
use super::loss::joined;
use crate::archive::name::segment_name;

impl Sweep {
    /// Finds the stretches of seqs of which an unfiltered page names no segment although
    /// events lie there. Seqs alone prove nothing: they may begin anywhere, and the planner
    /// leaves out what compaction emptied. So the list of segments decides.
    pub(super) async fn find_holes(&mut self, page: &Page) {
        if !self.wish.is_everything() {
            return;
        }
        let (mut suspects, mut skipped) = (Vec::new(), Vec::new());
        let (mut end, mut last_index) = (self.planned, None::<u64>);
        for segment in &page.segments {
            if segment.min_seq > end + 1 {
                suspects.push((end, segment.min_seq));
                if let Some(index) = last_index
                    && index + 1 < segment.index
                {
                    let name = segment_name(index + 1);
                    let what = format!(
                        "the plan leaves out {name}, and the list of segments can't be read"
                    );
                    skipped.push(Hole { from: end, to: segment.min_seq, what });
                }
            }
            end = end.max(segment.max_seq);
            last_index = Some(segment.index);
        }
        if page.planned_through_seq > end {
            suspects.push((end, page.planned_through_seq + 1));
        }
        self.planned = end.max(page.planned_through_seq);
        if suspects.is_empty() {
            return;
        }
        match list::left_out(&self.way, &suspects).await {
            Ok(holes) => self.holes.extend(holes),
            Err(error) => {
                tracing::debug!("listSegments: {error}");
                self.holes.extend(skipped);
            }
        }
    }

    /// Returns the gap that ends before `seq`, if anything is missing there: damaged blocks
    /// whose bounds are unknown, and what the plan leaves out.
    pub(super) fn missing_before(&mut self, seq: u64) -> Option<Step> {
        let mut missing = self.open_gap.take().map(|(from, what)| (from, seq, what));
        while self.holes.front().is_some_and(|hole| hole.to <= seq) {
            let Some(hole) = self.holes.pop_front() else { break };
            missing = Some(match missing {
                Some((from, to, what)) => {
                    (from.min(hole.from), to.max(hole.to), joined(what, &hole.what))
                }
                None => (hole.from, hole.to, hole.what),
            });
        }
        let (from, to, what) = missing?;
        Some(self.gap(from, to, what))
    }
}
