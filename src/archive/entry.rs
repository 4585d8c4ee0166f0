//! The index entry of one block (protocol/jetstream-v2-archive.md §4). It locates the block, and
//! the decoder checks the block against it. The parser of an index checks that entries follow one
//! another without a hole.

use super::fields::{i64_at, u32_at, u64_at};

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 52;
/// Bytes of the length before each frame.
pub(crate) const PREFIX_BYTES: u64 = 8;
/// The index entry of a block. A compaction does not update its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// The offset of the length prefix of the frame.
    pub offset: u64,
    /// Bytes of the frame.
    pub frame_bytes: u32,
    /// Bytes of the decompressed block.
    pub body_bytes: u32,
    /// The number of rows; 0 for a block whose rows were all removed.
    pub event_count: u32,
    /// The lowest seq.
    pub min_seq: u64,
    /// The highest seq.
    pub max_seq: u64,
    /// The earliest witness time, in Unix microseconds.
    pub min_witnessed_at_us: i64,
    /// The latest witness time, in Unix microseconds.
    pub max_witnessed_at_us: i64,
}

impl BlockEntry {
    /// Returns the offset of the frame.
    #[must_use]
    pub fn frame_at(&self) -> u64 {
        self.offset + PREFIX_BYTES
    }

    /// Parses an entry of [`ENTRY_BYTES`]; `None` if there are fewer.
    pub(super) fn read(entry: &[u8]) -> Option<Self> {
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
