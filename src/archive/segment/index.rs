//! The block index of a segment's footer (protocol/jetstream-v2-archive.md §4).

use super::header::{HEADER_BYTES, Header};
use crate::archive::block::MAX_ROWS;
use crate::archive::entry::{BlockEntry, ENTRY_BYTES, PREFIX_BYTES};
use crate::archive::error::SegmentError;

/// Largest block, decompressed, that the format allows (§5).
const MAX_BODY_BYTES: u32 = 1 << 30;

/// Parses the index: the bytes from the footer's start to the DID filter. Blocks must fill the
/// space between header and footer without a hole, and their seqs must ascend.
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
        // This can't overflow: the offset is at most that of the footer.
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
