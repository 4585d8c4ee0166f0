//! Reports what an unfiltered plan omits, as gaps between two seqs.

use super::super::BackfillStep;
use super::super::plan::PlanPage;
use super::super::segment_list::{self, PlanGap};
use super::Backfill;
use super::damage::join_reasons;
use crate::archive::name::segment_name;

impl Backfill {
    /// Finds the ranges of seqs for which an unfiltered page names no segment although they have
    /// events. Seqs alone prove nothing: they may start anywhere, and the planner omits segments
    /// that compaction emptied. So the list of segments decides.
    pub(super) async fn find_plan_gaps(&mut self, page: &PlanPage) {
        if !self.plan_filter.is_unfiltered() {
            return;
        }
        let (mut suspects, mut skipped) = (Vec::new(), Vec::new());
        let (mut end, mut last_index) = (self.planned_up_to, None::<u64>);
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
                    skipped.push(PlanGap { from: end, to: segment.min_seq, what });
                }
            }
            end = end.max(segment.max_seq);
            last_index = Some(segment.index);
        }
        if page.planned_through_seq > end {
            suspects.push((end, page.planned_through_seq + 1));
        }
        self.planned_up_to = end.max(page.planned_through_seq);
        if suspects.is_empty() {
            return;
        }
        match segment_list::find_plan_gaps(&self.client, &suspects).await {
            Ok(plan_gaps) => self.plan_gaps.extend(plan_gaps),
            Err(error) => {
                tracing::debug!("listSegments: {error}");
                self.plan_gaps.extend(skipped);
            }
        }
    }

    /// Returns the gap that ends before `seq`, if any: damaged blocks whose bounds are unknown, and
    /// what the plan omits.
    pub(super) fn gap_before(&mut self, seq: u64) -> Option<BackfillStep> {
        let mut missing = self.open_gap.take().map(|(from, what)| (from, seq, what));
        while self.plan_gaps.front().is_some_and(|plan_gap| plan_gap.to <= seq) {
            let Some(plan_gap) = self.plan_gaps.pop_front() else { break };
            missing = Some(match missing {
                Some((from, to, what)) => (
                    from.min(plan_gap.from),
                    to.max(plan_gap.to),
                    join_reasons(what, &plan_gap.what),
                ),
                None => (plan_gap.from, plan_gap.to, plan_gap.what),
            });
        }
        let (from, to, what) = missing?;
        Some(self.gap_step(from, to, what))
    }
}
