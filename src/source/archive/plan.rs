//! The plan of a sweep: what to ask `planSnapshot` for, what its pages say, and whether they
//! lead anywhere; and where in the archive an instant lies. Pure but for the asking.
//!
//! Source: protocol/jetstream-v2-archive.md §2.

use serde::{Deserialize, Serialize};

use super::error::FetchError;
use super::fetch::Way;
use crate::archive::name::segment_index;
use crate::archive::segment::header::MAX_BLOCKS;
use crate::event::header::Kind;
use crate::filter::Filter;
use crate::position::{Seq, TimeUs};

/// Longest page: 100,000 entries are about 20 MB.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Longest page of `listSegments`: a thousand entries are about 300 KB.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Segments asked for at once.
const LIST_LIMIT: u32 = 1_000;
/// Most pages of a list that are followed: ten million segments.
const MAX_LIST_PAGES: u32 = 10_000;

/// What a plan is asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    collections: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dids: Vec<&'a String>,
    after_seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    before_seq: Option<u64>,
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
    #[error("the plan is no plan: {what} ({value})")]
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

/// The body of the request for a page: what `filter` wants above `after`, up to the pinned tip.
///
/// # Panics
/// Never: the request is plain data.
#[must_use]
pub fn request(filter: &Filter, after: u64, tip: Option<u64>) -> Vec<u8> {
    let word = |kind: &Kind| match kind {
        Kind::Commit => Some("commit"),
        Kind::Identity => Some("identity"),
        Kind::Account => Some("account"),
        Kind::Sync => Some("sync"),
        Kind::Other => None,
    };
    let mut dids: Vec<&String> = filter.dids.iter().collect();
    dids.sort_unstable();
    let wants_commits = filter.kinds.is_empty() || filter.kinds.contains(&Kind::Commit);
    let request = Request {
        kinds: filter.kinds.iter().filter_map(word).collect(),
        collections: if wants_commits { filter.collections.patterns() } else { Vec::new() },
        dids,
        after_seq: after,
        before_seq: tip,
    };
    serde_json::to_vec(&request).unwrap_or_default()
}

/// Reads a page that was asked for above `after`, up to the pinned `tip` if there is one
/// already.
///
/// # Errors
/// [`PlanError`].
pub fn read_page(body: &[u8], after: u64, tip: Option<u64>) -> Result<Page, PlanError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        PlanError::Unreadable(crate::display::printable::one_line(text.as_bytes(), 200))
    })?;
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

/// A page of `listSegments`.
#[derive(Debug, Deserialize)]
struct List {
    cursor: Option<String>,
    #[serde(default)]
    segments: Vec<Listed>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    index: u64,
    min_seq: u64,
    max_seq: u64,
    max_witnessed_at: i64,
}

/// The seq behind which everything lies that was witnessed at or after `instant`: all before
/// the first segment that reaches it.
///
/// # Errors
/// [`FetchError`], and [`PlanError`] inside, where the list can't be had.
pub async fn seq_before(way: &Way, instant: TimeUs) -> Result<u64, ListError> {
    let instant = i64::try_from(instant.0).unwrap_or(i64::MAX);
    let reaches = |segment: &Listed| {
        (segment.max_witnessed_at >= instant).then(|| segment.min_seq.saturating_sub(1))
    };
    let Walk { found, last } = walk(way, reaches).await?;
    Ok(found.or(last.map(|last| last.max_seq)).unwrap_or(0))
}

/// When the newest event up to `seq` was witnessed, as far as the list of segments tells.
///
/// # Errors
/// As [`seq_before`].
pub async fn time_at(way: &Way, seq: u64) -> Result<TimeUs, ListError> {
    let latest = walk(way, |segment| (segment.min_seq > seq).then_some(())).await?;
    let at_us = latest.last.map_or(0, |last| last.max_witnessed_at);
    Ok(TimeUs(u64::try_from(at_us).unwrap_or(0)))
}

/// How far the list was walked.
struct Walk<T> {
    found: Option<T>,
    /// The last segment before it.
    last: Option<Listed>,
}

/// Walks the list until something is found.
async fn walk<T>(way: &Way, find: impl Fn(&Listed) -> Option<T>) -> Result<Walk<T>, ListError> {
    let (mut cursor, mut last) = (None::<String>, None::<Listed>);
    for _ in 0..MAX_LIST_PAGES {
        let target = match &cursor {
            Some(cursor) => {
                let cursor: String =
                    url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
                format!("listSegments?limit={LIST_LIMIT}&cursor={cursor}")
            }
            None => format!("listSegments?limit={LIST_LIMIT}"),
        };
        let body = way.whole(&target, None, MAX_LIST_BYTES).await?;
        let list = read_list(&body, last)?;
        for segment in list.segments {
            if let Some(found) = find(&segment) {
                return Ok(Walk { found: Some(found), last });
            }
            last = Some(segment);
        }
        match list.cursor.filter(|cursor| !cursor.is_empty()) {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(Walk { found: None, last })
}

/// Why the list of segments can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It can't be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

fn read_list(body: &[u8], mut last: Option<Listed>) -> Result<List, PlanError> {
    let list: List = serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        PlanError::Unreadable(crate::display::printable::one_line(text.as_bytes(), 200))
    })?;
    if list.segments.is_empty() && list.cursor.is_some() {
        let what = "a page of the list that holds nothing and has another behind it";
        return Err(PlanError::Malformed { what, value: 0 });
    }
    for segment in &list.segments {
        let is_sound = segment.min_seq <= segment.max_seq
            && segment.max_seq < Seq::LIMIT
            && last.is_none_or(|last| last.index < segment.index && last.max_seq < segment.min_seq);
        if !is_sound {
            let what = "segments of the list don't ascend";
            return Err(PlanError::Malformed { what, value: segment.index });
        }
        last = Some(*segment);
    }
    Ok(list)
}

/// Asks for a page.
///
/// # Errors
/// [`ListError`].
pub async fn page(
    way: &Way,
    filter: &Filter,
    after: u64,
    tip: Option<u64>,
) -> Result<Page, ListError> {
    let body =
        way.whole("planSnapshot", Some(&request(filter, after, tip)), MAX_PAGE_BYTES).await?;
    Ok(read_page(&body, after, tip)?)
}

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
