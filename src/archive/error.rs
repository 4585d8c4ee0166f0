//! The errors of segments, blocks and rows. Each message has the fault, the value and the offset.

use std::io;

use crate::compression::inflate::InflateError;
use crate::position::Seq;

/// Why a segment can't be read. Offsets count from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// It is not a segment.
    #[error("it starts with \"{}\" instead of \"jss0\": not a segment of Jetstream", .found.escape_ascii())]
    NotASegment {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// The server has not sealed it yet (§4).
    #[error("its checksum is zero at byte 4: a segment that is still being written, or was cut")]
    Active,
    /// Its format version is newer than this program.
    #[error("it is of version {0} at byte 12: only version 1 is known")]
    Version(u16),
    /// The checksum does not match header and footer.
    #[error(
        "the checksum at byte 4 is {stated:016x}, but header and footer give {computed:016x}: it is damaged"
    )]
    Checksum {
        /// What the header says.
        stated: u64,
        /// XXH3-64 of the bytes in the file.
        computed: u64,
    },
    /// A field has an impossible value.
    #[error("{what} ({value}) at byte {at}")]
    Malformed {
        /// The fault.
        what: &'static str,
        /// The value.
        value: u64,
        /// The offset of the field.
        at: u64,
    },
    /// The table of collections can't be decompressed.
    #[error("the collection index at byte {at}: {source}")]
    Collections {
        /// Where its frame starts.
        at: u64,
        /// The cause.
        source: InflateError,
    },
    /// One of the blocks can't be read.
    #[error("block {index} at byte {at}: {source}")]
    Block {
        /// Its number, from 0.
        index: usize,
        /// Where its frame starts.
        at: u64,
        /// The cause.
        source: BlockError,
    },
    /// The file can't be read, or ends too early.
    #[error("can't read at byte {at}: {source}")]
    Read {
        /// The offset of the field.
        at: u64,
        /// The cause.
        source: io::Error,
    },
}

/// Why a block can't be decoded. Offsets count from the start of what the frame decompresses
/// to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The frame is damaged.
    #[error(transparent)]
    Frame(#[from] InflateError),
    /// It decompresses to more than the cap.
    #[error("it decompresses to more than {max_bytes} bytes")]
    TooLarge {
        /// The cap.
        max_bytes: usize,
    },
    /// The frame has no content checksum, so that damage would go unnoticed (§3).
    #[error("its zstd frame has no content checksum")]
    NoChecksum,
    /// A field has an impossible value.
    #[error("{what} ({value}) at byte {at} of the decompressed block")]
    Malformed {
        /// The fault.
        what: &'static str,
        /// The value.
        value: u64,
        /// The offset of the field.
        at: usize,
    },
    /// The block differs from its index entry.
    #[error("{what}: {block} in the block, {index} in the segment's index")]
    Disagrees {
        /// The field in which they differ.
        what: &'static str,
        /// The block's value.
        block: u64,
        /// The index's value.
        index: u64,
    },
}

/// Why a row can't be converted into an event. The other rows of its block are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "seq {}: {what} at byte {at} of its payload (byte {block_at} of the decompressed block)",
    seq.0
)]
pub struct RowError {
    /// The row.
    pub seq: Seq,
    /// The fault.
    pub what: &'static str,
    /// Where in the row's payload.
    pub at: usize,
    /// Where in the decompressed block.
    pub block_at: usize,
}
