//! The parts of a footer after the block index (protocol/jetstream-v2-archive.md §4).
//!
//! **DID filters.** The bits of a DID depend on a table of partition sizes for k = 15. Only the
//! servers' library has the table, so skytail can't verify the bits, and sets all of them. Such a
//! filter has the right form and length and says "perhaps" for every DID, which is correct with any
//! table: a planner then selects too many blocks and never too few. After the words there are four
//! bytes that §4 does not name. In the three golden segments they are the CRC-32C of the bytes
//! before them.

use std::collections::HashSet;
use std::io;

use zstd::bulk::Compressor;

use crate::archive::segment::collections::Collection;

/// Version of the filters.
const FILTER_VERSION: u8 = 1;
/// Bits set for a DID, in the filters of real servers.
const FILTER_BITS: u32 = 15;
/// Words of a filter's block of 512 bits.
const FILTER_WORDS: usize = 8;
/// DIDs for one block of 512 bits: at 20 bits a DID, one in 10,000 others passes.
const FILTER_DIDS: usize = 25;

/// Appends a filter with room for `room_dids` that states `added_dids` as the number of DIDs in it.
pub(super) fn append_filter(room_dids: usize, added_dids: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let blocks = room_dids.div_ceil(FILTER_DIDS).max(1);
    out.push(FILTER_VERSION);
    out.extend_from_slice(&FILTER_BITS.to_le_bytes());
    out.extend_from_slice(&(blocks as u64).to_le_bytes());
    out.extend_from_slice(&(added_dids as u64).to_le_bytes());
    for _ in 0..blocks * FILTER_WORDS {
        out.extend_from_slice(&u64::MAX.to_le_bytes());
    }
    let sum = crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Appends the filters of all blocks, each with room for the block of the most DIDs.
pub(super) fn append_block_filters(blocks: usize, most_dids: usize, out: &mut Vec<u8>) {
    let mut filter = Vec::new();
    append_filter(most_dids, most_dids, &mut filter);
    out.extend_from_slice(&(blocks as u32).to_le_bytes());
    out.extend_from_slice(&(filter.len() as u32).to_le_bytes());
    for _ in 0..blocks {
        out.extend_from_slice(&filter);
    }
}

/// The contents of the collection index.
pub(super) struct CollectionTable<'a> {
    pub(super) collections: &'a [Collection],
    /// For each block, the numbers of its collections.
    pub(super) blocks: &'a [HashSet<usize>],
}

impl CollectionTable<'_> {
    pub(super) fn append_to(
        &self,
        compressor: &mut Compressor<'_>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mask_bytes = self.collections.len().div_ceil(8);
        let mut table = Vec::new();
        for collection in self.collections {
            // The name came from the block's column, so it has at most 255 bytes.
            table.push(collection.name.len() as u8);
            table.extend_from_slice(&collection.event_count.to_le_bytes());
            table.extend_from_slice(collection.name.as_bytes());
        }
        for block in self.blocks {
            let mut mask = vec![0_u8; mask_bytes];
            for number in block {
                if let Some(byte) = mask.get_mut(number / 8) {
                    *byte |= 1 << (number % 8);
                }
            }
            table.extend_from_slice(&mask);
        }
        let numbers = [self.collections.len(), self.blocks.len(), mask_bytes, table.len()];
        for number in numbers {
            out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend_from_slice(&compressor.compress(&table)?);
        Ok(())
    }
}

/// Returns the CRC-32C, bit by bit, because filters are small.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_filter_for_few_dids_is_as_long_as_a_real_one() {
        let mut filter = Vec::new();
        append_filter(3, 3, &mut filter);
        assert_eq!(filter.len(), 89);
    }
}
