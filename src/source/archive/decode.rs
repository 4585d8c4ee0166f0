//! Decodes one stored block into batches of lines: filters rows by their columns, and writes
//! those that match from CBOR into the batch. It blocks and does no I/O: run it on a thread
//! of its own.

use std::sync::{Mutex, PoisonError};

use crate::archive::block::BlockDecoder;
use crate::archive::entry::BlockEntry;
use crate::archive::error::{BlockError, RowError};
use crate::archive::line::LineWriter;
use crate::archive::row::{Row, RowKind};
use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::event::header::{Kind, Operation};
use crate::filter::Filter;
use crate::position::{EventPosition, Seq, TimeUs};

/// Most bytes that a block may decompress to. Real blocks hold a few MB.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// Bytes after which a batch is passed on: the size of the pipeline's own batches.
pub const BATCH_BYTES: usize = 256 * 1024;
/// Room for the line that crosses [`BATCH_BYTES`].
const SLACK_BYTES: usize = 16 * 1024;

/// Selects the rows of a block, and says how to print them.
#[derive(Clone, Debug)]
pub struct RowFilter {
    /// The run's filter.
    pub filter: Filter,
    /// The format of the lines.
    pub shape: EventFormat,
    /// Drops rows up to this seq, inclusive.
    pub after: u64,
    /// Drops rows above this seq.
    pub up_to: u64,
    /// The backfill starts at the first row that was witnessed at or after this instant.
    /// Earlier witness times after that row are kept.
    pub since: Option<TimeUs>,
}

/// Lines of a block, in the order of its rows.
#[derive(Debug)]
pub struct DecodedLines {
    /// The lines.
    pub batch: Batch,
    /// The index of the first line that is not before the start instant; `None` if all are.
    pub first_after_start: Option<usize>,
}

/// Counts of a decoded block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockSummary {
    /// Rows within the seq bounds.
    pub rows: u64,
    /// Rows that the filter rejects.
    pub filtered: u64,
    /// Rows that can't be converted into an event.
    pub unusable: u64,
    /// The highest seq and the latest witness time; `None` without a row.
    pub last: Option<EventPosition>,
    /// Whether a row was witnessed at or after the start instant.
    pub reached_start: bool,
}

/// Returns a batch for lines of a block.
#[must_use]
pub fn new_batch() -> Batch {
    Batch::with_capacity(BATCH_BYTES + SLACK_BYTES)
}

/// Receives the lines of a block. `start` and `lines` return `false` to stop the decoding.
pub trait BlockSink {
    /// The block passed all checks; these are its first and last seq.
    fn start(&mut self, first: u64, last: u64) -> bool;
    /// Receives some of its lines.
    fn lines(&mut self, lines: DecodedLines) -> bool;
    /// Returns an empty batch for the next lines.
    fn empty_batch(&mut self) -> Batch {
        new_batch()
    }
    /// A row can't be converted into an event, and is skipped.
    fn row_error(&mut self, error: &RowError);
}

/// A decoder whose buffers are reused from block to block.
#[derive(Debug)]
pub struct RowDecoder {
    decoder: BlockDecoder,
    writer: LineWriter,
}

/// Empty batches that the writer has given back. Without them each batch is new memory, which the
/// allocator keeps per thread.
#[derive(Debug, Default)]
pub struct SpareBatches(Mutex<Vec<Batch>>);

/// Most spare batches: as many as four blocks of usual size take.
const MAX_SPARE_BATCHES: usize = 40;

impl SpareBatches {
    /// Takes a spare batch, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Batch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps an empty batch, unless there are enough.
    pub fn put(&self, batch: Batch) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE_BATCHES {
            spare.push(batch);
        }
    }
}

/// Idle decoders. Holds at most as many as there were threads at once.
#[derive(Debug, Default)]
pub struct DecoderPool(Mutex<Vec<RowDecoder>>);

impl DecoderPool {
    /// Takes an idle decoder, or creates one.
    ///
    /// # Errors
    /// [`BlockError`] if zstd can't allocate its context.
    pub fn acquire(&self) -> Result<RowDecoder, BlockError> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(decoder) => Ok(decoder),
            None => Ok(RowDecoder {
                decoder: BlockDecoder::with_cap(MAX_BODY_BYTES)?,
                writer: LineWriter::new(),
            }),
        }
    }

    /// Returns a decoder to the pool.
    pub fn release(&self, decoder: RowDecoder) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
    }
}

impl RowDecoder {
    /// Decodes a stored frame after checking it against its index entry (`None` if there is
    /// no index) and against the seq bounds of its segment.
    ///
    /// # Errors
    /// [`BlockError`]; `sink` has received nothing then.
    pub fn decode(
        &mut self,
        frame: &[u8],
        entry: Option<&BlockEntry>,
        bounds: (u64, u64),
        filter: &RowFilter,
        sink: &mut impl BlockSink,
    ) -> Result<BlockSummary, BlockError> {
        let block = self.decoder.decode(frame)?;
        if let Some(entry) = entry {
            block.check_against(entry)?;
        }
        let seqs = (block.first_seq(), block.last_seq());
        let (Some(first), Some(last)) = seqs else { return Ok(BlockSummary::default()) };
        check_bounds(first, last, bounds)?;
        if !sink.start(first.0, last.0) {
            return Ok(BlockSummary::default());
        }
        Ok(write_lines(&mut self.writer, block.rows(), filter, sink))
    }
}

fn check_bounds(first: Seq, last: Seq, bounds: (u64, u64)) -> Result<(), BlockError> {
    if first.0 < bounds.0 {
        let (what, block, index) = ("lowest seq", first.0, bounds.0);
        return Err(BlockError::Disagrees { what, block, index });
    }
    if last.0 > bounds.1 {
        let (what, block, index) = ("highest seq", last.0, bounds.1);
        return Err(BlockError::Disagrees { what, block, index });
    }
    Ok(())
}

fn write_lines<'a>(
    writer: &mut LineWriter,
    rows: impl Iterator<Item = Row<'a>>,
    filter: &RowFilter,
    sink: &mut impl BlockSink,
) -> BlockSummary {
    let empty = |batch| DecodedLines { batch, first_after_start: None };
    let (mut summary, mut lines) = (BlockSummary::default(), empty(sink.empty_batch()));
    for row in rows {
        if row.seq.0 <= filter.after || row.seq.0 > filter.up_to {
            continue;
        }
        summary.count(&row);
        summary.reached_start |= filter.is_after_start(&row);
        if summary.reached_start && lines.first_after_start.is_none() {
            lines.first_after_start = Some(lines.batch.len());
        }
        if !filter.may_match(&row) {
            summary.filtered += 1;
            continue;
        }
        match writer.append(&row, filter.shape, lines.batch.line_buffer()) {
            Ok(header) => lines.batch.end_line_with(header),
            Err(error) => {
                summary.unusable += 1;
                sink.row_error(&error);
            }
        }
        if lines.batch.buffered_bytes() >= BATCH_BYTES {
            let next = empty(sink.empty_batch());
            if !sink.lines(std::mem::replace(&mut lines, next)) {
                return summary;
            }
        }
    }
    if !lines.batch.is_empty() {
        sink.lines(lines);
    }
    summary
}

impl BlockSummary {
    fn count(&mut self, row: &Row<'_>) {
        self.rows += 1;
        let time = TimeUs(u64::try_from(row.witnessed_at_us).unwrap_or(0));
        let time = self.last.map_or(time, |last| last.time.max(time));
        self.last = Some(EventPosition { time, seq: Some(row.seq) });
    }
}

impl RowFilter {
    fn is_after_start(&self, row: &Row<'_>) -> bool {
        let at_us = u64::try_from(row.witnessed_at_us).unwrap_or(0);
        self.since.is_none_or(|since| at_us >= since.0)
    }

    /// Returns `false` if the columns alone show that the filter rejects the row.
    fn may_match(&self, row: &Row<'_>) -> bool {
        let commit = |operation| Some((operation, row.collection, row.rkey));
        let (kind, commit) = match row.kind {
            RowKind::Create | RowKind::Resync => (Kind::Commit, commit(Operation::Create)),
            RowKind::Update => (Kind::Commit, commit(Operation::Update)),
            RowKind::Delete => (Kind::Commit, commit(Operation::Delete)),
            RowKind::Identity => (Kind::Identity, None),
            RowKind::Account => (Kind::Account, None),
            RowKind::Sync => (Kind::Sync, None),
        };
        self.filter.may_want(kind, row.did, commit)
    }
}

/// Returns `seq` if it can be one: 0 and values from [`Seq::LIMIT`] are none.
#[must_use]
pub fn valid_seq(seq: u64) -> Option<Seq> {
    (1..Seq::LIMIT).contains(&seq).then_some(Seq(seq))
}
