//! One stored block into batches of lines: wanted rows only, straight from the columns and
//! from CBOR into the batch. Blocking work, for a thread of its own; no I/O.

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

/// Most bytes that a block may decompress to. Real ones hold a few MB.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// Bytes of a batch: those of the pipeline's own.
pub const BATCH_BYTES: usize = 256 * 1024;
/// Room for the line that goes beyond that.
const SLACK_BYTES: usize = 16 * 1024;

/// Which rows are wanted, and as what.
#[derive(Clone, Debug)]
pub struct Wants {
    /// What to print.
    pub filter: Filter,
    /// The shape of the lines.
    pub shape: EventFormat,
    /// Rows up to here are not.
    pub after: u64,
    /// Rows above this are not.
    pub up_to: u64,
    /// Rows that were witnessed before this instant are not, until the first that was not.
    pub since: Option<TimeUs>,
}

/// Some lines of a block.
#[derive(Debug)]
pub struct Lines {
    /// The lines.
    pub batch: Batch,
    /// The number of the first that was witnessed late enough, and so are all behind it.
    pub late_from: Option<usize>,
}

/// What a block held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its rows within the bounds.
    pub rows: u64,
    /// Those that are not wanted.
    pub unwanted: u64,
    /// Those that can't be made events.
    pub unusable: u64,
    /// The highest seq, and the latest time of witnessing.
    pub last: Option<EventPosition>,
    /// Whether any row was witnessed late enough.
    pub is_late: bool,
}

/// Whoever takes a block's lines.
pub trait Taker {
    /// The block is sound; its first and last seq. `false` where nothing more is wanted.
    fn begins(&mut self, first: u64, last: u64) -> bool;
    /// Some of its lines. `false` where nothing more is wanted.
    fn takes(&mut self, lines: Lines) -> bool;
    /// A row that can't be made an event.
    fn misses(&mut self, error: &RowError);
}

/// The tools of one thread, which keep their memory from block to block.
#[derive(Debug)]
pub struct Tools {
    decoder: BlockDecoder,
    writer: LineWriter,
}

/// Tools that nobody uses just now: at most as many as there were threads at once.
#[derive(Debug, Default)]
pub struct Toolbox(Mutex<Vec<Tools>>);

impl Toolbox {
    /// Takes tools out, or makes some.
    ///
    /// # Errors
    /// [`BlockError`] where zstd has no memory.
    pub fn take(&self) -> Result<Tools, BlockError> {
        let tools = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match tools {
            Some(tools) => Ok(tools),
            None => Ok(Tools {
                decoder: BlockDecoder::with_cap(MAX_BODY_BYTES)?,
                writer: LineWriter::new(),
            }),
        }
    }

    /// Puts tools back.
    pub fn put(&self, tools: Tools) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(tools);
    }
}

impl Tools {
    /// Decodes a stored frame, held against what the index says of it (`None`: there is no
    /// index) and against the bounds of its segment.
    ///
    /// # Errors
    /// [`BlockError`]: nothing was handed over then.
    pub fn decode(
        &mut self,
        frame: &[u8],
        entry: Option<&BlockEntry>,
        bounds: (u64, u64),
        wants: &Wants,
        taker: &mut impl Taker,
    ) -> Result<Summary, BlockError> {
        let block = self.decoder.decode(frame)?;
        if let Some(entry) = entry {
            block.check_against(entry)?;
        }
        let rows = block.rows();
        let seqs = (block.first_seq(), block.last_seq());
        let (Some(first), Some(last)) = seqs else { return Ok(Summary::default()) };
        if first.0 < bounds.0 {
            let (what, block, index) = ("lowest seq", first.0, bounds.0);
            return Err(BlockError::Disagrees { what, block, index });
        }
        if last.0 > bounds.1 {
            let (what, block, index) = ("highest seq", last.0, bounds.1);
            return Err(BlockError::Disagrees { what, block, index });
        }
        let mut summary = Summary::default();
        if !taker.begins(first.0, last.0) {
            return Ok(summary);
        }
        let empty =
            || Lines { batch: Batch::with_capacity(BATCH_BYTES + SLACK_BYTES), late_from: None };
        let mut lines = empty();
        for row in rows {
            if row.seq.0 <= wants.after || row.seq.0 > wants.up_to {
                continue;
            }
            summary.see(&row);
            summary.is_late |= wants.is_late(&row);
            if summary.is_late && lines.late_from.is_none() {
                lines.late_from = Some(lines.batch.len());
            }
            if !wants.row(&row) {
                summary.unwanted += 1;
                continue;
            }
            match self.writer.append(&row, wants.shape, lines.batch.line_buffer()) {
                Ok(()) => lines.batch.end_line(),
                Err(error) => {
                    summary.unusable += 1;
                    taker.misses(&error);
                }
            }
            if lines.batch.buffered_bytes() >= BATCH_BYTES
                && !taker.takes(std::mem::replace(&mut lines, empty()))
            {
                return Ok(summary);
            }
        }
        if !lines.batch.is_empty() {
            taker.takes(lines);
        }
        Ok(summary)
    }
}

impl Summary {
    fn see(&mut self, row: &Row<'_>) {
        self.rows += 1;
        let time = TimeUs(u64::try_from(row.witnessed_at_us).unwrap_or(0));
        let time = self.last.map_or(time, |last| last.time.max(time));
        self.last = Some(EventPosition { time, seq: Some(row.seq) });
    }
}

impl Wants {
    fn is_late(&self, row: &Row<'_>) -> bool {
        let at_us = u64::try_from(row.witnessed_at_us).unwrap_or(0);
        self.since.is_none_or(|since| at_us >= since.0)
    }

    /// Whether a row is wanted, as far as its columns tell.
    fn row(&self, row: &Row<'_>) -> bool {
        let (kind, operation) = match row.kind {
            RowKind::Create | RowKind::Resync => (Kind::Commit, Operation::Create),
            RowKind::Update => (Kind::Commit, Operation::Update),
            RowKind::Delete => (Kind::Commit, Operation::Delete),
            RowKind::Identity => (Kind::Identity, Operation::Other),
            RowKind::Account => (Kind::Account, Operation::Other),
            RowKind::Sync => (Kind::Sync, Operation::Other),
        };
        self.filter.may_want(kind, operation, row.collection, row.did)
    }
}

/// A seq for a place that has none of its own.
#[must_use]
pub fn seq(seq: u64) -> Option<Seq> {
    (1..Seq::LIMIT).contains(&seq).then_some(Seq(seq))
}
