//! The split block Bloom filter of Parquet (`BloomFilter.md`), with which a query for one account
//! skips the row groups without it.

use std::collections::HashSet;

use xxhash_rust::xxh64::xxh64;

use super::thrift::Writer;

/// What each word of a block multiplies a hash by (`BloomFilter.md`).
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];
const BLOCK_BYTES: usize = 32;
/// Ten bits a value: about 1% of the absent values are taken for present ones.
const BITS_PER_VALUE: usize = 10;

/// Collects the hashes of one column of a row group.
#[derive(Debug, Default)]
pub(super) struct Bloom {
    hashes: HashSet<u64>,
    last: Option<u64>,
}

impl Bloom {
    pub(super) fn add(&mut self, value: &[u8]) {
        let hash = xxh64(value, 0);
        // Rows are sorted, so equal values mostly follow each other.
        if self.last != Some(hash) {
            self.hashes.insert(hash);
            self.last = Some(hash);
        }
    }

    /// Returns the filter with its header, and forgets the values.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let bits = self.hashes.len().max(1) * BITS_PER_VALUE;
        let blocks = bits.div_ceil(BLOCK_BYTES * 8).next_power_of_two();
        let mut words = vec![0_u32; blocks * SALTS.len()];
        for hash in self.hashes.drain() {
            set(&mut words, hash);
        }
        self.last = None;
        let mut header = Writer::default();
        header.structure_item(|w| {
            w.i32(1, (words.len() * 4) as i32);
            w.structure(2, |w| w.structure(1, |_| {}));
            w.structure(3, |w| w.structure(1, |_| {}));
            w.structure(4, |w| w.structure(1, |_| {}));
        });
        let mut out = header.out;
        out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        out
    }
}

fn set(words: &mut [u32], hash: u64) {
    let blocks = (words.len() / SALTS.len()) as u64;
    let block = ((hash >> 32) * blocks) >> 32;
    let from = block as usize * SALTS.len();
    let block = words.get_mut(from..from + SALTS.len()).unwrap_or_default();
    for (word, salt) in block.iter_mut().zip(SALTS) {
        *word |= 1 << ((hash as u32).wrapping_mul(salt) >> 27);
    }
}
