//! Two classifiers of a block: [`Portable`], with the instructions that every processor of the
//! target has, and `Avx2`. Each returns the quotes and brackets of a block, and accumulates what
//! the line contains.
//!
//! They have the same methods but no common trait: a method of a safe trait can't enable a target
//! feature, so that a trait would need an `unsafe` block per call. Callers pass a closure instead.

use wide::u8x16;

use super::BLOCK_BYTES;

/// Bytes per vector.
const LANE: usize = 16;

/// The quotes and the brackets of a block, one bit per byte; bit 0 is the first byte.
pub(in super::super) type Classes = (u64, u64);

/// What a whole line contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct LineClass {
    /// A byte below 0x20.
    pub(in super::super) has_control: bool,
    /// A backslash, inside or outside of strings.
    pub(in super::super) has_backslash: bool,
    /// No byte is 0x80 or above.
    pub(in super::super) is_ascii: bool,
}

/// The portable classifier, with what the blocks so far contain, accumulated per position in a
/// vector.
#[derive(Clone, Copy)]
pub(in super::super) struct Portable {
    /// The minimum of all bytes.
    least: u8x16,
    backslashes: u8x16,
    /// All bytes combined with OR.
    all: u8x16,
}

impl Default for Portable {
    fn default() -> Self {
        let none = u8x16::splat(0);
        Self { least: u8x16::splat(u8::MAX), backslashes: none, all: none }
    }
}

impl Portable {
    #[inline(always)]
    pub(in super::super) fn line_class(&self) -> LineClass {
        let controls = self.least.min(u8x16::splat(0x1f)).simd_eq(self.least);
        LineClass {
            has_control: controls.to_bitmask() != 0,
            has_backslash: self.backslashes.to_bitmask() != 0,
            is_ascii: self.all.to_bitmask() == 0,
        }
    }

    #[inline(always)]
    pub(in super::super) fn classify(&mut self, block: &[u8; BLOCK_BYTES]) -> Classes {
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        // A brace and the square bracket of the same side differ in this bit only.
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
pub(in super::super) mod avx2 {
    //! The classifier with AVX2, and the prefix XOR with PCLMULQDQ.

    use std::arch::x86_64::{
        __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8,
        _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set1_epi8,
    };

    use super::{BLOCK_BYTES, Classes, LineClass};

    /// Bytes per vector.
    const LANE: usize = 32;

    /// The counterpart of [`Portable`](super::Portable).
    #[derive(Clone, Copy)]
    pub(in super::super::super) struct Avx2 {
        least: __m256i,
        backslashes: __m256i,
        all: __m256i,
    }

    impl Avx2 {
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super::super) fn new() -> Self {
            let none = splat(0);
            Self { least: splat(u8::MAX), backslashes: none, all: none }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super::super) fn line_class(&self) -> LineClass {
            let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(self.least, splat(0x1f)), self.least);
            LineClass {
                has_control: bits(controls) != 0,
                has_backslash: bits(self.backslashes) != 0,
                is_ascii: bits(self.all) == 0,
            }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super::super) fn classify(&mut self, block: &[u8; BLOCK_BYTES]) -> Classes {
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

    /// Returns the prefix XOR of [`prefix_xor`](super::super::prefix_xor), as a carry-less product
    /// with all ones.
    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    pub(in super::super::super) fn prefix_xor(bits: u64) -> u64 {
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
    fn expected(blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Classes>, LineClass) {
        let word = |block: &[u8; BLOCK_BYTES], is: fn(u8) -> bool| {
            let set = block.iter().enumerate().filter(|(_, b)| is(**b));
            set.fold(0, |word, (place, _)| word | 1_u64 << place)
        };
        let classes = |block| (word(block, |b| b == b'"'), word(block, |b| b"{}[]".contains(&b)));
        let all = blocks.concat();
        let class = LineClass {
            has_control: all.iter().any(|&b| b < b' '),
            has_backslash: all.contains(&b'\\'),
            is_ascii: all.is_ascii(),
        };
        (blocks.iter().map(classes).collect(), class)
    }

    proptest! {
        #[test]
        fn portable_classes_agree_with_one_byte_at_a_time(
            blocks in prop::collection::vec(prop::array::uniform32(prop::array::uniform2(byte())), 1..4),
        ) {
            let blocks: Vec<[u8; BLOCK_BYTES]> =
                blocks.iter().map(|pairs| bytemuck::must_cast(*pairs)).collect();
            let mut classifier = Portable::default();
            let classes: Vec<_> = blocks.iter().map(|block| classifier.classify(block)).collect();
            prop_assert_eq!((classes, classifier.line_class()), expected(&blocks));
        }

        #[test]
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        fn avx2_classes_agree_with_one_byte_at_a_time(
            blocks in prop::collection::vec(prop::array::uniform32(prop::array::uniform2(byte())), 1..4),
        ) {
            let blocks: Vec<[u8; BLOCK_BYTES]> =
                blocks.iter().map(|pairs| bytemuck::must_cast(*pairs)).collect();
            #[target_feature(enable = "avx2")]
            fn classify(blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Classes>, LineClass) {
                let mut classifier = avx2::Avx2::new();
                let classes = blocks.iter().map(|block| classifier.classify(block)).collect();
                (classes, classifier.line_class())
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the line above checks that the processor has AVX2.
                prop_assert_eq!(unsafe { classify(&blocks) }, expected(&blocks));
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    fn both_prefix_xors_agree() {
        if is_x86_feature_detected!("pclmulqdq") {
            for bits in
                [0, 1, 2, 3, u64::MAX, 1 << 63, 0x8000_0000_0000_0001, 0x0123_4567_89ab_cdef]
            {
                // SAFETY: the line above checks that the processor has PCLMULQDQ.
                assert_eq!(unsafe { avx2::prefix_xor(bits) }, super::super::prefix_xor(bits));
            }
        }
    }
}
