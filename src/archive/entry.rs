//! What a segment's index says of one block (protocol/jetstream-v2-archive.md §4): the entry
//! by which a block is found, and against which it is checked. Whether entries fit each other
//! is checked where an index is read.

use super::fields::{i64_at, u32_at, u64_at};

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 52;
/// Bytes of the length in front of each frame.
pub(crate) const PREFIX_BYTES: u64 = 8;
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

    /// Reads an entry of [`ENTRY_BYTES`]; `None` where there are fewer.
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
