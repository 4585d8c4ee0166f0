//! `listSegments`: reads the list, and finds the witness time of a seq and the segments that a plan
//! omits.
//!
//! A server may seal a segment without events, with both bounds 0, and compaction may remove
//! every event of a segment (protocol/jetstream-v2-archive.md §8). Such segments say nothing
//! about seqs or times, so every function here skips them.
//!
//! Source: protocol/jetstream-v2-archive.md §2.

use serde::Deserialize;

use super::client::ArchiveClient;
use super::error::ArchiveFetchError;
use super::plan::PlanError;
use crate::archive::name::segment_name;
use crate::position::{Seq, TimeUs};

/// Largest page of `listSegments`, in bytes: a thousand entries are about 300 KB.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Segments requested per page.
const LIST_LIMIT: u32 = 1_000;
/// Most pages that are requested: ten million segments.
const MAX_LIST_PAGES: u32 = 10_000;

/// A page of `listSegments`.
#[derive(Debug, Deserialize)]
struct SegmentPage {
    cursor: Option<String>,
    #[serde(default)]
    segments: Vec<ListedSegment>,
}

/// An entry of the list.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedSegment {
    pub(super) index: u64,
    pub(super) event_count: Option<u64>,
    pub(super) min_seq: u64,
    pub(super) max_seq: u64,
    pub(super) size_bytes: Option<u64>,
    pub(super) min_witnessed_at: Option<i64>,
    pub(super) max_witnessed_at: i64,
}

impl ListedSegment {
    /// Returns whether the segment holds no event. Seqs count from 1.
    pub(super) fn is_empty(&self) -> bool {
        // mutant: takes-empty-segments-for-wrong
        self.event_count == Some(0) || self.max_seq == 0
    }
}

/// Why the list of segments is unusable.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A request failed.
    #[error(transparent)]
    Fetch(#[from] ArchiveFetchError),
    /// A page is malformed.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Returns the witness time of the newest event up to `seq`, to the precision of the list of
/// segments; 0 if the list shows no such event.
///
/// # Errors
/// [`ListError`].
pub async fn time_at(client: &ArchiveClient, seq: u64) -> Result<TimeUs, ListError> {
    let mut at_us = 0;
    for_each_segment(client, |segment| {
        if segment.is_empty() {
            return true;
        }
        let is_before = segment.min_seq <= seq;
        if is_before {
            at_us = segment.max_witnessed_at;
        }
        is_before
    })
    .await?;
    Ok(TimeUs(u64::try_from(at_us).unwrap_or(0)))
}

/// A range of seqs for which an unfiltered plan names no segment. Its ends are exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanGap {
    /// The last seq before it; 0 for the beginning of the archive.
    pub from: u64,
    /// The first seq after it.
    pub to: u64,
    /// What the plan omits, for the gap's reason.
    pub what: String,
}

/// Returns those of the ranges `suspects` (ascending, exclusive ends) that contain segments with
/// events, or segments that the server does not list at all.
///
/// # Errors
/// As [`time_at`].
pub async fn find_plan_gaps(
    client: &ArchiveClient,
    suspects: &[(u64, u64)],
) -> Result<Vec<PlanGap>, ListError> {
    let mut searches: Vec<PlanGapSearch> =
        suspects.iter().map(|&ends| PlanGapSearch::new(ends)).collect();
    for_each_segment(client, |segment| {
        searches.iter_mut().for_each(|search| search.observe(segment));
        searches.iter().any(|search| !search.is_complete)
    })
    .await?;
    Ok(searches.into_iter().filter_map(PlanGapSearch::finish).collect())
}

/// Collects the segments within one range.
struct PlanGapSearch {
    from: u64,
    to: u64,
    /// The number that the next segment of the range must have, once it is known.
    next_index: Option<u64>,
    /// The first segment that is omitted or not listed, and how many there are.
    found: Option<(u64, u64)>,
    is_complete: bool,
}

impl PlanGapSearch {
    fn new((from, to): (u64, u64)) -> Self {
        let next_index = (from == 0).then_some(0);
        Self { from, to, next_index, found: None, is_complete: false }
    }

    fn observe(&mut self, segment: &ListedSegment) {
        if self.is_complete {
            return;
        }
        let is_empty = segment.is_empty();
        if is_empty || segment.min_seq > self.from {
            if let Some(next) = self.next_index.filter(|next| *next < segment.index) {
                self.record(next, segment.index - next);
            }
            self.is_complete = !is_empty && segment.min_seq >= self.to;
            if !is_empty && segment.max_seq < self.to {
                self.record(segment.index, 1);
            }
        }
        if !is_empty || self.next_index.is_some() {
            self.next_index = segment.index.checked_add(1);
        }
    }

    fn record(&mut self, index: u64, count: u64) {
        let (first, found) = self.found.unwrap_or((index, 0));
        self.found = Some((first, found.saturating_add(count)));
    }

    fn finish(self) -> Option<PlanGap> {
        let (first, count) = self.found?;
        let name = segment_name(first);
        let what = match count {
            1 => format!("the plan leaves out {name}"),
            _ => format!("the plan leaves out {count} segments from {name} on"),
        };
        Some(PlanGap { from: self.from, to: self.to, what })
    }
}

/// Calls `visit` with each segment of the list, by ascending number, until it returns `false`.
pub(super) async fn for_each_segment(
    client: &ArchiveClient,
    mut visit: impl FnMut(&ListedSegment) -> bool,
) -> Result<(), ListError> {
    let (mut cursor, mut order) = (None::<String>, ListOrder::default());
    for _ in 0..MAX_LIST_PAGES {
        let target = match &cursor {
            Some(cursor) => {
                let cursor: String =
                    url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
                format!("listSegments?limit={LIST_LIMIT}&cursor={cursor}")
            }
            None => format!("listSegments?limit={LIST_LIMIT}"),
        };
        let body = client.fetch_all(&target, None, MAX_LIST_BYTES).await?;
        let list = parse_page(&body, &mut order)?;
        if !list.segments.iter().all(&mut visit) {
            return Ok(());
        }
        match list.cursor.filter(|cursor| !cursor.is_empty()) {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The number and seq that the next segment of a list must exceed.
#[derive(Clone, Copy, Debug, Default)]
struct ListOrder {
    index: Option<u64>,
    seq: u64,
}

fn parse_page(body: &[u8], order: &mut ListOrder) -> Result<SegmentPage, PlanError> {
    let list: SegmentPage = serde_json::from_slice(body).map_err(PlanError::from_json)?;
    if list.segments.is_empty() && list.cursor.as_deref().is_some_and(|next| !next.is_empty()) {
        let what = "a page of the list of segments that holds nothing and names another page";
        return Err(PlanError::Malformed { what, value: 0 });
    }
    for segment in &list.segments {
        let has_order = order.index.is_none_or(|last| last < segment.index);
        let has_seqs = segment.min_seq <= segment.max_seq
            && segment.max_seq < Seq::LIMIT
            && (order.seq < segment.min_seq);
        if !has_order || !(segment.is_empty() || has_seqs) {
            let what = "the segments of the list don't ascend";
            return Err(PlanError::Malformed { what, value: segment.index });
        }
        order.index = Some(segment.index);
        if !segment.is_empty() {
            order.seq = segment.max_seq;
        }
    }
    Ok(list)
}

#[cfg(test)]
#[path = "segment_list/tests.rs"]
mod tests;
