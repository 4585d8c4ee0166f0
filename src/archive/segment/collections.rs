//! The collection index: in which blocks each collection occurs (protocol/jetstream-v2-archive.md
//! §4).

use crate::archive::error::SegmentError;
use crate::archive::fields::u32_at;
use crate::compression::inflate::Inflater;

/// Bytes before the frame.
pub(crate) const HEAD_BYTES: usize = 16;
/// Maximum number of collections in a segment.
const MAX_COLLECTIONS: u32 = 1 << 20;
/// Largest table that is decompressed, in bytes. The format allows 1 GiB; the table of a segment
/// with 10,000 collections and 1,000 blocks has 2 MiB.
pub const MAX_TABLE_BYTES: u32 = 64 << 20;

/// One collection of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The NSID, or `$identity`, `$account`, `$sync` for such events.
    pub name: String,
    /// The number of its events in the segment; 0 for those three.
    pub event_count: u32,
}

/// The collections of a segment, and in which blocks they occur.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    all: Vec<Collection>,
    mask_bytes: usize,
    masks: Vec<u8>,
}

impl Collections {
    /// Returns all collections, in the segment's order.
    #[must_use]
    pub fn all(&self) -> &[Collection] {
        &self.all
    }

    /// Returns whether the collection at `index` of [`Collections::all`] occurs in a block.
    #[must_use]
    pub fn occurs(&self, index: usize, block: usize) -> bool {
        let byte = self.mask_bytes.checked_mul(block).and_then(|start| {
            let within = index / 8;
            (within < self.mask_bytes).then(|| self.masks.get(start + within)).flatten()
        });
        byte.is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// Returns the collections of one block.
    pub fn of_block(&self, block: usize) -> impl Iterator<Item = &Collection> {
        self.all
            .iter()
            .enumerate()
            .filter(move |(index, _)| self.occurs(*index, block))
            .map(|(_, collection)| collection)
    }

    /// Parses the index, which starts at byte `at` of a segment with `blocks` blocks.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn parse(bytes: &[u8], block_count: u32, at: u64) -> Result<Self, SegmentError> {
        let malformed = |what, value: u64, at| SegmentError::Malformed { what, value, at };
        let field = |i: usize| {
            u32_at(bytes, i * 4)
                .ok_or_else(|| malformed("a short collection index", bytes.len() as u64, at))
        };
        let (count, blocks, mask_bytes, table_bytes) = (field(0)?, field(1)?, field(2)?, field(3)?);
        if count > MAX_COLLECTIONS {
            return Err(malformed("more than 2^20 collections", count.into(), at));
        }
        if blocks != block_count {
            return Err(malformed("masks for another number of blocks", blocks.into(), at + 4));
        }
        if mask_bytes != count.div_ceil(8) {
            return Err(malformed("masks of a wrong length", mask_bytes.into(), at + 8));
        }
        if table_bytes > MAX_TABLE_BYTES {
            return Err(malformed("a collection table too large", table_bytes.into(), at + 12));
        }
        let at = at + HEAD_BYTES as u64;
        let failed = |source| SegmentError::Collections { at, source };
        let mut table = Vec::new();
        Inflater::new(&[])
            .map_err(failed)?
            .append(bytes.get(HEAD_BYTES..).unwrap_or_default(), &mut table, table_bytes as usize)
            .map_err(failed)?;
        if table.len() as u64 != u64::from(table_bytes) {
            return Err(malformed("a collection table of another size", table.len() as u64, at));
        }
        Self::from_table(&table, count, mask_bytes, blocks)
            .ok_or_else(|| malformed("a collection table that can't be", table.len() as u64, at))
    }

    /// Parses the decompressed table; `None` unless the names and masks have exactly its length.
    fn from_table(table: &[u8], count: u32, mask_bytes: u32, blocks: u32) -> Option<Self> {
        let mut all = Vec::new();
        let mut rest = table;
        for _ in 0..count {
            let (&length, tail) = rest.split_first()?;
            let event_count = u32_at(tail, 0)?;
            let (name, tail) = tail.get(4..)?.split_at_checked(usize::from(length))?;
            all.push(Collection { name: std::str::from_utf8(name).ok()?.to_owned(), event_count });
            rest = tail;
        }
        let expected = u64::from(mask_bytes) * u64::from(blocks);
        (rest.len() as u64 == expected).then(|| Self {
            all,
            mask_bytes: mask_bytes as usize,
            masks: rest.to_vec(),
        })
    }
}
