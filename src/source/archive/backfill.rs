//! Reads the archive page by page, with several downloads and decoders at once, and returns
//! everything in the order of seqs.
//!
//! There are three short queues, each in order: block ranges being fetched, blocks cut out of the
//! first range, and blocks being decoded. Only the head-of-line block is polled. Later decoders
//! block on their own bounded channel, so ordering cannot deadlock.

mod damage;
mod plan_gaps;
mod schedule;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::bounds::{BackfillEnd, BackfillLimits, Bounds};
use super::budget::DownloadBudget;
use super::client::ArchiveClient;
use super::decode::{BlockSummary, DecodedLines, DecoderPool, RowFilter, SpareBatches, valid_seq};
use super::plan::{self, PlanFilter, PlanPage, PlannedSegment};
use super::segment::{BlockFrames, RemoteSegment, RemoteSegmentError, SegmentVersion};
use super::segment_list::{self, PlanGap};
use super::workers::{BackfillContext, BlockJob, BlockMessage, StoredFrame};
use super::{BackfillError, BackfillStart, BackfillStep};
use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::filter::Filter;
use crate::position::{EventPosition, TimeUs};

/// A running backfill.
#[derive(Debug)]
pub struct Backfill {
    client: Arc<ArchiveClient>,
    context: Arc<BackfillContext>,
    parallelism: usize,
    /// Most blocks that are decoded at once: as many as downloads, but no more than processors.
    decoders: usize,
    budget: DownloadBudget,
    /// Whether a download waits because the budget has no room for it.
    is_over_budget: bool,
    end: BackfillEnd,
    /// The sealed tip when the backfill started. Events sealed later come from the live stream.
    tip: u64,
    /// The last seq of the current page.
    through: u64,
    /// Everything up to this seq was returned.
    done: u64,
    segments: VecDeque<PlannedSegment>,
    segment_open: Option<SegmentOpen>,
    ranges: VecDeque<BlockRange>,
    fetches: VecDeque<RangeFetch>,
    blocks: VecDeque<(BlockJob, Result<StoredFrame, BlockMessage>)>,
    decodes: VecDeque<BlockDecode>,
    /// The highest seq of the previous block.
    last_block_seq: u64,
    /// Whether a row at or after the start instant was read.
    reached_start: bool,
    max_time: TimeUs,
    /// The start and the reason of a gap whose end is not known yet.
    open_gap: Option<(u64, String)>,
    plan_filter: PlanFilter,
    /// Everything up to this seq was planned, or is in `plan_gaps`.
    planned_up_to: u64,
    /// Ranges that the plan omits and that are not reported yet, ascending.
    plan_gaps: VecDeque<PlanGap>,
}

#[derive(Debug)]
enum SegmentOpen {
    Task(Arc<RemoteSegment>, JoinHandle<Result<Arc<SegmentVersion>, RemoteSegmentError>>),
    /// The plan lists its blocks, so its index is not needed.
    Listed(Arc<RemoteSegment>),
}

/// Consecutive blocks that are fetched together.
#[derive(Debug)]
struct BlockRange {
    segment: Arc<RemoteSegment>,
    blocks: Range<u32>,
    is_by_number: bool,
    is_last: bool,
    /// Its size; 0 if only the response shows it.
    bytes: u64,
}

#[derive(Debug)]
struct RangeFetch {
    range: BlockRange,
    task: JoinHandle<Result<BlockFrames, RemoteSegmentError>>,
}

#[derive(Debug)]
struct BlockDecode {
    job: BlockJob,
    messages: mpsc::Receiver<BlockMessage>,
    task: Option<JoinHandle<()>>,
}

enum BackfillEvent {
    Opened(Result<Arc<SegmentVersion>, RemoteSegmentError>),
    Listed,
    Fetched(Result<BlockFrames, RemoteSegmentError>),
    Message(BlockMessage),
    TaskFailed,
    /// The queues are empty.
    PageComplete,
}

/// Returns the number of processors that this process may use.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(usize::MAX, std::num::NonZero::get)
}

impl Backfill {
    /// Starts a backfill: requests the first page of the plan.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn start(
        client: Arc<ArchiveClient>,
        from: BackfillStart,
        filter: Filter,
        shape: EventFormat,
        limits: &BackfillLimits,
    ) -> Result<Self, BackfillError> {
        let budget = DownloadBudget::new(limits.max_bytes, Arc::clone(&client.metrics));
        if !budget.is_left() {
            return Err(BackfillError::BudgetSpent);
        }
        let Bounds { after, since, last, end } = Bounds::find(&client, from, limits).await?;
        let mut plan_filter = PlanFilter::new(&filter);
        let page = plan::first_page(&client, &mut plan_filter, after, last).await;
        let page = page.map_err(|e| BackfillError::from_list("planSnapshot", e))?;
        let tip = page.sealed_tip_seq;
        let row_filter = RowFilter { filter, shape, after, up_to: tip, since };
        let metrics = Arc::clone(&client.metrics);
        metrics.backfill.begin(after, tip);
        let (decoders, spare) = (DecoderPool::default(), SpareBatches::default());
        let context = BackfillContext { filter: row_filter, decoders, spare, metrics };
        let mut backfill = Self {
            client,
            context: Arc::new(context),
            parallelism: limits.parallelism.max(1),
            decoders: limits.parallelism.clamp(1, processors().max(2)),
            budget,
            is_over_budget: false,
            end,
            tip,
            through: after,
            done: after,
            segments: VecDeque::new(),
            segment_open: None,
            ranges: VecDeque::new(),
            fetches: VecDeque::new(),
            blocks: VecDeque::new(),
            decodes: VecDeque::new(),
            last_block_seq: 0,
            reached_start: since.is_none(),
            max_time: TimeUs(0),
            open_gap: None,
            plan_filter,
            planned_up_to: after,
            plan_gaps: VecDeque::new(),
        };
        backfill.queue_page(page).await;
        Ok(backfill)
    }

    /// Returns the sealed tip at which the backfill ends; 0 for an empty archive.
    #[must_use]
    pub fn tip(&self) -> u64 {
        self.tip
    }

    /// Returns where the backfill ends.
    #[must_use]
    pub fn end_kind(&self) -> BackfillEnd {
        self.end
    }

    /// Returns the next result; `None` at the end. Not cancel-safe: a request that was interrupted begins
    /// again, and the end of a page may be lost.
    ///
    /// # Errors
    /// [`BackfillError`]. Earlier results stay valid.
    pub async fn next(&mut self) -> Result<Option<BackfillStep>, BackfillError> {
        loop {
            self.spawn_ready();
            let step = match self.next_event().await {
                BackfillEvent::TaskFailed => return Err(BackfillError::TaskFailed),
                BackfillEvent::Opened(opened) => {
                    self.on_opened(opened);
                    None
                }
                BackfillEvent::Listed => {
                    self.on_listed();
                    None
                }
                BackfillEvent::Fetched(fetched) => {
                    self.on_fetched(fetched);
                    None
                }
                BackfillEvent::Message(message) => self.on_message(message)?,
                // mutant: takes-a-budget-for-the-end
                BackfillEvent::PageComplete if self.is_over_budget => {
                    return Err(BackfillError::BudgetSpent);
                }
                BackfillEvent::PageComplete => match self.finish_page() {
                    Some(mut step) => {
                        self.fill_in_time(&mut step).await;
                        Some(step)
                    }
                    None if self.through >= self.tip => return Ok(None),
                    None => {
                        self.next_page().await?;
                        None
                    }
                },
            };
            if step.is_some() {
                return Ok(step);
            }
        }
    }

    /// Gives an empty batch back for reuse.
    pub fn recycle(&self, batch: Batch) {
        self.context.spare.put(batch);
    }

    /// Stops all tasks and threads, and waits for them.
    pub async fn end(mut self) {
        self.context.metrics.backfill.end();
        let mut tasks = Vec::new();
        if let Some(SegmentOpen::Task(_, task)) = self.segment_open.take() {
            task.abort();
            // An aborted task returns an error, as expected.
            let _ = task.await;
        }
        for fetch in self.fetches.drain(..) {
            fetch.task.abort();
            let _ = fetch.task.await;
        }
        // Threads can't be aborted: they end when their receiver is dropped.
        tasks.extend(self.decodes.drain(..).filter_map(|decode| decode.task));
        for task in tasks {
            let _ = task.await;
        }
    }

    async fn next_page(&mut self) -> Result<(), BackfillError> {
        if !self.budget.is_left() {
            return Err(BackfillError::BudgetSpent);
        }
        let (after, tip) = (self.through, Some(self.tip));
        let page = plan::fetch_page(&self.client, &mut self.plan_filter, after, tip).await;
        self.queue_page(page.map_err(|e| BackfillError::from_list("planSnapshot", e))?).await;
        Ok(())
    }

    async fn queue_page(&mut self, page: PlanPage) {
        self.find_plan_gaps(&page).await;
        self.through = self.through.max(page.planned_through_seq);
        self.context.metrics.backfill.segments.add(page.segments.len() as u64);
        self.segments = page.segments.into();
    }

    /// Reports what is left of a page after its last block.
    fn finish_page(&mut self) -> Option<BackfillStep> {
        if let Some(step) = self.gap_before(self.through + 1) {
            return Some(step);
        }
        if self.through <= self.done {
            return None;
        }
        self.done = self.through;
        self.context.metrics.backfill.at_seq.set(self.done);
        let through =
            valid_seq(self.done).map(|seq| EventPosition { time: self.max_time, seq: Some(seq) });
        Some(BackfillStep { through, ..BackfillStep::default() })
    }

    /// Sets the time of a step from the list of segments if no row had one: with a position without
    /// a time, another server would start at its oldest event. A failure here is not fatal.
    async fn fill_in_time(&mut self, step: &mut BackfillStep) {
        let Some(EventPosition { time: TimeUs(0), seq: Some(seq) }) = step.through else { return };
        match segment_list::time_at(&self.client, seq.0).await {
            Ok(time) => {
                self.max_time = time;
                step.through = Some(EventPosition { time, seq: Some(seq) });
            }
            Err(error) => tracing::debug!("listSegments: {error}"),
        }
    }

    async fn next_event(&mut self) -> BackfillEvent {
        let Self { segment_open, ranges, fetches, blocks, decodes, .. } = self;
        let may_open = ranges.is_empty();
        if may_open && matches!(segment_open, Some(SegmentOpen::Listed(_))) {
            return BackfillEvent::Listed;
        }
        tokio::select! {
            biased;
            opened = wait_for_open(segment_open), if may_open && segment_open.is_some() => match opened {
                Ok(opened) => BackfillEvent::Opened(opened),
                Err(_) => BackfillEvent::TaskFailed,
            },
            fetched = async { match fetches.front_mut() {
                Some(front) => (&mut front.task).await,
                None => std::future::pending().await,
            } }, if blocks.is_empty() && !fetches.is_empty() => match fetched {
                Ok(fetched) => BackfillEvent::Fetched(fetched),
                Err(_) => BackfillEvent::TaskFailed,
            },
            message = async { match decodes.front_mut() {
                Some(front) => front.messages.recv().await,
                None => std::future::pending().await,
            } }, if !decodes.is_empty() => message.map_or(BackfillEvent::TaskFailed, BackfillEvent::Message),
            else => BackfillEvent::PageComplete,
        }
    }

    fn on_message(&mut self, message: BlockMessage) -> Result<Option<BackfillStep>, BackfillError> {
        match message {
            BlockMessage::Start { first, last } => Ok(self.on_start(first, last)),
            BlockMessage::Lines(lines) => Ok(self.on_lines(lines)),
            BlockMessage::Done(summary) => {
                let job = self.decodes.pop_front().map(|decode| decode.job);
                Ok(self.on_done(summary, job))
            }
            BlockMessage::Damaged(why) => Ok(self.block_damaged(&why)),
            BlockMessage::Failed(RemoteSegmentError::Damaged { source, .. }) => {
                Ok(self.segment_damaged(&source.to_string()))
            }
            BlockMessage::Failed(RemoteSegmentError::Fetch { source, .. })
                if matches!(source, super::error::ArchiveFetchError::TooLarge(_)) =>
            {
                Ok(self.block_damaged(&source.to_string()))
            }
            BlockMessage::Failed(error) => Err(error.into()),
        }
    }

    fn on_start(&mut self, first: u64, last: u64) -> Option<BackfillStep> {
        if first <= self.last_block_seq {
            let why = format!(
                "it begins with seq {first}, and the block before ends with seq {}",
                self.last_block_seq
            );
            return self.block_damaged(&why);
        }
        self.last_block_seq = last;
        // mutant: passes-what-is-on-its-way
        self.gap_before(first)
    }

    fn on_lines(&mut self, lines: DecodedLines) -> Option<BackfillStep> {
        let DecodedLines { mut batch, first_after_start } = lines;
        if !self.reached_start {
            let before_start = first_after_start.unwrap_or(batch.len());
            self.reached_start = first_after_start.is_some();
            self.context.metrics.received.add(before_start as u64);
            self.context.metrics.early.add(before_start as u64);
            batch.remove_first(before_start);
        }
        (!batch.is_empty()).then(|| BackfillStep { batch, ..BackfillStep::default() })
    }

    fn on_done(&mut self, summary: BlockSummary, job: Option<BlockJob>) -> Option<BackfillStep> {
        let metrics = &self.context.metrics;
        metrics.received.add(summary.filtered);
        metrics.filtered.add(summary.filtered);
        self.reached_start |= summary.reached_start;
        if job.is_some_and(|job| job.is_last) {
            metrics.backfill.segments_done.add(1);
        }
        let last = summary.last?;
        self.max_time = self.max_time.max(last.time);
        self.done = self.done.max(last.seq.map_or(0, |seq| seq.0));
        metrics.backfill.at_seq.set(self.done);
        let through =
            valid_seq(self.done).map(|seq| EventPosition { time: self.max_time, seq: Some(seq) });
        Some(BackfillStep { through, ..BackfillStep::default() })
    }
}

/// Waits until the next segment is open.
async fn wait_for_open(
    segment_open: &mut Option<SegmentOpen>,
) -> Result<Result<Arc<SegmentVersion>, RemoteSegmentError>, tokio::task::JoinError> {
    match segment_open {
        Some(SegmentOpen::Task(_, task)) => task.await,
        _ => std::future::pending().await,
    }
}
