//! What a backfill would download: the plan of the server, joined with the sizes in its list of
//! segments. Downloads a few headers of segments, and no blocks.
//!
//! Source: protocol/jetstream-v2-archive.md §2, §4.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backfill::Backfill;
use super::bounds::{BackfillLimits, Bounds};
use super::client::{ArchiveClient, ArchiveClientConfig};
use super::plan::{PlanError, PlanFilter, PlanPage, fetch_page, first_page};
use super::segment_list::{ListedSegment, for_each_segment};
use super::{BackfillError, BackfillStart};
use crate::archive::name::segment_name;
use crate::archive::segment::header::{HEADER_BYTES, Header, MAX_SEGMENT_BYTES};
use crate::event::format::EventFormat;
use crate::filter::Filter;
use crate::metrics::Metrics;
use crate::position::TimeUs;

/// Most segments of a plan: twenty times those of the whole network in 2026.
const MAX_SEGMENTS: usize = 1_000_000;
/// Headers that are read to learn how many blocks a segment has.
const SAMPLED_HEADERS: usize = 4;
/// Most bytes and longest time of a measurement.
const MEASURED_BYTES: u64 = 16 << 20;
const MEASURED_TIME: Duration = Duration::from_secs(5);

/// What a backfill would download.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Segments that it reads, in whole or in part.
    pub segments: u64,
    /// Segments that the server's list has.
    pub listed_segments: u64,
    /// Blocks that it reads.
    pub blocks: u64,
    /// Whether the number of blocks is computed from a few headers.
    pub blocks_are_estimated: bool,
    /// Bytes that it downloads.
    pub bytes: u64,
    /// Whether a part of the bytes is computed from the number of blocks.
    pub bytes_are_estimated: bool,
    /// The most events that it can bring.
    pub events: u64,
    /// The seq after which it starts.
    pub after_seq: u64,
    /// The last seq.
    pub last_seq: u64,
    /// The earliest and the latest time of the planned segments.
    pub times: Option<(TimeUs, TimeUs)>,
}

/// How fast a part of a backfill was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredRate {
    /// Bytes that the measurement downloaded.
    pub bytes: u64,
    /// How long that took, with decoding.
    pub elapsed: Duration,
}

impl MeasuredRate {
    /// Returns the time for `bytes` at this rate; `None` if the measurement brought nothing.
    #[must_use]
    pub fn time_for(&self, bytes: u64) -> Option<Duration> {
        let seconds = self.elapsed.as_secs_f64() * bytes as f64 / self.bytes as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// The part of one segment that a plan names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Blocks(u64),
}

/// Asks a server what a backfill would download.
///
/// # Errors
/// [`BackfillError`].
pub async fn estimate(
    client: &ArchiveClient,
    from: BackfillStart,
    filter: &Filter,
    limits: &BackfillLimits,
) -> Result<Estimate, BackfillError> {
    let Bounds { after, last, .. } = Bounds::find(client, from, limits).await?;
    let mut plan_filter = PlanFilter::new(filter);
    let error = |error| BackfillError::from_list("planSnapshot", error);
    let mut page = first_page(client, &mut plan_filter, after, last).await.map_err(error)?;
    let tip = page.sealed_tip_seq;
    let mut parts = BTreeMap::new();
    loop {
        add_page(&mut parts, &page)?;
        if page.planned_through_seq >= tip {
            break;
        }
        let through = page.planned_through_seq;
        page = fetch_page(client, &mut plan_filter, through, Some(tip)).await.map_err(error)?;
    }
    let block_events = block_events(client, &parts).await?;
    let mut sum = Sum { parts, block_events, estimate: Estimate::default() };
    let listed = for_each_segment(client, |segment| {
        sum.add(segment);
        true
    });
    listed.await.map_err(|error| BackfillError::from_list("listSegments", error))?;
    Ok(Estimate { after_seq: after, last_seq: tip, ..sum.estimate })
}

fn add_page(parts: &mut BTreeMap<u64, Part>, page: &PlanPage) -> Result<(), BackfillError> {
    for segment in &page.segments {
        let count = |blocks: &[super::plan::PlannedBlocks]| {
            blocks.iter().map(|range| u64::from(range.last - range.first) + 1).sum::<u64>()
        };
        let part = segment.blocks().map_or(Part::Whole, |blocks| Part::Blocks(count(blocks)));
        // A page may end in the middle of a segment.
        let entry = parts.entry(segment.index).or_insert(Part::Blocks(0));
        *entry = match (*entry, part) {
            (Part::Blocks(before), Part::Blocks(more)) => Part::Blocks(before + more),
            _ => Part::Whole,
        };
    }
    if parts.len() > MAX_SEGMENTS {
        let (what, value) = ("a plan of more than a million segments", parts.len() as u64);
        return Err(PlanError::Malformed { what, value }.into());
    }
    Ok(())
}

/// Returns the events of a block on average, from the headers of a few planned segments; 0 if none
/// can be read.
async fn block_events(
    client: &ArchiveClient,
    parts: &BTreeMap<u64, Part>,
) -> Result<f64, BackfillError> {
    let step = parts.len().div_ceil(SAMPLED_HEADERS).max(1);
    let (mut events, mut blocks) = (0, 0);
    for index in parts.keys().step_by(step) {
        let name = segment_name(*index);
        let prefix = client.fetch_prefix(&format!("getSegment?name={name}"), HEADER_BYTES).await;
        let prefix = prefix.map_err(|source| BackfillError::Fetch { what: name, source })?;
        let size = prefix.version.map_or(MAX_SEGMENT_BYTES, |(_, size)| size);
        let head = prefix.bytes.first_chunk().map(|head| Header::parse(head, size));
        if let Some(Ok(header)) = head {
            events += u64::from(header.event_count);
            blocks += u64::from(header.block_count);
        }
    }
    Ok(if blocks > 0 { events as f64 / blocks as f64 } else { 0.0 })
}

/// Adds up the planned parts of segments.
struct Sum {
    parts: BTreeMap<u64, Part>,
    block_events: f64,
    estimate: Estimate,
}

impl Sum {
    fn add(&mut self, segment: &ListedSegment) {
        let estimate = &mut self.estimate;
        estimate.listed_segments += 1;
        let Some(part) = self.parts.get(&segment.index).copied() else { return };
        let (size, count) = (segment.size_bytes, segment.event_count.unwrap_or(0));
        let all = match self.block_events {
            per_block if per_block > 0.0 => (count as f64 / per_block).ceil().max(1.0) as u64,
            _ => 1,
        };
        let bytes = size.unwrap_or(0);
        estimate.segments += 1;
        estimate.bytes_are_estimated |= size.is_none();
        match part {
            Part::Whole => {
                estimate.blocks += all;
                estimate.blocks_are_estimated = true;
                estimate.bytes += bytes;
                estimate.events += count;
            }
            Part::Blocks(blocks) => {
                let share = (blocks as f64 / all as f64).min(1.0);
                estimate.blocks += blocks;
                estimate.bytes += (bytes as f64 * share) as u64;
                estimate.bytes_are_estimated = true;
                estimate.events += (count as f64 * share).ceil() as u64;
            }
        }
        let time = |at_us: i64| TimeUs(u64::try_from(at_us).unwrap_or(0));
        let newest = time(segment.max_witnessed_at);
        let oldest = segment.min_witnessed_at.map_or(newest, time);
        let (from, to) = estimate.times.unwrap_or((oldest, newest));
        estimate.times = Some((from.min(oldest), to.max(newest)));
    }
}

/// Reads the start of a backfill, and returns how fast that was: at most 16 MiB, and 5 s.
///
/// # Errors
/// [`BackfillError`].
pub async fn measure(
    config: ArchiveClientConfig,
    from: BackfillStart,
    filter: Filter,
    limits: &BackfillLimits,
) -> Result<MeasuredRate, BackfillError> {
    let metrics = Arc::new(Metrics::default());
    let client =
        ArchiveClient::new(ArchiveClientConfig { metrics: Arc::clone(&metrics), ..config })
            .without_patience();
    let limits = BackfillLimits { max_bytes: Some(MEASURED_BYTES), ..*limits };
    let mut backfill =
        Backfill::start(Arc::new(client), from, filter, EventFormat::V1, &limits).await?;
    let (start, before) = (Instant::now(), metrics.archive_bytes.get());
    let all = async { while let Ok(Some(_)) = backfill.next().await {} };
    // Whether it came to its end does not matter for the rate.
    let _ = tokio::time::timeout(MEASURED_TIME, all).await;
    let elapsed = start.elapsed();
    backfill.end().await;
    Ok(MeasuredRate { bytes: metrics.archive_bytes.get() - before, elapsed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(index: u64) -> ListedSegment {
        ListedSegment {
            index,
            event_count: Some(1_000),
            min_seq: index * 1_000 + 1,
            max_seq: index * 1_000 + 1_000,
            size_bytes: Some(50_000),
            min_witnessed_at: Some(index as i64 * 100),
            max_witnessed_at: index as i64 * 100 + 99,
        }
    }

    #[test]
    fn parts_of_segments_count_by_their_share_of_the_blocks() {
        let parts = BTreeMap::from([(1, Part::Whole), (2, Part::Blocks(5))]);
        let mut sum = Sum { parts, block_events: 50.0, estimate: Estimate::default() };
        (0..4).for_each(|index| sum.add(&listed(index)));
        let expected = Estimate {
            segments: 2,
            listed_segments: 4,
            blocks: 25,
            blocks_are_estimated: true,
            bytes: 62_500,
            bytes_are_estimated: true,
            events: 1_250,
            times: Some((TimeUs(100), TimeUs(299))),
            ..Estimate::default()
        };
        assert_eq!(sum.estimate, expected);
    }

    #[test]
    fn the_time_is_proportional_to_the_bytes() {
        let rate = MeasuredRate { bytes: 1_000, elapsed: Duration::from_secs(2) };
        assert_eq!(rate.time_for(5_000), Some(Duration::from_secs(10)));
        let nothing = MeasuredRate { bytes: 0, elapsed: Duration::from_secs(5) };
        assert_eq!(nothing.time_for(5_000), None);
    }
}
