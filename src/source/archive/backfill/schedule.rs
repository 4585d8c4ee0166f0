//! Fills a backfill's queues: segments are divided into block ranges, fetched ranges into blocks.
//! `backfill` itself drains the queues and keeps the order.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::super::segment::{
    BlockFrames, MAX_FRAME_BYTES, RemoteSegment, RemoteSegmentError, SegmentVersion,
};
use super::super::workers::{self, BlockJob, BlockMessage, QUEUED_BATCHES, StoredFrame};
use super::{Backfill, BlockDecode, BlockRange, RangeFetch, SegmentOpen};

/// Bytes of a block range: large enough to make the cost of a request small, small enough for
/// memory.
const RANGE_BYTES: u64 = 1 << 20;

impl Backfill {
    /// Starts fetches and decoders, up to the configured parallelism.
    pub(super) fn spawn_ready(&mut self) {
        while self.decodes.len() < self.decoders {
            let Some((job, frame)) = self.blocks.pop_front() else { break };
            let (out, messages) = mpsc::channel(QUEUED_BATCHES);
            let task = match frame {
                Ok(frame) => {
                    let work =
                        workers::decode_block(Arc::clone(&self.context), job.clone(), frame, out);
                    Some(tokio::spawn(work))
                }
                Err(message) => {
                    // The new channel has room for one message.
                    let _ = out.try_send(message);
                    None
                }
            };
            self.decodes.push_back(BlockDecode { job, messages, task });
        }
        self.is_over_budget = false;
        while self.fetches.len() < self.parallelism {
            let Some(range) = self.ranges.front() else { break };
            if !self.may_fetch(self.expected_bytes(range)) {
                self.is_over_budget = true;
                break;
            }
            let Some(range) = self.ranges.pop_front() else { break };
            let (segment, blocks) = (Arc::clone(&range.segment), range.blocks.clone());
            let task = tokio::spawn(workers::fetch_frames(segment, blocks, range.is_by_number));
            self.fetches.push_back(RangeFetch { range, task });
        }
        // Open one segment ahead.
        if self.segment_open.is_none() && !self.segments.is_empty() && !self.may_fetch(0) {
            self.is_over_budget = true;
        } else if self.segment_open.is_none()
            && let Some(planned) = self.segments.pop_front()
        {
            let is_named = planned.blocks().is_some();
            let segment = Arc::new(RemoteSegment::new(Arc::clone(&self.client), planned));
            self.segment_open = Some(if is_named {
                SegmentOpen::Listed(segment)
            } else {
                let opened = Arc::clone(&segment);
                SegmentOpen::Task(segment, tokio::spawn(async move { opened.version().await }))
            });
        }
    }

    /// Returns the bytes that the download of a range probably takes.
    fn expected_bytes(&self, range: &BlockRange) -> u64 {
        if range.bytes > 0 { range.bytes } else { self.budget.block_estimate() }
    }

    /// Returns whether the budget has room for a download of `bytes`. Downloads that have ended are
    /// counted by the client already.
    fn may_fetch(&self, bytes: u64) -> bool {
        let running = self.fetches.iter().filter(|fetch| !fetch.task.is_finished());
        let pending: u64 = running.map(|fetch| self.expected_bytes(&fetch.range)).sum();
        let is_idle = self.fetches.is_empty() && self.blocks.is_empty() && self.decodes.is_empty();
        self.budget.admits(pending, bytes, is_idle)
    }

    /// Queues the wanted blocks of a segment whose index was read.
    pub(super) fn on_opened(&mut self, opened: Result<Arc<SegmentVersion>, RemoteSegmentError>) {
        let Some(SegmentOpen::Task(segment, _)) = self.segment_open.take() else { return };
        let version = match opened {
            Ok(version) => version,
            Err(error) => {
                let job = BlockJob { segment, number: 0, entry: None, is_last: true };
                self.queue_error(job, error);
                return;
            }
        };
        match &*version {
            SegmentVersion::ByNumber(count) => self.queue_by_number(&segment, 0..*count),
            SegmentVersion::Indexed { blocks, .. } => {
                let filter = &self.context.filter;
                let is_wanted = |block: u32| {
                    blocks.get(block as usize).is_some_and(|entry| {
                        entry.event_count > 0
                            && entry.max_seq > filter.after
                            && entry.min_seq <= filter.up_to
                    })
                };
                let wanted = (0..blocks.len() as u32).filter(|block| is_wanted(*block));
                let mut bytes = 0;
                let first_range = self.ranges.len();
                for block in wanted {
                    let size = blocks.get(block as usize).map_or(0, |e| u64::from(e.frame_bytes));
                    bytes += size;
                    match self.ranges.back_mut() {
                        Some(range) if range.blocks.end == block && bytes <= RANGE_BYTES => {
                            range.blocks.end = block + 1;
                            range.bytes = bytes;
                        }
                        _ => {
                            bytes = size;
                            self.ranges.push_back(BlockRange {
                                segment: Arc::clone(&segment),
                                blocks: block..block + 1,
                                is_by_number: size > MAX_FRAME_BYTES as u64,
                                is_last: false,
                                bytes: size,
                            });
                        }
                    }
                }
                if self.ranges.len() == first_range {
                    self.context.metrics.backfill.segments_done.add(1);
                } else if let Some(last) = self.ranges.back_mut() {
                    last.is_last = true;
                }
            }
        }
    }

    /// Queues the blocks that the plan lists.
    pub(super) fn on_listed(&mut self) {
        let Some(SegmentOpen::Listed(segment)) = self.segment_open.take() else { return };
        let planned = segment.planned.clone();
        let ranges = planned.blocks().unwrap_or_default().iter();
        self.queue_by_number(&segment, ranges.flat_map(|range| range.first..=range.last));
    }

    pub(super) fn queue_by_number(
        &mut self,
        segment: &Arc<RemoteSegment>,
        blocks: impl Iterator<Item = u32>,
    ) {
        for block in blocks {
            self.ranges.push_back(BlockRange {
                segment: Arc::clone(segment),
                blocks: block..block + 1,
                is_by_number: true,
                is_last: false,
                bytes: 0,
            });
        }
        match self.ranges.back_mut() {
            Some(last) => last.is_last = true,
            None => self.context.metrics.backfill.segments_done.add(1),
        }
    }

    /// Divides the first fetched range into blocks.
    pub(super) fn on_fetched(&mut self, fetched: Result<BlockFrames, RemoteSegmentError>) {
        let Some(RangeFetch { range, .. }) = self.fetches.pop_front() else { return };
        let BlockRange { segment, blocks, is_last, is_by_number, .. } = range;
        let frames = match fetched {
            Ok(frames) => frames,
            Err(error) => {
                let job = BlockJob { segment, number: blocks.start, entry: None, is_last };
                self.queue_error(job, error);
                return;
            }
        };
        if is_by_number {
            self.budget.observe_block(frames.bytes.len());
        }
        let bytes = Arc::new(frames.bytes);
        let last = blocks.end.saturating_sub(1);
        for ((i, number), span) in blocks.enumerate().zip(frames.spans) {
            let entry = frames.entries.get(i).cloned();
            let is_last = is_last && number == last;
            let job = BlockJob { segment: Arc::clone(&segment), number, entry, is_last };
            self.blocks.push_back((job, Ok(StoredFrame { bytes: Arc::clone(&bytes), span })));
        }
    }

    /// Queues an error in the place of the block, so that it is reported in order.
    pub(super) fn queue_error(&mut self, job: BlockJob, error: RemoteSegmentError) {
        self.blocks.push_back((job, Err(BlockMessage::Failed(error))));
    }
}
