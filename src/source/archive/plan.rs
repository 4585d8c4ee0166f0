//! The plan of a backfill: builds `planSnapshot` requests, and parses and checks their pages. Pure
//! except for [`fetch_page`].
//!
//! Source: protocol/jetstream-v2-archive.md §2.

use serde::{Deserialize, Serialize};

use super::BackfillError;
use super::client::ArchiveClient;
use super::segment_list::ListError;
use crate::archive::name::segment_index;
use crate::archive::segment::header::MAX_BLOCKS;
use crate::event::header::Kind;
use crate::filter::Filter;
use crate::position::Seq;
use crate::source::v2::request::is_too_wide;

/// Largest page, in bytes: 100,000 entries are about 20 MB.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Largest request body that a server accepts, in bytes (§2).
const MAX_BODY_BYTES: usize = 2_000_000;
/// Most DIDs of one request (§2).
const MAX_DIDS: usize = 10_000;
/// Most collections of one request (§2).
const MAX_COLLECTIONS: usize = 100;
/// Bytes of a request that are left for DIDs: a hundred collections take at most 32 KB of the body.
const ROOM_BYTES: usize = MAX_BODY_BYTES - 64_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanRequest<'a> {
    #[serde(flatten)]
    filter: &'a PlanFilter,
    after_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_seq: Option<u64>,
}

/// The filters of a plan, within the server's limits. They may select more than the run's filter,
/// which is applied to each row again, and never less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanFilter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    collections: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dids: Vec<String>,
}

impl PlanFilter {
    /// Returns the narrowest filter that the server accepts and that selects everything that
    /// `filter` selects.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        let mut collections =
            if filter.wants_commits() { filter.collections.patterns() } else { Vec::new() };
        // Without a pattern that the server does not accept, the list would select too little.
        if collections.len() > MAX_COLLECTIONS || collections.iter().any(|c| is_too_wide(c)) {
            collections.clear();
        }
        let mut dids: Vec<String> = filter.dids.iter().cloned().collect();
        dids.sort_unstable();
        if dids.len() > MAX_DIDS || dids.iter().map(|did| did.len() + 3).sum::<usize>() > ROOM_BYTES
        {
            dids.clear();
        }
        let kinds = filter.requested_kinds().iter().filter_map(kind_name).collect();
        Self { kinds, collections, dids }
    }

    /// Returns whether the plan must name every segment that has events.
    #[must_use]
    pub fn is_unfiltered(&self) -> bool {
        self.kinds.is_empty() && !self.has_lists()
    }

    fn has_lists(&self) -> bool {
        !self.collections.is_empty() || !self.dids.is_empty()
    }

    fn drop_lists(&mut self) {
        self.collections.clear();
        self.dids.clear();
    }

    /// Returns the JSON body of the request for the page after `after`, up to the pinned tip.
    fn request(&self, after: u64, tip: Option<u64>) -> Vec<u8> {
        let request = PlanRequest { filter: self, after_seq: after, before_seq: tip };
        serde_json::to_vec(&request).unwrap_or_default()
    }
}

fn kind_name(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Commit => Some("commit"),
        Kind::Identity => Some("identity"),
        Kind::Account => Some("account"),
        Kind::Sync => Some("sync"),
        Kind::Other => None,
    }
}

/// One page of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanPage {
    /// `segments` names everything that matches from `afterSeq` (exclusive) to this seq.
    pub planned_through_seq: u64,
    /// The highest sealed seq.
    pub sealed_tip_seq: u64,
    /// Segments that may have matching rows, ascending.
    #[serde(default)]
    pub segments: Vec<PlannedSegment>,
}

/// A segment that may have matching rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedSegment {
    /// The name of its file.
    pub name: String,
    /// Its number.
    pub index: u64,
    /// Its lowest seq.
    pub min_seq: u64,
    /// Its highest seq.
    pub max_seq: u64,
    mode: Mode,
    #[serde(default)]
    blocks: Vec<PlannedBlocks>,
}

impl PlannedSegment {
    /// Returns the blocks that may have matching rows; `None` for all blocks.
    #[must_use]
    pub fn blocks(&self) -> Option<&[PlannedBlocks]> {
        (self.mode == Mode::Blocks).then_some(&*self.blocks)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Segment,
    Blocks,
}

/// A range of consecutive blocks; both ends are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct PlannedBlocks {
    /// The number of the first block.
    pub first: u32,
    /// The number of the last block.
    pub last: u32,
}

/// Why a page is unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The body is not JSON of this form.
    #[error("the plan can't be read: {0}")]
    Unreadable(String),
    /// Following the page would repeat the same request.
    #[error(
        "the plan makes no progress: asked for what lies after seq {after}, it ends at seq {through} and not at {tip}"
    )]
    NoProgress {
        /// The `afterSeq` of the request.
        after: u64,
        /// The `plannedThroughSeq` of the page.
        through: u64,
        /// The pinned sealed tip.
        tip: u64,
    },
    /// A value contradicts another, or its type.
    #[error("the server's answer contradicts itself: {what} ({value})")]
    Malformed {
        /// What was found.
        what: &'static str,
        /// The value.
        value: u64,
    },
    /// The name and the number of a segment differ.
    #[error("the plan names a segment {0:?}, which is not the name of segment number {1}")]
    Name(String, u64),
}

impl PlanError {
    pub(super) fn from_json(error: serde_json::Error) -> Self {
        let text = error.to_string();
        Self::Unreadable(crate::display::printable::one_line(text.as_bytes(), 200))
    }
}

/// Parses a page that was requested after the seq `after`, up to the pinned `tip` if there is
/// one.
///
/// # Errors
/// [`PlanError`].
pub fn parse_page(body: &[u8], after: u64, tip: Option<u64>) -> Result<PlanPage, PlanError> {
    let mut page: PlanPage = serde_json::from_slice(body).map_err(PlanError::from_json)?;
    // Seqs count from 1: an empty segment has no bounds (§8).
    page.segments.retain(|segment| segment.max_seq > 0);
    let malformed = |what, value| Err(PlanError::Malformed { what, value });
    let (through, sealed) = (page.planned_through_seq, page.sealed_tip_seq);
    if sealed >= Seq::LIMIT {
        return malformed("a sealed tip that is not a seq", sealed);
    }
    if through > sealed {
        return malformed("planned beyond the sealed tip", through);
    }
    if tip.is_some_and(|tip| sealed > tip) {
        return malformed("a sealed tip above the one that was asked for", sealed);
    }
    // A sealed tip below the pinned one does not end the plan.
    let end = tip.unwrap_or(sealed);
    if through < end && through <= after {
        return Err(PlanError::NoProgress { after, through, tip: end });
    }
    let mut last = None::<&PlannedSegment>;
    for segment in &page.segments {
        check_segment(segment, last)?;
        last = Some(segment);
    }
    Ok(page)
}

fn check_segment(segment: &PlannedSegment, last: Option<&PlannedSegment>) -> Result<(), PlanError> {
    let malformed = |what, value| Err(PlanError::Malformed { what, value });
    if segment_index(&segment.name) != Some(segment.index) {
        let name = crate::display::printable::one_line(segment.name.as_bytes(), 60);
        return Err(PlanError::Name(name, segment.index));
    }
    if segment.max_seq >= Seq::LIMIT || segment.min_seq > segment.max_seq {
        return malformed("a segment with bounds that are none", segment.min_seq);
    }
    if last.is_some_and(|last| last.index >= segment.index || last.max_seq >= segment.min_seq) {
        return malformed("segments don't ascend", segment.index);
    }
    let Some(blocks) = segment.blocks() else { return Ok(()) };
    if blocks.is_empty() {
        return malformed("a segment of which no block is named", segment.index);
    }
    let mut next = 0;
    for range in blocks {
        if range.first < next || range.last < range.first || range.last >= MAX_BLOCKS {
            return malformed(
                "block ranges that don't ascend, or lie beyond 2^20",
                range.first.into(),
            );
        }
        next = range.last + 1;
    }
    Ok(())
}

/// Requests a page. If the server refuses the lists (an operator may allow shorter ones), removes
/// them from `filter` and requests the page again.
///
/// # Errors
/// [`ListError`].
pub async fn fetch_page(
    client: &ArchiveClient,
    filter: &mut PlanFilter,
    after: u64,
    tip: Option<u64>,
) -> Result<PlanPage, ListError> {
    let response =
        client.fetch_all("planSnapshot", Some(&filter.request(after, tip)), MAX_PAGE_BYTES).await;
    let body = match response {
        Err(error) if matches!(error.refused_status(), Some(400 | 413)) && filter.has_lists() => {
            tracing::info!(
                "planSnapshot refuses the filters ({error}); asking for a plan without them and filtering here"
            );
            filter.drop_lists();
            client
                .fetch_all("planSnapshot", Some(&filter.request(after, tip)), MAX_PAGE_BYTES)
                .await?
        }
        response => response?,
    };
    Ok(parse_page(&body, after, tip)?)
}

/// Requests the first page of a plan up to the seq `last`, or to the sealed tip.
///
/// # Errors
/// [`ListError`].
pub async fn first_page(
    client: &ArchiveClient,
    filter: &mut PlanFilter,
    after: u64,
    last: Option<u64>,
) -> Result<PlanPage, ListError> {
    match last {
        // A server refuses an empty range.
        Some(last) if last <= after => {
            Ok(PlanPage { planned_through_seq: after, sealed_tip_seq: after, segments: Vec::new() })
        }
        last => fetch_page(client, filter, after, last).await,
    }
}

/// Returns the highest sealed seq of an archive. It is at most `after` if the archive has nothing
/// newer.
///
/// # Errors
/// [`BackfillError`].
pub async fn sealed_tip(
    client: &ArchiveClient,
    filter: &Filter,
    after: u64,
) -> Result<u64, BackfillError> {
    let page = fetch_page(client, &mut PlanFilter::new(filter), after, None).await;
    let page = page.map_err(|error| BackfillError::from_list("planSnapshot", error))?;
    Ok(page.sealed_tip_seq)
}

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
