//! Reads and checks the header and the footer of a sealed segment, and locates its blocks.
//!
//! It reads from any seekable reader in small pieces, and keeps only the indices. It skips the
//! blocks and the DID filters, which a client does not need (protocol/jetstream-v2-archive.md §4).

pub mod collections;
pub mod header;
pub mod index;

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use xxhash_rust::xxh3::Xxh3;

use self::collections::{Collections, HEAD_BYTES, MAX_TABLE_BYTES};
use self::header::{CHECKED_FROM, HEADER_BYTES, Header};
use super::block::{Block, BlockDecoder};
use super::entry::{BlockEntry, ENTRY_BYTES, PREFIX_BYTES};
use super::error::{BlockError, SegmentError};
use super::fields::u32_at;

/// Largest read of bytes that are hashed and not kept.
const PIECE_BYTES: usize = 64 * 1024;

/// The parsed header and footer of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The header.
    pub header: Header,
    /// The blocks, by ascending seq.
    pub blocks: Vec<BlockEntry>,
    /// The collections.
    pub collections: Collections,
    /// Bytes of the whole file.
    pub file_bytes: u64,
}

/// The stored bytes of those parts of the footer that are kept.
struct Footer {
    index: Vec<u8>,
    collections: Vec<u8>,
}

impl Segment {
    /// Reads header and footer, and checks relations between fields, lengths, and the checksum. It
    /// allocates memory for the indices: a few hundred KiB for a real segment, and at most about
    /// 200 MiB for a hostile one.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn read(source: &mut (impl Read + Seek)) -> Result<Self, SegmentError> {
        let file_bytes = source.seek(SeekFrom::End(0)).map_err(|e| read_error(0, e))?;
        let mut head = [0; HEADER_BYTES];
        read_at(source, 0, &mut head)?;
        let header = Header::parse(&head, file_bytes)?;
        let mut hash = Xxh3::new();
        hash.update(head.get(CHECKED_FROM..).unwrap_or_default());
        let footer = Footer::read(source, &header, file_bytes, &mut hash)?;
        let computed = hash.digest();
        if computed != header.checksum {
            return Err(SegmentError::Checksum { stated: header.checksum, computed });
        }
        let blocks = index::parse(&footer.index, &header)?;
        let at = header.collection_index_offset;
        let collections = Collections::parse(&footer.collections, header.block_count, at)?;
        Ok(Self { header, blocks, collections, file_bytes })
    }

    /// Like [`Segment::read`], for a segment in memory.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SegmentError> {
        Self::read(&mut Cursor::new(bytes))
    }

    /// Reads one block's stored frame (the response of `getBlock`) into `frame`, and replaces its
    /// content.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn read_frame(
        &self,
        source: &mut (impl Read + Seek),
        block: usize,
        frame: &mut Vec<u8>,
    ) -> Result<(), SegmentError> {
        let Some(entry) = self.blocks.get(block) else {
            let (what, at) = ("no block of this number", self.header.footer_offset);
            return Err(SegmentError::Malformed { what, value: block as u64, at });
        };
        let mut prefix = [0; PREFIX_BYTES as usize];
        read_at(source, entry.offset, &mut prefix)?;
        let frame_bytes = u64::from_le_bytes(prefix);
        if frame_bytes != u64::from(entry.frame_bytes) {
            let what = "a block's length is not that of the index";
            return Err(SegmentError::Malformed { what, value: frame_bytes, at: entry.offset });
        }
        // The index was checked against the size of the file.
        frame.resize(entry.frame_bytes as usize, 0);
        read_at(source, entry.frame_at(), frame)
    }

    /// Returns one block's stored frame (the response of `getBlock`) from this segment's bytes;
    /// `None` if there is no such block.
    #[must_use]
    pub fn frame<'a>(&self, bytes: &'a [u8], block: usize) -> Option<&'a [u8]> {
        let entry = self.blocks.get(block)?;
        let start = usize::try_from(entry.frame_at()).ok()?;
        bytes.get(start..start.checked_add(entry.frame_bytes as usize)?)
    }

    /// Decodes a stored frame and checks it against the index.
    ///
    /// # Errors
    /// [`SegmentError::Block`].
    pub fn decode<'a>(
        &self,
        block: usize,
        frame: &[u8],
        decoder: &'a mut BlockDecoder,
    ) -> Result<Block<'a>, SegmentError> {
        let entry = self.blocks.get(block);
        let at = entry.map_or(0, BlockEntry::frame_at);
        let failed = |source: BlockError| SegmentError::Block { index: block, at, source };
        let decoded = decoder.decode(frame).map_err(failed)?;
        if let Some(entry) = entry {
            decoded.check_against(entry).map_err(failed)?;
        }
        Ok(decoded)
    }
}

impl Footer {
    /// Reads and hashes the footer, from its start to the end of the file.
    fn read(
        source: &mut (impl Read + Seek),
        header: &Header,
        file_bytes: u64,
        hash: &mut Xxh3,
    ) -> Result<Self, SegmentError> {
        let malformed = |what, value, at| Err(SegmentError::Malformed { what, value, at });
        let index_bytes = header.did_filter_offset - header.footer_offset;
        if index_bytes != u64::from(header.block_count) * ENTRY_BYTES as u64 {
            return malformed("the block index has another length", index_bytes, 66);
        }
        let collections_bytes = file_bytes - header.collection_index_offset;
        if collections_bytes > u64::from(MAX_TABLE_BYTES) + HEAD_BYTES as u64 {
            return malformed("a collection index too large", collections_bytes, 82);
        }
        let index = take(source, header.footer_offset, index_bytes, hash)?;
        pass(source, header.did_filter_offset, header.block_filters_offset, hash)?;
        pass_block_filters(source, header, hash)?;
        let at = header.collection_index_offset;
        let collections = take(source, at, collections_bytes, hash)?;
        Ok(Self { index, collections })
    }
}

/// Skips the filters of the blocks: a count, a size, and `count` filters of that size.
fn pass_block_filters(
    source: &mut (impl Read + Seek),
    header: &Header,
    hash: &mut Xxh3,
) -> Result<(), SegmentError> {
    let at = header.block_filters_offset;
    let malformed = |what, value, at| Err(SegmentError::Malformed { what, value, at });
    let region_bytes = header.collection_index_offset - at;
    let mut head = [0; 8];
    if region_bytes < head.len() as u64 {
        return malformed("no room for the DID filters of the blocks", region_bytes, at);
    }
    read_at(source, at, &mut head)?;
    hash.update(&head);
    let count = u32_at(&head, 0).unwrap_or_default();
    let size = u32_at(&head, 4).unwrap_or_default();
    if count != header.block_count {
        return malformed("DID filters for another number of blocks", count.into(), at);
    }
    if 8 + u64::from(count) * u64::from(size) != region_bytes {
        return malformed("DID filters of another size than their room", size.into(), at + 4);
    }
    pass(source, at + 8, header.collection_index_offset, hash)
}

/// Reads `bytes` bytes. The caller has checked the number against the size of the file.
fn take(
    source: &mut (impl Read + Seek),
    at: u64,
    bytes: u64,
    hash: &mut Xxh3,
) -> Result<Vec<u8>, SegmentError> {
    let mut taken = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    read_at(source, at, &mut taken)?;
    hash.update(&taken);
    Ok(taken)
}

/// Hashes the bytes from `at` to `end` without keeping them.
fn pass(
    source: &mut (impl Read + Seek),
    mut at: u64,
    end: u64,
    hash: &mut Xxh3,
) -> Result<(), SegmentError> {
    let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(end - at).unwrap_or(PIECE_BYTES))];
    while at < end {
        let bytes = PIECE_BYTES.min(usize::try_from(end - at).unwrap_or(PIECE_BYTES));
        let piece = piece.get_mut(..bytes).unwrap_or_default();
        read_at(source, at, piece)?;
        hash.update(piece);
        at += bytes as u64;
    }
    Ok(())
}

fn read_at(source: &mut (impl Read + Seek), at: u64, bytes: &mut [u8]) -> Result<(), SegmentError> {
    source
        .seek(SeekFrom::Start(at))
        .and_then(|_| source.read_exact(bytes))
        .map_err(|error| read_error(at, error))
}

fn read_error(at: u64, source: io::Error) -> SegmentError {
    SegmentError::Read { at, source }
}
