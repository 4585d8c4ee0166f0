//! The first 256 bytes of a segment (protocol/jetstream-v2-archive.md §4).

use crate::archive::error::SegmentError;
use crate::archive::fields::{array, i64_at, u16_at, u32_at, u64_at};

/// Bytes of the header; the first block follows.
pub const HEADER_BYTES: usize = 256;
/// How a segment starts.
pub(crate) const MAGIC: [u8; 4] = *b"jss0";
/// The only version of the format.
pub(crate) const VERSION: u16 = 1;
/// The checksum covers the header from this offset to its end.
pub(crate) const CHECKED_FROM: usize = 12;
/// Maximum number of blocks in a segment.
pub const MAX_BLOCKS: u32 = 1 << 20;
/// Largest segment (§2).
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// The header of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// XXH3-64 of the rest of the header and the footer; the segment's ETag.
    pub checksum: u64,
    /// The number of blocks.
    pub block_count: u32,
    /// The number of rows.
    pub event_count: u32,
    /// The number of different DIDs.
    pub unique_did_count: u32,
    /// The lowest seq.
    pub min_seq: u64,
    /// The highest seq.
    pub max_seq: u64,
    /// The earliest witness time, in Unix microseconds.
    pub min_witnessed_at_us: i64,
    /// The latest witness time, in Unix microseconds.
    pub max_witnessed_at_us: i64,
    /// Where the footer starts, with the block index.
    pub footer_offset: u64,
    /// Where the DID filter of the segment starts.
    pub did_filter_offset: u64,
    /// Where the DID filters of the blocks start.
    pub block_filters_offset: u64,
    /// Where the collection index starts. It extends to the end of the file.
    pub collection_index_offset: u64,
}

impl Header {
    /// Parses the header of a file of `file_bytes` bytes, and checks that its fields fit each
    /// other.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn parse(head: &[u8; HEADER_BYTES], file_bytes: u64) -> Result<Self, SegmentError> {
        let header = Self::fields(head)?;
        let malformed = |what, value, at| Err(SegmentError::Malformed { what, value, at });
        if file_bytes > MAX_SEGMENT_BYTES {
            return malformed("a segment of more than 1 GiB", file_bytes, 0);
        }
        if header.block_count > MAX_BLOCKS {
            return malformed("more than 2^20 blocks", header.block_count.into(), 14);
        }
        if header.min_seq > header.max_seq {
            return malformed("the lowest seq is above the highest", header.min_seq, 26);
        }
        let index_offset = u64_at(head, 90).unwrap_or_default();
        if index_offset != header.footer_offset {
            return malformed("the block index is not where the footer starts", index_offset, 90);
        }
        let mut last = HEADER_BYTES as u64;
        for (offset, at) in [
            (header.footer_offset, 58),
            (header.did_filter_offset, 66),
            (header.block_filters_offset, 74),
            (header.collection_index_offset, 82),
        ] {
            if offset < last {
                return malformed("an offset lies before what must precede it", offset, at);
            }
            last = offset;
        }
        if last > file_bytes {
            return malformed("the file ends before its collection index", last, 82);
        }
        Ok(header)
    }

    fn fields(head: &[u8; HEADER_BYTES]) -> Result<Self, SegmentError> {
        if !head.starts_with(&MAGIC) {
            return Err(SegmentError::NotASegment { found: head[..MAGIC.len()].to_vec() });
        }
        // All of the offsets below lie within the array.
        let long = |at| u64_at(head, at).unwrap_or_default();
        let word = |at| u32_at(head, at).unwrap_or_default();
        let time = |at| i64_at(head, at).unwrap_or_default();
        let checksum = long(4);
        if checksum == 0 {
            return Err(SegmentError::Active);
        }
        match u16_at(head, 12).unwrap_or_default() {
            VERSION => {}
            other => return Err(SegmentError::Version(other)),
        }
        Ok(Self {
            checksum,
            block_count: word(14),
            event_count: word(18),
            unique_did_count: word(22),
            min_seq: long(26),
            max_seq: long(34),
            min_witnessed_at_us: time(42),
            max_witnessed_at_us: time(50),
            footer_offset: long(58),
            did_filter_offset: long(66),
            block_filters_offset: long(74),
            collection_index_offset: long(82),
        })
    }

    /// Returns the header's bytes, with its stored checksum.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(field) = head.get_mut(at..at + bytes.len()) {
                field.copy_from_slice(bytes);
            }
        };
        put(0, &MAGIC);
        put(4, &self.checksum.to_le_bytes());
        put(12, &VERSION.to_le_bytes());
        put(14, &self.block_count.to_le_bytes());
        put(18, &self.event_count.to_le_bytes());
        put(22, &self.unique_did_count.to_le_bytes());
        put(26, &self.min_seq.to_le_bytes());
        put(34, &self.max_seq.to_le_bytes());
        put(42, &self.min_witnessed_at_us.to_le_bytes());
        put(50, &self.max_witnessed_at_us.to_le_bytes());
        put(58, &self.footer_offset.to_le_bytes());
        put(66, &self.did_filter_offset.to_le_bytes());
        put(74, &self.block_filters_offset.to_le_bytes());
        put(82, &self.collection_index_offset.to_le_bytes());
        put(90, &self.footer_offset.to_le_bytes());
        head
    }

    /// Returns the checksum as plans, lists and ETags write it: 16 hexadecimal digits.
    #[must_use]
    pub fn checksum_text(&self) -> String {
        format!("{:016x}", self.checksum)
    }
}

/// Returns whether the bytes start with the magic of a segment.
#[must_use]
pub fn is_segment(bytes: &[u8]) -> bool {
    array(bytes, 0) == Some(MAGIC)
}
