//! What can be wrong with a segment, a block or a row, in words: what, with which value, where.

use std::io;

use crate::compression::inflate::InflateError;
use crate::position::Seq;

/// Why a segment can't be read. Offsets count from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Something else.
    #[error("it starts with \"{}\" instead of \"jss0\": not a segment of Jetstream", .found.escape_ascii())]
    NotASegment {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// Its server had not finished it (§4).
    #[error("its checksum is zero at byte 4: a segment that is still being written, or was cut")]
    Active,
    /// Of a later format.
    #[error("it is of version {0} at byte 12: only version 1 is known")]
    Version(u16),
    /// Header or footer are not those that were sealed.
    #[error(
        "the checksum at byte 4 is {stated:016x}, but header and footer give {computed:016x}: it is damaged"
    )]
    Checksum {
        /// What the header says.
        stated: u64,
        /// XXH3-64 of what is there.
        computed: u64,
    },
    /// A field that can't be.
    #[error("{what} ({value}) at byte {at}")]
    Malformed {
        /// What was found.
        what: &'static str,
        /// The value.
        value: u64,
        /// Where.
        at: u64,
    },
    /// The table of collections can't be decompressed.
    #[error("the collection index at byte {at}: {source}")]
    Collections {
        /// Where its frame starts.
        at: u64,
        /// Why.
        source: InflateError,
    },
    /// One of the blocks can't be read.
    #[error("block {index} at byte {at}: {source}")]
    Block {
        /// Its number, from 0.
        index: usize,
        /// Where its frame starts.
        at: u64,
        /// Why.
        source: BlockError,
    },
    /// The file can't be read, or ends too early.
    #[error("can't read at byte {at}: {source}")]
    Read {
        /// Where.
        at: u64,
        /// Why.
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
    /// Too much comes out.
    #[error("it decompresses to more than {max_bytes} bytes")]
    TooLarge {
        /// The cap.
        max_bytes: usize,
    },
    /// Damage would go unnoticed (§3).
    #[error("its zstd frame has no content checksum")]
    NoChecksum,
    /// A field that can't be.
    #[error("{what} ({value}) at byte {at} of the decompressed block")]
    Malformed {
        /// What was found.
        what: &'static str,
        /// The value.
        value: u64,
        /// Where.
        at: usize,
    },
    /// It is not the block that the segment's index describes.
    #[error("{what}: {block} in the block, {index} in the segment's index")]
    Disagrees {
        /// About what.
        what: &'static str,
        /// What the block holds.
        block: u64,
        /// What the index says.
        index: u64,
    },
}

/// Why a row can't be made an event. The other rows of its block are not affected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "seq {}: {what} at byte {at} of its payload (byte {block_at} of the decompressed block)",
    seq.0
)]
pub struct RowError {
    /// The row.
    pub seq: Seq,
    /// What was found.
    pub what: &'static str,
    /// Where in the row's payload.
    pub at: usize,
    /// Where in the decompressed block.
    pub block_at: usize,
}
