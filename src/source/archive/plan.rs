//! The plan of a sweep: what to ask `planSnapshot` for, what its pages say, and whether they
//! lead anywhere. Pure except for the request itself.
//!
//! Source: protocol/jetstream-v2-archive.md §2.

use serde::{Deserialize, Serialize};

use super::fetch::Way;
use super::list::ListError;
use crate::archive::name::segment_index;
use crate::archive::segment::header::MAX_BLOCKS;
use crate::event::header::Kind;
use crate::filter::Filter;
use crate::position::Seq;
use crate::source::v2::request::is_too_wide;

/// Longest page: 100,000 entries are about 20 MB.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Longest body that a server takes (§2).
const MAX_BODY_BYTES: usize = 2_000_000;
/// Most DIDs of one request (§2).
const MAX_DIDS: usize = 10_000;
/// Most collections of one request (§2).
const MAX_COLLECTIONS: usize = 100;
/// Room for the DIDs of a request: a hundred collections take at most 32 KB of the body.
const ROOM_BYTES: usize = MAX_BODY_BYTES - 64_000;

/// The body of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(flatten)]
    wish: &'a Wish,
    after_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_seq: Option<u64>,
}

/// The filters of a plan: at most what the server takes. It may select more than the run wants,
/// because each row is filtered here again, and never less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wish {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    collections: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dids: Vec<String>,
}

impl Wish {
    /// Returns what to ask the server for, to get at least what `filter` wants.
    #[must_use]
    pub fn of(filter: &Filter) -> Self {
        let wants_commits = filter.kinds.is_empty() || filter.kinds.contains(&Kind::Commit);
        let mut collections =
            if wants_commits { filter.collections.patterns() } else { Vec::new() };
        // One pattern that the server does not take widens the whole list to everything.
        if collections.len() > MAX_COLLECTIONS || collections.iter().any(|c| is_too_wide(c)) {
            collections.clear();
        }
        let mut dids: Vec<String> = filter.dids.iter().cloned().collect();
        dids.sort_unstable();
        if dids.len() > MAX_DIDS || dids.iter().map(|did| did.len() + 3).sum::<usize>() > ROOM_BYTES
        {
            dids.clear();
        }
        Self { kinds: filter.kinds.iter().filter_map(word).collect(), collections, dids }
    }

    /// Returns whether every segment that holds events is asked for.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.kinds.is_empty() && !self.has_lists()
    }

    fn has_lists(&self) -> bool {
        !self.collections.is_empty() || !self.dids.is_empty()
    }

    fn drop_lists(&mut self) {
        self.collections.clear();
        self.dids.clear();
    }

    /// Returns the body of the request for a page above `after`, up to the pinned tip.
    fn request(&self, after: u64, tip: Option<u64>) -> Vec<u8> {
        let request = Request { wish: self, after_seq: after, before_seq: tip };
        serde_json::to_vec(&request).unwrap_or_default()
    }
}

fn word(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Commit => Some("commit"),
        Kind::Identity => Some("identity"),
        Kind::Account => Some("account"),
        Kind::Sync => Some("sync"),
        Kind::Other => None,
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// Nothing that matches lies above `afterSeq` and up to here but what `segments` names.
    pub planned_through_seq: u64,
    /// The highest sealed seq.
    pub sealed_tip_seq: u64,
    /// What may hold something, ascending.
    #[serde(default)]
    pub segments: Vec<Planned>,
}

/// A segment that may hold something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Its file's name.
    pub name: String,
    /// Its number.
    pub index: u64,
    /// Its lowest seq.
    pub min_seq: u64,
    /// Its highest seq.
    pub max_seq: u64,
    mode: Mode,
    #[serde(default)]
    blocks: Vec<Blocks>,
}

impl Planned {
    /// The blocks that may hold something; `None` for all of them.
    #[must_use]
    pub fn blocks(&self) -> Option<&[Blocks]> {
        (self.mode == Mode::Blocks).then_some(&*self.blocks)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Segment,
    Blocks,
}

/// Blocks one behind the other, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Blocks {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

/// Why a page can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No JSON of this form.
    #[error("the plan can't be read: {0}")]
    Unreadable(String),
    /// It leads nowhere.
    #[error(
        "the plan makes no progress: asked for what lies after seq {after}, it ends at seq {through} and not at {tip}"
    )]
    NoProgress {
        /// What was asked for.
        after: u64,
        /// How far it goes.
        through: u64,
        /// Where it should lead.
        tip: u64,
    },
    /// A value that can't be.
    #[error("the server's answer contradicts itself: {what} ({value})")]
    Malformed {
        /// What was found.
        what: &'static str,
        /// The value.
        value: u64,
    },
    /// A name that can't be.
    #[error("the plan names a segment {0:?}, which is no name of segment number {1}")]
    Name(String, u64),
}

impl PlanError {
    pub(super) fn unreadable(error: serde_json::Error) -> Self {
        let text = error.to_string();
        Self::Unreadable(crate::display::printable::one_line(text.as_bytes(), 200))
    }
}

/// Reads a page that was asked for above `after`, up to the pinned `tip` if there is one
/// already.
///
/// # Errors
/// [`PlanError`].
pub fn read_page(body: &[u8], after: u64, tip: Option<u64>) -> Result<Page, PlanError> {
    let mut page: Page = serde_json::from_slice(body).map_err(PlanError::unreadable)?;
    // Seqs count from 1: an empty segment has none (§8).
    page.segments.retain(|segment| segment.max_seq > 0);
    let malformed = |what, value| Err(PlanError::Malformed { what, value });
    let (through, sealed) = (page.planned_through_seq, page.sealed_tip_seq);
    if sealed >= Seq::LIMIT {
        return malformed("a sealed tip that is no seq", sealed);
    }
    if through > sealed {
        return malformed("planned beyond the sealed tip", through);
    }
    if tip.is_some_and(|tip| sealed > tip) {
        return malformed("a sealed tip above the one that was asked for", sealed);
    }
    // A tip that sank below the pinned one is no end.
    let end = tip.unwrap_or(sealed);
    if through < end && through <= after {
        return Err(PlanError::NoProgress { after, through, tip: end });
    }
    let mut last = None::<&Planned>;
    for segment in &page.segments {
        check_segment(segment, last)?;
        last = Some(segment);
    }
    Ok(page)
}

fn check_segment(segment: &Planned, last: Option<&Planned>) -> Result<(), PlanError> {
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

/// Asks for a page. A server that refuses lists as long as these (an operator may allow fewer)
/// is asked without them from then on.
///
/// # Errors
/// [`ListError`].
pub async fn page(
    way: &Way,
    wish: &mut Wish,
    after: u64,
    tip: Option<u64>,
) -> Result<Page, ListError> {
    let asked = way.whole("planSnapshot", Some(&wish.request(after, tip)), MAX_PAGE_BYTES).await;
    let body = match asked {
        Err(error) if matches!(error.refused_with(), Some(400 | 413)) && wish.has_lists() => {
            tracing::info!(
                "planSnapshot refuses the filters ({error}); asking for a plan without them and filtering here"
            );
            wish.drop_lists();
            way.whole("planSnapshot", Some(&wish.request(after, tip)), MAX_PAGE_BYTES).await?
        }
        asked => asked?,
    };
    Ok(read_page(&body, after, tip)?)
}

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
