//! The block index of a segment's footer (protocol/jetstream-v2-archive.md §4).

use super::header::{HEADER_BYTES, Header};
use crate::archive::block::MAX_ROWS;
use crate::archive::error::SegmentError;
use crate::archive::fields::{i64_at, u32_at, u64_at};

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 52;
/// Bytes of the length in front of each frame.
pub(crate) const PREFIX_BYTES: u64 = 8;
/// Largest block, decompressed, that the format allows (§5).
const MAX_BODY_BYTES: u32 = 1 << 30;

/// What the index says of a block. After a compaction the bounds are those from before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// Where the length in front of the frame stands.
    pub offset: u64,
    /// Bytes of the frame.
    pub frame_bytes: u32,
    /// Bytes of what it decompresses to.
    pub body_bytes: u32,
    /// The number of rows; 0 for a block whose rows were all removed.
    pub event_count: u32,
    /// The lowest seq.
    pub min_seq: u64,
    /// The highest seq.
    pub max_seq: u64,
    /// The earliest time of witnessing, in Unix microseconds.
    pub min_witnessed_at_us: i64,
    /// The latest time of witnessing, in Unix microseconds.
    pub max_witnessed_at_us: i64,
}

impl BlockEntry {
    /// Where the frame starts.
    #[must_use]
    pub fn frame_at(&self) -> u64 {
        self.offset + PREFIX_BYTES
    }

    fn read(entry: &[u8]) -> Option<Self> {
        Some(Self {
            offset: u64_at(entry, 0)?,
            frame_bytes: u32_at(entry, 8)?,
            body_bytes: u32_at(entry, 12)?,
            event_count: u32_at(entry, 16)?,
            min_seq: u64_at(entry, 20)?,
            max_seq: u64_at(entry, 28)?,
            min_witnessed_at_us: i64_at(entry, 36)?,
            max_witnessed_at_us: i64_at(entry, 44)?,
        })
    }

    /// Appends the entry's bytes.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.frame_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&self.event_count.to_le_bytes());
        out.extend_from_slice(&self.min_seq.to_le_bytes());
        out.extend_from_slice(&self.max_seq.to_le_bytes());
        out.extend_from_slice(&self.min_witnessed_at_us.to_le_bytes());
        out.extend_from_slice(&self.max_witnessed_at_us.to_le_bytes());
    }
}

/// Reads the index: the bytes from the footer's start to the DID filter. Blocks must fill the
/// space between header and footer without a hole, and ascend in seq.
///
/// # Errors
/// [`SegmentError::Malformed`].
pub fn parse(bytes: &[u8], header: &Header) -> Result<Vec<BlockEntry>, SegmentError> {
    let malformed = |what, value, at| Err(SegmentError::Malformed { what, value, at });
    let start = header.footer_offset;
    let expected = u64::from(header.block_count) * ENTRY_BYTES as u64;
    if bytes.len() as u64 != expected {
        return malformed("the block index has another length", bytes.len() as u64, start);
    }
    let mut blocks = Vec::with_capacity(bytes.len() / ENTRY_BYTES);
    let (mut next_offset, mut last_seq) = (HEADER_BYTES as u64, None);
    for (i, entry) in bytes.chunks_exact(ENTRY_BYTES).enumerate() {
        let at = start + (i * ENTRY_BYTES) as u64;
        let Some(entry) = BlockEntry::read(entry) else {
            return malformed("a short entry of the block index", i as u64, at);
        };
        if entry.offset != next_offset {
            return malformed("a block is not where the one before ends", entry.offset, at);
        }
        // Far below 2^64: the offset is at most the footer's.
        next_offset = entry.offset + PREFIX_BYTES + u64::from(entry.frame_bytes);
        if next_offset > header.footer_offset {
            return malformed("a block reaches into the footer", entry.frame_bytes.into(), at + 8);
        }
        if entry.body_bytes > MAX_BODY_BYTES {
            return malformed("a block of more than 1 GiB", entry.body_bytes.into(), at + 12);
        }
        if entry.event_count as usize > MAX_ROWS {
            return malformed("a block of too many rows", entry.event_count.into(), at + 16);
        }
        if entry.event_count > 0 {
            if entry.min_seq > entry.max_seq || last_seq.is_some_and(|last| entry.min_seq <= last) {
                return malformed("seqs of blocks don't ascend", entry.min_seq, at + 20);
            }
            last_seq = Some(entry.max_seq);
        }
        blocks.push(entry);
    }
    if next_offset != header.footer_offset {
        return malformed("the last block ends before the footer", next_offset, start);
    }
    Ok(blocks)
}
