//! Writes sealed segments: rows → blocks → footer and header. A segment is small and stays in
//! memory until it is complete: this is for `skytail serve` and tests, and not for the log of a
//! server.

mod columns;
pub mod convert;
mod footer;
mod record;

use std::collections::{HashMap, HashSet};
use std::io;

use xxhash_rust::xxh3::Xxh3;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use self::columns::Columns;
use super::block::MAX_ROWS;
use super::entry::BlockEntry;
use super::row::Row;
use super::segment::collections::Collection;
use super::segment::header::{CHECKED_FROM, HEADER_BYTES, Header, MAX_BLOCKS, MAX_SEGMENT_BYTES};
use crate::position::Seq;

/// Rows of a block on real servers (protocol/jetstream-v2-archive.md §5).
pub const BLOCK_EVENTS: usize = 4096;
/// A block of this size is closed even if it has few rows, because readers limit the decompressed
/// size of a block.
const FULL_BLOCK_BYTES: usize = 32 << 20;
/// The zstd level. Blocks are read more often than they are written.
const LEVEL: i32 = 3;

/// Why a row can't be written, or a segment can't be sealed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Seqs must ascend.
    #[error(
        "seq {seq} is invalid, or not above {last}, its predecessor: rows are written in order"
    )]
    SeqOrder {
        /// The seq of the row.
        seq: u64,
        /// The seq of the last row that was written; 0 before the first row.
        last: u64,
    },
    /// A value is longer than its column allows.
    #[error("the {what} of seq {seq} has {bytes} bytes, and at most {max} fit")]
    TooLong {
        /// The column.
        what: &'static str,
        /// The seq of the row.
        seq: u64,
        /// The length of the value in bytes.
        bytes: usize,
        /// The longest value that fits, in bytes.
        max: usize,
    },
    /// The segment would become too large.
    #[error("the segment would have more than {0}: begin another segment before this row")]
    TooLarge(&'static str),
    /// zstd failed.
    #[error("can't compress a block: {0}")]
    Compress(#[from] io::Error),
}

/// A segment that is being written.
pub struct SegmentWriter {
    block_events: usize,
    compressor: Compressor<'static>,
    /// Space for the header, and the blocks so far.
    bytes: Vec<u8>,
    blocks: Vec<BlockEntry>,
    /// The block that is being filled.
    open: Columns,
    last_seq: u64,
    /// For each block, the numbers of its collections; the open one's last.
    block_collections: Vec<HashSet<usize>>,
    collections: Vec<Collection>,
    /// The index of each name in `collections`.
    numbers: HashMap<String, usize>,
    dids: HashSet<String>,
    /// The DIDs of the open block.
    block_dids: HashSet<String>,
    /// The largest number of DIDs in a block so far.
    most_block_dids: usize,
}

impl std::fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes.len();
        f.debug_struct("SegmentWriter").field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// Returns the compressor for a segment. It writes a content checksum, which decoders require.
fn compressor(level: i32) -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

impl SegmentWriter {
    /// Returns an empty segment whose blocks have `block_events` rows. The last block, and blocks
    /// of more than 32 MiB, have fewer. A number above the maximum of a block counts as the
    /// maximum.
    ///
    /// # Errors
    /// [`WriteError::Compress`] if zstd can't allocate memory.
    pub fn new(block_events: usize) -> Result<Self, WriteError> {
        Self::with_level(block_events, LEVEL)
    }

    /// Like [`SegmentWriter::new`], with another zstd level, which gives the same rows as other
    /// bytes.
    ///
    /// # Errors
    /// As [`SegmentWriter::new`].
    pub fn with_level(block_events: usize, level: i32) -> Result<Self, WriteError> {
        Ok(Self {
            block_events: block_events.clamp(1, MAX_ROWS),
            compressor: compressor(level)?,
            bytes: vec![0; HEADER_BYTES],
            blocks: Vec::new(),
            open: Columns::default(),
            last_seq: 0,
            block_collections: Vec::new(),
            collections: Vec::new(),
            numbers: HashMap::new(),
            dids: HashSet::new(),
            block_dids: HashSet::new(),
            most_block_dids: 0,
        })
    }

    /// Returns the size of the complete blocks and of the open block, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.open.body_bytes()
    }

    /// Adds a row. Its seq must be above that of the previous row. `payload_at` is ignored.
    ///
    /// # Errors
    /// [`WriteError`]; the segment does not contain the row then.
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        self.check_next(row)?;
        self.open.push(row)?;
        self.count(row);
        self.end_row(row)
    }

    /// Adds a row that compaction has removed. It counts for the size of its block, and for the
    /// bounds of block and segment.
    ///
    /// # Errors
    /// As [`SegmentWriter::push`].
    pub fn push_removed(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        self.check_next(row)?;
        self.open.count(row);
        self.end_row(row)
    }

    fn check_next(&self, row: &Row<'_>) -> Result<(), WriteError> {
        if row.seq.0 <= self.last_seq || row.seq.0 >= Seq::LIMIT {
            return Err(WriteError::SeqOrder { seq: row.seq.0, last: self.last_seq });
        }
        if self.open.slots() == 0 {
            if self.blocks.len() >= MAX_BLOCKS as usize {
                return Err(WriteError::TooLarge("2^20 blocks"));
            }
            if self.bytes() as u64 > MAX_SEGMENT_BYTES / 2 {
                return Err(WriteError::TooLarge("512 MiB"));
            }
        }
        Ok(())
    }

    fn end_row(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        self.last_seq = row.seq.0;
        if self.open.slots() == self.block_events || self.open.body_bytes() >= FULL_BLOCK_BYTES {
            self.close_block()?;
        }
        Ok(())
    }

    /// Records the DID and the collection of a row.
    fn count(&mut self, row: &Row<'_>) {
        let name = row.kind.sentinel().unwrap_or(row.collection);
        let number = match self.numbers.get(name) {
            Some(&number) => number,
            None => {
                let number = self.collections.len();
                self.collections.push(Collection { name: name.to_owned(), event_count: 0 });
                self.numbers.insert(name.to_owned(), number);
                number
            }
        };
        if row.kind.sentinel().is_none()
            && let Some(collection) = self.collections.get_mut(number)
        {
            collection.event_count += 1;
        }
        if self.block_collections.len() == self.blocks.len() {
            self.block_collections.push(HashSet::new());
        }
        if let Some(block) = self.block_collections.last_mut() {
            block.insert(number);
        }
        for dids in [&mut self.dids, &mut self.block_dids] {
            if !dids.contains(row.did) {
                dids.insert(row.did.to_owned());
            }
        }
    }

    fn close_block(&mut self) -> Result<(), WriteError> {
        let body = self.open.body();
        let frame = self.compressor.compress(&body)?;
        let entry = self.open.entry(self.bytes.len() as u64, &frame, &body);
        self.bytes.extend_from_slice(&(frame.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(&frame);
        self.blocks.push(entry);
        // A block without rows has no collections.
        self.block_collections.resize_with(self.blocks.len(), HashSet::new);
        self.open = Columns::default();
        self.most_block_dids = self.most_block_dids.max(self.block_dids.len());
        self.block_dids.clear();
        Ok(())
    }

    /// Returns the complete segment. A segment without rows has no block and 0 for every bound, as
    /// real servers write it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn seal(mut self) -> Result<Vec<u8>, WriteError> {
        if self.open.slots() > 0 {
            self.close_block()?;
        }
        let times = self.blocks.iter();
        let earliest = times.clone().map(|block| block.min_witnessed_at_us).min();
        let latest = times.clone().map(|block| block.max_witnessed_at_us).max();
        let mut header = Header {
            block_count: self.blocks.len() as u32,
            event_count: times.map(|block| block.event_count).sum(),
            unique_did_count: u32::try_from(self.dids.len()).unwrap_or(u32::MAX),
            min_seq: self.blocks.first().map_or(0, |block| block.min_seq),
            max_seq: self.blocks.last().map_or(0, |block| block.max_seq),
            min_witnessed_at_us: earliest.unwrap_or_default(),
            max_witnessed_at_us: latest.unwrap_or_default(),
            footer_offset: self.bytes.len() as u64,
            ..Header::default()
        };
        for block in &self.blocks {
            block.append_to(&mut self.bytes);
        }
        header.did_filter_offset = self.bytes.len() as u64;
        footer::append_filter(self.dids.len(), self.dids.len(), &mut self.bytes);
        header.block_filters_offset = self.bytes.len() as u64;
        footer::append_block_filters(self.blocks.len(), self.most_block_dids, &mut self.bytes);
        header.collection_index_offset = self.bytes.len() as u64;
        let table = footer::CollectionTable {
            collections: &self.collections,
            blocks: &self.block_collections,
        };
        table.append_to(&mut self.compressor, &mut self.bytes)?;
        Ok(sealed(header, self.bytes))
    }
}

/// Writes the header, with its checksum, into the space before the blocks.
fn sealed(mut header: Header, mut bytes: Vec<u8>) -> Vec<u8> {
    let footer_offset = usize::try_from(header.footer_offset).unwrap_or(bytes.len());
    let mut hash = Xxh3::new();
    hash.update(header.to_bytes().get(CHECKED_FROM..).unwrap_or_default());
    hash.update(bytes.get(footer_offset..).unwrap_or_default());
    header.checksum = hash.digest();
    if let Some(place) = bytes.first_chunk_mut::<HEADER_BYTES>() {
        *place = header.to_bytes();
    }
    bytes
}
