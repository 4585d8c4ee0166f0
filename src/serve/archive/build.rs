//! Builds one segment of the log from the recording: its file, and the metadata that plans need.

use std::collections::HashSet;

use tokio_tungstenite::tungstenite::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::archive::name::segment_name;
use crate::archive::segment::Segment;
use crate::archive::write::SegmentWriter;
use crate::archive::write::convert::RowBuf;
use crate::position::Seq;
use crate::serve::ServerState;

use super::empty;

/// Compression levels of successive rewrites: the same rows, encoded as different bytes.
const LEVELS: [i32; 4] = [3, 1, 6, 9];

/// Identifies a version of a segment: crashes assign its seqs to other events, and rewrites encode
/// the same rows as different bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentVersion {
    pub index: u64,
    pub crashes: u64,
    pub rewrites: u64,
    /// The number of events, from the first one on, that compaction has seen; 0 without compaction.
    pub compacted: u64,
}

/// Metadata of a segment.
#[derive(Debug)]
pub(super) struct SegmentInfo {
    pub index: u64,
    pub name: String,
    pub segment: Segment,
    /// Hashes of the DIDs in each block.
    dids: Vec<HashSet<u64>>,
}

impl SegmentInfo {
    /// Returns whether a block has an event of this account, or of one with the same hash.
    pub(super) fn has_did(&self, block: usize, did: &str) -> bool {
        self.dids.get(block).is_some_and(|dids| dids.contains(&xxh3_64(did.as_bytes())))
    }
}

/// Builds a version of a segment, which may be empty. `None` if the index exceeds the possible
/// seqs.
pub(super) fn build(version: SegmentVersion, shared: &ServerState) -> Option<(SegmentInfo, Bytes)> {
    let block_events = shared.archive.block_events;
    let level = usize::try_from(version.rewrites).unwrap_or(0) % LEVELS.len();
    let level = LEVELS.get(level).copied().unwrap_or(3);
    let mut writer = SegmentWriter::with_level(block_events, level).ok()?;
    let (mut dids, mut rows, mut left_out) = (Vec::new(), 0_usize, 0_u64);
    let compaction = shared.archive.compaction(&shared.timeline.stamps);
    let events = shared.timeline.segment_events();
    let slots = match empty::log_segment(version.index, shared) {
        Some(number) => {
            let first = number.checked_mul(events)?;
            first..first.checked_add(events)?
        }
        None => 0..0,
    };
    for slot in slots {
        let event = event_of(slot, version.crashes, shared);
        if shared.timeline.stamps.is_missing(event) {
            continue;
        }
        let is_removed = compaction.is_some_and(|c| c.removes(event, version.compacted));
        let push = |writer: &mut SegmentWriter, row: &RowBuf| match is_removed {
            true => writer.push_removed(&row.as_row()),
            false => writer.push(&row.as_row()),
        };
        let Some(row) = row(slot, event, shared).filter(|row| push(&mut writer, row).is_ok())
        else {
            left_out += 1;
            continue;
        };
        if rows % block_events == 0 {
            dids.push(HashSet::new());
        }
        if let Some(block) = dids.last_mut().filter(|_| !is_removed) {
            block.insert(xxh3_64(row.did.as_bytes()));
        }
        rows += 1;
    }
    if left_out > 0 {
        let index = version.index;
        tracing::warn!(
            "segment {index}: left out {left_out} events that the archive format cannot represent"
        );
    }
    let file = writer.seal().ok()?;
    let segment = Segment::parse(&file).ok()?;
    let info =
        SegmentInfo { index: version.index, name: segment_name(version.index), segment, dids };
    Some((info, file.into()))
}

/// Returns the event in a slot of the log in the state after `crashes` crashes.
fn event_of(slot: u64, crashes: u64, shared: &ServerState) -> u64 {
    shared.chaos.as_ref().map_or(slot, |chaos| chaos.event(slot, crashes))
}

/// Returns the row of an event in a slot of the log.
fn row(slot: u64, event: u64, shared: &ServerState) -> Option<RowBuf> {
    let timeline = &shared.timeline;
    let stamps = &timeline.stamps;
    let mut row =
        RowBuf::from_line(&stamps.line_with_round_id(event), Some(Seq(stamps.seq(slot)))).ok()?;
    let served = |time_us: u64| i64::try_from(time_us.saturating_add_signed(timeline.shift_us()));
    let shown_us = served(stamps.time_us(event)).ok()?;
    row.witnessed_at_us = served(stamps.max_time_us(event)).ok()?;
    // The shown time is the time of witnessing, unless it was imported.
    row.indexed_at_us = if shown_us == row.witnessed_at_us { 0 } else { shown_us };
    Some(row)
}
