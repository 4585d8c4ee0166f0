//! Workers of a backfill: tasks that fetch frames, and blocking threads that decode blocks.
//! `backfill` puts their results in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::decode::{
    BlockSink, BlockSummary, DecodedLines, DecoderPool, RowFilter, SpareBatches, new_batch,
};
use super::error::ArchiveFetchError;
use super::segment::{BlockFrames, RemoteSegment, RemoteSegmentError};
use crate::archive::entry::BlockEntry;
use crate::archive::error::{BlockError, RowError};
use crate::event::batch::Batch;
use crate::metrics::Metrics;

/// Batches of one block that may wait for the blocks before it: more than half of a typical block.
pub(super) const QUEUED_BATCHES: usize = 8;

/// What all workers of a backfill share.
#[derive(Debug)]
pub(super) struct BackfillContext {
    pub filter: RowFilter,
    pub decoders: DecoderPool,
    pub spare: SpareBatches,
    pub metrics: Arc<Metrics>,
}

/// One block to decode.
#[derive(Clone, Debug)]
pub(super) struct BlockJob {
    pub segment: Arc<RemoteSegment>,
    pub number: u32,
    /// Its entry in the segment's index; `None` if it was fetched by number.
    pub entry: Option<BlockEntry>,
    /// Whether it is the last of its segment.
    pub is_last: bool,
}

impl BlockJob {
    /// Returns the block's name in messages.
    pub(super) fn name(&self) -> String {
        let (name, number) = (&self.segment.planned.name, self.number);
        match &self.entry {
            Some(entry) => format!("{name}, block {number} at byte {}", entry.frame_at()),
            None => format!("{name}, block {number}"),
        }
    }
}

/// What a decoder sends about a block, in this order: `Start`, any number of `Lines`, `Done`;
/// or only `Done`, `Damaged` or `Failed`.
#[derive(Debug)]
pub(super) enum BlockMessage {
    Start {
        first: u64,
        last: u64,
    },
    Lines(DecodedLines),
    Done(BlockSummary),
    /// Still damaged after the last fetch.
    Damaged(String),
    Failed(RemoteSegmentError),
}

/// Sends a block's lines to the backfill.
struct BlockSender {
    name: String,
    out: mpsc::Sender<BlockMessage>,
    context: Arc<BackfillContext>,
}

impl BlockSink for BlockSender {
    fn start(&mut self, first: u64, last: u64) -> bool {
        self.out.blocking_send(BlockMessage::Start { first, last }).is_ok()
    }

    fn lines(&mut self, lines: DecodedLines) -> bool {
        self.out.blocking_send(BlockMessage::Lines(lines)).is_ok()
    }

    fn empty_batch(&mut self) -> Batch {
        self.context.spare.take().unwrap_or_else(new_batch)
    }

    fn row_error(&mut self, error: &RowError) {
        let metrics = &self.context.metrics;
        metrics.received.add(1);
        metrics.malformed.add(1);
        let total = metrics.malformed.get();
        // Exponential throttling: the first, second, fourth, eighth … row is logged.
        if crate::display::log_throttle::is_doubling(total) {
            tracing::warn!(total, "skipped a row that is not an event: {}: {error}", self.name);
        }
    }
}

/// The bytes of a block within the range that was fetched.
#[derive(Debug)]
pub(super) struct StoredFrame {
    pub bytes: Arc<Vec<u8>>,
    pub span: std::ops::Range<usize>,
}

/// The waits before a damaged block is fetched again. Damage on the way is rare, so the first is
/// fetched at once; a cache that holds a damaged copy needs time.
const WAITS_BEFORE_FETCHES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(1)];

/// Decodes one block, and fetches it again if it is damaged. Stops when the receiver is dropped.
/// The blocking thread has always ended when this returns.
pub(super) async fn decode_block(
    context: Arc<BackfillContext>,
    job: BlockJob,
    frame: StoredFrame,
    out: mpsc::Sender<BlockMessage>,
) {
    let mut decoded = try_decode(&context, &job, frame, &out).await;
    // A rewritten segment has other frames for the same rows, and may have fewer rows.
    let without_entry = BlockJob { entry: None, ..job.clone() };
    for wait in WAITS_BEFORE_FETCHES {
        let Err(error) = &decoded else { break };
        tracing::warn!("{}: {error}; fetching it again", job.name());
        let fetched = async {
            tokio::time::sleep(wait).await;
            job.segment.fetch_block(job.number).await
        };
        // Only the download may be cut short, not a thread that decodes.
        let fetched = tokio::select! {
            fetched = fetched => fetched,
            () = out.closed() => return,
        };
        decoded = decode_fetched(&context, &without_entry, fetched, &out).await;
    }
    let last_message = decoded.unwrap_or_else(|error| BlockMessage::Damaged(error.to_string()));
    // The receiver may be gone: the backfill has ended then.
    let _ = out.send(last_message).await;
}

async fn decode_fetched(
    context: &Arc<BackfillContext>,
    job: &BlockJob,
    fetched: Result<Vec<u8>, RemoteSegmentError>,
    out: &mpsc::Sender<BlockMessage>,
) -> Result<BlockMessage, BlockError> {
    match fetched {
        Ok(bytes) => {
            let span = 0..bytes.len();
            try_decode(context, job, StoredFrame { bytes: Arc::new(bytes), span }, out).await
        }
        Err(RemoteSegmentError::Fetch {
            source: error @ ArchiveFetchError::TooLarge(_), ..
        }) => Ok(BlockMessage::Damaged(error.to_string())),
        Err(error) => Ok(BlockMessage::Failed(error)),
    }
}

async fn try_decode(
    context: &Arc<BackfillContext>,
    job: &BlockJob,
    frame: StoredFrame,
    out: &mpsc::Sender<BlockMessage>,
) -> Result<BlockMessage, BlockError> {
    let context = Arc::clone(context);
    let planned = &job.segment.planned;
    let bounds = (planned.min_seq, planned.max_seq);
    let entry = job.entry.clone();
    let mut sink =
        BlockSender { name: job.name(), out: out.clone(), context: Arc::clone(&context) };
    let work = move || {
        let mut decoder = context.decoders.acquire()?;
        let stored = frame.bytes.get(frame.span.clone()).unwrap_or_default();
        let decoded = decoder.decode(stored, entry.as_ref(), bounds, &context.filter, &mut sink);
        context.decoders.release(decoder);
        decoded
    };
    match spawn_blocking(work).await {
        Ok(decoded) => decoded.map(BlockMessage::Done),
        // The thread panicked, or the runtime is shutting down.
        Err(_) => Ok(BlockMessage::Damaged(
            "decoding it failed unexpectedly; this is a bug in skytail".into(),
        )),
    }
}

/// Fetches the frames of consecutive blocks. By number, only the first is fetched.
pub(super) async fn fetch_frames(
    segment: Arc<RemoteSegment>,
    blocks: std::ops::Range<u32>,
    is_by_number: bool,
) -> Result<BlockFrames, RemoteSegmentError> {
    if !is_by_number {
        return segment.fetch_frames(blocks).await;
    }
    let bytes = segment.fetch_block(blocks.start).await?;
    Ok(BlockFrames::one(bytes))
}
