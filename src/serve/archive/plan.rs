//! `planSnapshot`: lists the segments and blocks that may have matching events, page by page
//! (archive §2).

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::build::SegmentInfo;
use super::empty;
use super::{PLAN_ENTRIES, bad_request, sealed_segments};
use crate::serve::ServerState;
use crate::serve::chaos::Chaos;
use crate::serve::filter::v2::V2Filter;
use crate::serve::head::RequestHead;
use crate::serve::response::Response;

/// Percentage of matching blocks from which a segment is planned as a whole.
const WHOLE_FROM_PERCENT: usize = 75;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    kinds: Option<Vec<String>>,
    dids: Option<Vec<String>>,
    collections: Option<Vec<String>>,
    after_seq: Option<u64>,
    before_seq: Option<u64>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    planned_through_seq: u64,
    sealed_tip_seq: u64,
    segments: Vec<PlannedSegment>,
    stats: Stats,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannedSegment {
    name: String,
    index: u64,
    checksum: String,
    min_seq: u64,
    max_seq: u64,
    mode: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<BlockRange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct BlockRange {
    first: usize,
    last: usize,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    segments_examined: u64,
    segments_matched: u64,
    blocks_matched: usize,
    entries: usize,
}

/// The filter of a plan and its range of seqs: above `after`, up to and including `before`.
struct PlanQuery {
    filter: V2Filter,
    after: u64,
    before: u64,
}

pub(super) fn answer(
    head: &RequestHead,
    body: &[u8],
    shared: &ServerState,
    now: Instant,
) -> Result<Response, Response> {
    let json = |value: &str| value.split(';').next().map(str::trim) == Some("application/json");
    if !head.header("Content-Type").any(json) {
        return Err(bad_request("the body must be application/json"));
    }
    let query = parse_body(body)?;
    if let Some(chaos) = &shared.chaos
        && let Some(response) = super::faults::refusal(chaos, "planSnapshot", query.after)
    {
        return Err(response);
    }
    let plan = plan(&query, shared, now);
    let text = serde_json::to_string(&plan);
    text.map(|text| Response::json("200 OK", text)).map_err(|error| bad_request(&error.to_string()))
}

fn parse_body(body: &[u8]) -> Result<PlanQuery, Response> {
    // serde would accept an array for a struct.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(bad_request("invalid request body: expected a JSON object"));
    }
    let request: Request = serde_json::from_slice(body)
        .map_err(|error| bad_request(&format!("invalid request body: {error}")))?;
    let list = Option::unwrap_or_default;
    let (kinds, dids) = (list(request.kinds), list(request.dids));
    let filter = V2Filter::from_lists(&kinds, &dids, &list(request.collections))
        .map_err(|text| bad_request(&text))?;
    let (after, before) = (request.after_seq.unwrap_or(0), request.before_seq);
    if before.is_some_and(|before| before <= after) {
        return Err(bad_request("beforeSeq must be greater than afterSeq"));
    }
    Ok(PlanQuery { filter, after, before: before.unwrap_or(u64::MAX) })
}

fn plan(query: &PlanQuery, shared: &ServerState, now: Instant) -> Plan {
    let sealed = sealed_segments(shared, now);
    let info = |index| shared.archive.cache.info(index, shared, now);
    let newest = (0..sealed).rev().filter_map(info).find(|v| v.segment.header.event_count > 0);
    let sealed_tip_seq = newest.map_or(0, |v| v.segment.header.max_seq).min(query.before);
    let mut plan = Plan {
        planned_through_seq: sealed_tip_seq,
        sealed_tip_seq,
        segments: Vec::new(),
        stats: Stats::default(),
    };
    let chaos = shared.chaos.as_ref();
    if chaos.is_some_and(|chaos| chaos.is_stuck(query.after)) {
        plan.planned_through_seq = query.after.min(sealed_tip_seq);
        return plan;
    }
    let entries = chaos.and_then(Chaos::plan_entries).unwrap_or(PLAN_ENTRIES);
    // Segments outside of the range need not be built.
    let timeline = &shared.timeline;
    let first = timeline.stamps.first_with_seq(query.after.saturating_add(1));
    let first = empty::index(first / timeline.segment_events(), shared);
    for info in (first..sealed).filter_map(info) {
        let is_above = info.segment.header.min_seq > query.before;
        if is_above || !plan.add(&info, query, entries) {
            break;
        }
    }
    plan
}

impl Plan {
    /// Adds the matching blocks of a segment. Returns whether the page has room for more.
    fn add(&mut self, info: &SegmentInfo, query: &PlanQuery, entries: usize) -> bool {
        self.stats.segments_examined += 1;
        let ranges = matching_blocks(info, query);
        if ranges.is_empty() {
            return true;
        }
        if self.stats.entries >= entries {
            return false;
        }
        let blocks = |ranges: &[BlockRange]| -> usize {
            ranges.iter().map(|range| range.last + 1 - range.first).sum()
        };
        let header = &info.segment.header;
        let whole = blocks(&ranges) * 100 >= info.segment.blocks.len() * WHOLE_FROM_PERCENT;
        let room = entries - self.stats.entries;
        let added = if whole { &ranges[..] } else { ranges.get(..room).unwrap_or(&ranges) };
        self.stats.segments_matched += 1;
        self.stats.blocks_matched += blocks(added);
        self.stats.entries += if whole { 1 } else { added.len() };
        let last_block = added.last().and_then(|range| info.segment.blocks.get(range.last));
        let end = if whole { header.max_seq } else { last_block.map_or(0, |block| block.max_seq) };
        self.segments.push(PlannedSegment {
            name: info.name.clone(),
            index: info.index,
            checksum: header.checksum_text(),
            min_seq: header.min_seq,
            max_seq: header.max_seq,
            mode: if whole { "segment" } else { "blocks" },
            blocks: if whole { Vec::new() } else { added.to_vec() },
        });
        if self.stats.entries >= entries {
            self.planned_through_seq = end.min(self.sealed_tip_seq);
        }
        self.stats.entries < entries
    }
}

/// Returns the blocks of a segment that may have matching events.
fn matching_blocks(info: &SegmentInfo, query: &PlanQuery) -> Vec<BlockRange> {
    let mut ranges: Vec<BlockRange> = Vec::new();
    for (number, block) in info.segment.blocks.iter().enumerate() {
        let names = info.segment.collections.of_block(number).map(|c| c.name.as_str());
        let is_wanted = block.event_count > 0
            && block.max_seq > query.after
            && block.min_seq <= query.before
            && query.filter.may_match(names, |did| info.has_did(number, did));
        match ranges.last_mut() {
            _ if !is_wanted => {}
            Some(range) if range.last + 1 == number => range.last = number,
            _ => ranges.push(BlockRange { first: number, last: number }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_body_gets_a_response(body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            r#"\{("kinds":(null|\["[a-z]{0,8}"\]),?)?("afterSeq":-?[0-9]{1,22},?)?("beforeSeq":[0-9]{1,22})?\}"#
                .prop_map(String::into_bytes),
        ]) {
            if let Ok(query) = parse_body(&body) {
                prop_assert!(query.before > query.after || query.before == u64::MAX);
            }
        }
    }
}
