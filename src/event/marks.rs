//! Sixty-four bytes of a line at once: its quotes and brackets as bits, and what else it has.
//! Once with the instructions that every machine of the target has, once with wider ones.

use wide::u8x16;

use super::blocks::BLOCK_BYTES;

const LANE: usize = 16;

/// The quotes and the brackets of a block as bits, the first byte's lowest.
pub(super) type Marks = (u64, u64);

/// What was found in some blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// A byte below the space.
    pub(super) has_control: bool,
    /// A backslash, in a string or not.
    pub(super) has_backslash: bool,
    /// No byte from 0x80 on.
    pub(super) is_ascii: bool,
}

/// What was found so far, a byte for each place in a lane.
#[derive(Clone, Copy)]
pub(super) struct Narrow {
    least: u8x16,
    backslashes: u8x16,
    all: u8x16,
}

impl Default for Narrow {
    fn default() -> Self {
        let none = u8x16::splat(0);
        Self { least: u8x16::splat(u8::MAX), backslashes: none, all: none }
    }
}

impl Narrow {
    #[inline(always)]
    pub(super) fn found(&self) -> Found {
        let controls = self.least.min(u8x16::splat(0x1f)).simd_eq(self.least);
        Found {
            has_control: controls.to_bitmask() != 0,
            has_backslash: self.backslashes.to_bitmask() != 0,
            is_ascii: self.all.to_bitmask() == 0,
        }
    }

    #[inline(always)]
    pub(super) fn marks(&mut self, block: &[u8; BLOCK_BYTES]) -> Marks {
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        // This bit is all that a brace and the square bracket of its side differ by.
        let side = u8x16::splat(b'{' ^ b'[');
        let (open, close) = (u8x16::splat(b'{'), u8x16::splat(b'}'));
        let (mut quotes, mut brackets) = (0, 0);
        for (place, lane) in block.as_chunks::<LANE>().0.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let word = |found: u8x16| u64::from(found.to_bitmask()) << (place * LANE);
            let braces = lane | side;
            quotes |= word(lane.simd_eq(quote));
            brackets |= word(braces.simd_eq(open) | braces.simd_eq(close));
            self.least = self.least.min(lane);
            self.backslashes |= lane.simd_eq(backslash);
            self.all |= lane;
        }
        (quotes, brackets)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    //! The same with AVX2.

    use std::arch::x86_64::{
        __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8,
        _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set1_epi8,
    };

    use super::{BLOCK_BYTES, Found, Marks};

    const LANE: usize = 32;

    /// What was found so far, a byte for each place in a lane.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Wide {
        least: __m256i,
        backslashes: __m256i,
        all: __m256i,
    }

    impl Wide {
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super) fn new() -> Self {
            let none = splat(0);
            Self { least: splat(u8::MAX), backslashes: none, all: none }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super) fn found(&self) -> Found {
            let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(self.least, splat(0x1f)), self.least);
            Found {
                has_control: bits(controls) != 0,
                has_backslash: bits(self.backslashes) != 0,
                is_ascii: bits(self.all) == 0,
            }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super) fn marks(&mut self, block: &[u8; BLOCK_BYTES]) -> Marks {
            let (mut quotes, mut brackets) = (0, 0);
            for (place, lane) in block.as_chunks::<LANE>().0.iter().enumerate() {
                let lane: __m256i = bytemuck::must_cast(*lane);
                let is = |byte| _mm256_cmpeq_epi8(lane, splat(byte));
                let braces = _mm256_or_si256(lane, splat(b'{' ^ b'['));
                let open = _mm256_cmpeq_epi8(braces, splat(b'{'));
                let close = _mm256_cmpeq_epi8(braces, splat(b'}'));
                quotes |= bits(is(b'"')) << (place * LANE);
                brackets |= bits(_mm256_or_si256(open, close)) << (place * LANE);
                self.least = _mm256_min_epu8(self.least, lane);
                self.backslashes = _mm256_or_si256(self.backslashes, is(b'\\'));
                self.all = _mm256_or_si256(self.all, lane);
            }
            (quotes, brackets)
        }
    }

    /// For each byte, whether an odd number of set bits stands at or before it: a product of
    /// polynomials with all ones.
    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    pub(in super::super) fn parity(bits: u64) -> u64 {
        let (bits, ones) = (_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(bits, ones)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn splat(byte: u8) -> __m256i {
        _mm256_set1_epi8(byte.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn bits(lanes: __m256i) -> u64 {
        u64::from(_mm256_movemask_epi8(lanes).cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn byte() -> impl Strategy<Value = u8> {
        let special = prop::sample::select(&b"\"\\{}[]|;\x7b\x5b\x1f\x00\x7f\x80\xff"[..]);
        prop_oneof![1 => any::<u8>(), 2 => special, 8 => Just(b'a')]
    }

    /// One byte at a time.
    fn expected(blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Marks>, Found) {
        let word = |block: &[u8; BLOCK_BYTES], is: fn(u8) -> bool| {
            let set = block.iter().enumerate().filter(|(_, b)| is(**b));
            set.fold(0, |word, (place, _)| word | 1_u64 << place)
        };
        let marks = |block| (word(block, |b| b == b'"'), word(block, |b| b"{}[]".contains(&b)));
        let all = blocks.concat();
        let found = Found {
            has_control: all.iter().any(|&b| b < b' '),
            has_backslash: all.contains(&b'\\'),
            is_ascii: all.is_ascii(),
        };
        (blocks.iter().map(marks).collect(), found)
    }

    proptest! {
        #[test]
        fn marks_agree_with_one_byte_at_a_time(
            blocks in prop::collection::vec(prop::array::uniform32(prop::array::uniform2(byte())), 1..4),
        ) {
            let blocks: Vec<[u8; BLOCK_BYTES]> =
                blocks.iter().map(|pairs| bytemuck::must_cast(*pairs)).collect();
            let mut narrow = Narrow::default();
            let marks: Vec<_> = blocks.iter().map(|block| narrow.marks(block)).collect();
            prop_assert_eq!((marks, narrow.found()), expected(&blocks));
        }

        #[test]
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        fn wide_marks_agree_with_one_byte_at_a_time(
            blocks in prop::collection::vec(prop::array::uniform32(prop::array::uniform2(byte())), 1..4),
        ) {
            let blocks: Vec<[u8; BLOCK_BYTES]> =
                blocks.iter().map(|pairs| bytemuck::must_cast(*pairs)).collect();
            #[target_feature(enable = "avx2")]
            fn look(blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Marks>, Found) {
                let mut wide = avx2::Wide::new();
                let marks = blocks.iter().map(|block| wide.marks(block)).collect();
                (marks, wide.found())
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2, as the line above asks.
                prop_assert_eq!(unsafe { look(&blocks) }, expected(&blocks));
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    fn parity_agrees_with_counting() {
        if is_x86_feature_detected!("pclmulqdq") {
            for bits in
                [0, 1, 2, 3, u64::MAX, 1 << 63, 0x8000_0000_0000_0001, 0x0123_4567_89ab_cdef]
            {
                // SAFETY: the processor has PCLMULQDQ, as the line above asks.
                assert_eq!(unsafe { avx2::parity(bits) }, super::super::blocks::parity(bits));
            }
        }
    }
}
