//! `listSegments`: where in the archive an instant lies, when a seq was witnessed, and which
//! segments a plan leaves out.
//!
//! A server may seal a segment without events, with both bounds 0, and compaction may remove
//! every event of a segment (protocol/jetstream-v2-archive.md §8). Neither says anything about
//! seqs or times, so every question here passes over them.
//!
//! Source: protocol/jetstream-v2-archive.md §2.

use serde::Deserialize;

use super::error::FetchError;
use super::fetch::Way;
use super::plan::PlanError;
use crate::archive::name::segment_name;
use crate::position::{Seq, TimeUs};

/// Longest page of `listSegments`: a thousand entries are about 300 KB.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Segments asked for at once.
const LIST_LIMIT: u32 = 1_000;
/// Most pages of a list that are followed: ten million segments.
const MAX_LIST_PAGES: u32 = 10_000;

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
    event_count: Option<u64>,
    min_seq: u64,
    max_seq: u64,
    max_witnessed_at: i64,
}

impl Listed {
    /// Returns whether the segment holds no event. Seqs count from 1.
    fn is_empty(&self) -> bool {
        // mutant: takes-empty-segments-for-wrong
        self.event_count == Some(0) || self.max_seq == 0
    }
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

/// Returns the seq after which every event lies that was witnessed at or after `instant`: the
/// one before the first segment that reaches it.
///
/// # Errors
/// [`ListError`].
pub async fn seq_before(way: &Way, instant: TimeUs) -> Result<u64, ListError> {
    let instant = i64::try_from(instant.0).unwrap_or(i64::MAX);
    let (mut found, mut last_seq) = (None, 0);
    walk(way, |segment| {
        if segment.is_empty() {
            return true;
        }
        if segment.max_witnessed_at >= instant {
            found = Some(segment.min_seq.saturating_sub(1));
            return false;
        }
        last_seq = segment.max_seq;
        true
    })
    .await?;
    Ok(found.unwrap_or(last_seq))
}

/// Returns when the newest event up to `seq` was witnessed, as far as the list of segments
/// shows; 0 if it shows no such event.
///
/// # Errors
/// As [`seq_before`].
pub async fn time_at(way: &Way, seq: u64) -> Result<TimeUs, ListError> {
    let mut at_us = 0;
    walk(way, |segment| {
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

/// A stretch between two seqs of which an unfiltered plan names no segment. The ends are not
/// part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The last seq before it; 0 for the beginning of the archive.
    pub from: u64,
    /// The first seq after it.
    pub to: u64,
    /// What the plan leaves out, for people.
    pub what: String,
}

/// Returns those of the stretches `suspects` (ascending) in which segments with events lie, or
/// segments that the server does not list at all.
///
/// # Errors
/// As [`seq_before`].
pub async fn left_out(way: &Way, suspects: &[(u64, u64)]) -> Result<Vec<Hole>, ListError> {
    let mut searches: Vec<Search> = suspects.iter().map(|&ends| Search::new(ends)).collect();
    walk(way, |segment| {
        searches.iter_mut().for_each(|search| search.look(segment));
        searches.iter().any(|search| !search.is_over)
    })
    .await?;
    Ok(searches.into_iter().filter_map(Search::hole).collect())
}

/// The search for what lies within one stretch.
struct Search {
    from: u64,
    to: u64,
    /// The number that the next segment of the stretch must have, as soon as that is known.
    next_index: Option<u64>,
    /// The first segment that is left out or not listed, and how many there are.
    found: Option<(u64, u64)>,
    is_over: bool,
}

impl Search {
    fn new((from, to): (u64, u64)) -> Self {
        let next_index = (from == 0).then_some(0);
        Self { from, to, next_index, found: None, is_over: false }
    }

    fn look(&mut self, segment: &Listed) {
        if self.is_over {
            return;
        }
        let is_empty = segment.is_empty();
        if is_empty || segment.min_seq > self.from {
            if let Some(next) = self.next_index.filter(|next| *next < segment.index) {
                self.find(next, segment.index - next);
            }
            self.is_over = !is_empty && segment.min_seq >= self.to;
            if !is_empty && segment.max_seq < self.to {
                self.find(segment.index, 1);
            }
        }
        if !is_empty || self.next_index.is_some() {
            self.next_index = segment.index.checked_add(1);
        }
    }

    fn find(&mut self, index: u64, count: u64) {
        let (first, found) = self.found.unwrap_or((index, 0));
        self.found = Some((first, found.saturating_add(count)));
    }

    fn hole(self) -> Option<Hole> {
        let (first, count) = self.found?;
        let name = segment_name(first);
        let what = match count {
            1 => format!("the plan leaves out {name}"),
            _ => format!("the plan leaves out {count} segments from {name} on"),
        };
        Some(Hole { from: self.from, to: self.to, what })
    }
}

/// Passes the segments of the list to `look`, by ascending number, until that returns `false`.
async fn walk(way: &Way, mut look: impl FnMut(&Listed) -> bool) -> Result<(), ListError> {
    let (mut cursor, mut order) = (None::<String>, Order::default());
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
        let list = read_list(&body, &mut order)?;
        if !list.segments.iter().all(&mut look) {
            return Ok(());
        }
        match list.cursor.filter(|cursor| !cursor.is_empty()) {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// What the next segment of a list must lie above.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    index: Option<u64>,
    seq: u64,
}

fn read_list(body: &[u8], order: &mut Order) -> Result<List, PlanError> {
    let list: List = serde_json::from_slice(body).map_err(PlanError::unreadable)?;
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
#[path = "list/tests.rs"]
mod tests;
