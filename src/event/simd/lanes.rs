//! Classifiers of a block: [`Portable`], with the instructions that every processor of the target
//! has (on 64-bit ARM, those of NEON), `Avx2` and `Avx512`. Each returns the quotes, backslashes and
//! brackets of a block, and accumulates what the line contains.
//!
//! They have the same methods but no common trait: a method of a safe trait can't enable a target
//! feature, so that a trait would need an `unsafe` block per call. Callers pass a closure instead.

use wide::u8x16;

use super::BLOCK_BYTES;

/// Bytes per vector.
const LANE: usize = 16;

/// The classes of a block's bytes, one bit per byte; bit 0 is the first byte. All count bytes inside
/// and outside of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// `{` and `[`.
    pub(super) opens: u64,
    /// `}` and `]`.
    pub(super) closes: u64,
}

impl Classes {
    /// Returns the classes of the bytes from `first` on, as if the block began there.
    #[inline(always)]
    pub(super) fn shifted(self, first: usize) -> Self {
        Self {
            quotes: self.quotes >> first,
            backslashes: self.backslashes >> first,
            opens: self.opens >> first,
            closes: self.closes >> first,
        }
    }
}

/// What a whole line contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineClass {
    /// A byte below 0x20.
    pub(super) has_control: bool,
    /// No byte is 0x80 or above.
    pub(super) is_ascii: bool,
}

/// The portable classifier, with what the blocks so far contain, accumulated per position in a
/// vector.
#[derive(Clone, Copy)]
pub(super) struct Portable {
    /// The minimum of all bytes.
    least: u8x16,
    /// All bytes combined with OR.
    all: u8x16,
}

impl Default for Portable {
    fn default() -> Self {
        Self { least: u8x16::splat(u8::MAX), all: u8x16::splat(0) }
    }
}

impl Portable {
    #[inline(always)]
    pub(super) fn line_class(&self) -> LineClass {
        let controls = self.least.min(u8x16::splat(0x1f)).simd_eq(self.least);
        LineClass { has_control: controls.to_bitmask() != 0, is_ascii: self.all.to_bitmask() == 0 }
    }

    #[inline(always)]
    pub(super) fn classify(&mut self, block: &[u8; BLOCK_BYTES]) -> Classes {
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        // A brace and the square bracket of the same side differ in this bit only.
        let side = u8x16::splat(b'{' ^ b'[');
        let (open, close) = (u8x16::splat(b'{'), u8x16::splat(b'}'));
        // No loop: a compiler that optimises for size would keep it.
        let [a, b, c, d]: [u8x16; 4] = bytemuck::must_cast(*block);
        let word = |[a, b, c, d]: [u8x16; 4], byte: u8x16| {
            let bits = |lane: u8x16, place: usize| {
                u64::from(lane.simd_eq(byte).to_bitmask()) << (place * LANE)
            };
            bits(a, 0) | bits(b, 1) | bits(c, 2) | bits(d, 3)
        };
        let (lanes, braces) = ([a, b, c, d], [a | side, b | side, c | side, d | side]);
        self.least = self.least.min(a.min(b)).min(c.min(d));
        self.all |= (a | b) | (c | d);
        Classes {
            quotes: word(lanes, quote),
            backslashes: word(lanes, backslash),
            opens: word(braces, open),
            closes: word(braces, close),
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! The classifiers with AVX2 and AVX-512, and the prefix XOR with PCLMULQDQ.

    use std::arch::x86_64::{
        __m256i, __m512i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8,
        _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_movepi8_mask,
        _mm512_or_si512, _mm512_set1_epi8,
    };

    use super::{BLOCK_BYTES, Classes, LineClass};

    /// Bytes per vector of AVX2.
    const LANE: usize = 32;

    /// The counterpart of [`Portable`](super::Portable).
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2 {
        least: __m256i,
        all: __m256i,
    }

    impl Avx2 {
        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super) fn new() -> Self {
            Self { least: splat(u8::MAX), all: splat(0) }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super) fn line_class(&self) -> LineClass {
            let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(self.least, splat(0x1f)), self.least);
            LineClass { has_control: bits(controls) != 0, is_ascii: bits(self.all) == 0 }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        pub(in super::super) fn classify(&mut self, block: &[u8; BLOCK_BYTES]) -> Classes {
            // No loop: a compiler that optimises for size would keep it.
            let [low, high]: [__m256i; 2] = bytemuck::must_cast(*block);
            let word = |low, high, byte| {
                let byte = splat(byte);
                bits(_mm256_cmpeq_epi8(low, byte)) | bits(_mm256_cmpeq_epi8(high, byte)) << LANE
            };
            let side = splat(b'{' ^ b'[');
            let braces = (_mm256_or_si256(low, side), _mm256_or_si256(high, side));
            self.least = _mm256_min_epu8(self.least, _mm256_min_epu8(low, high));
            self.all = _mm256_or_si256(self.all, _mm256_or_si256(low, high));
            Classes {
                quotes: word(low, high, b'"'),
                backslashes: word(low, high, b'\\'),
                opens: word(braces.0, braces.1, b'{'),
                closes: word(braces.0, braces.1, b'}'),
            }
        }
    }

    /// The counterpart of [`Portable`](super::Portable) for processors that compare 64 bytes at once.
    #[derive(Clone, Copy, Default)]
    pub(in super::super) struct Avx512 {
        controls: u64,
        non_ascii: u64,
    }

    impl Avx512 {
        #[inline]
        pub(in super::super) fn line_class(&self) -> LineClass {
            LineClass { has_control: self.controls != 0, is_ascii: self.non_ascii == 0 }
        }

        #[inline]
        #[target_feature(enable = "avx512bw")]
        pub(in super::super) fn classify(&mut self, block: &[u8; BLOCK_BYTES]) -> Classes {
            let splat = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
            let block: __m512i = bytemuck::must_cast(*block);
            let braces = _mm512_or_si512(block, splat(b'{' ^ b'['));
            self.controls |= _mm512_cmplt_epu8_mask(block, splat(b' '));
            self.non_ascii |= _mm512_movepi8_mask(block);
            Classes {
                quotes: _mm512_cmpeq_epi8_mask(block, splat(b'"')),
                backslashes: _mm512_cmpeq_epi8_mask(block, splat(b'\\')),
                opens: _mm512_cmpeq_epi8_mask(braces, splat(b'{')),
                closes: _mm512_cmpeq_epi8_mask(braces, splat(b'}')),
            }
        }
    }

    /// Returns the prefix XOR of [`prefix_xor`](super::super::prefix_xor), as a carry-less product
    /// with all ones.
    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    pub(in super::super) fn prefix_xor(bits: u64) -> u64 {
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

    fn blocks() -> impl Strategy<Value = Vec<[u8; BLOCK_BYTES]>> {
        let block = prop::array::uniform32(prop::array::uniform2(byte()));
        prop::collection::vec(block.prop_map(bytemuck::must_cast), 1..4)
    }

    /// One byte at a time.
    fn expected(blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Classes>, LineClass) {
        let word = |block: &[u8; BLOCK_BYTES], these: &[u8]| {
            let set = block.iter().enumerate().filter(|(_, b)| these.contains(b));
            set.fold(0, |word, (place, _)| word | 1_u64 << place)
        };
        let classes = |block| Classes {
            quotes: word(block, b"\""),
            backslashes: word(block, b"\\"),
            opens: word(block, b"{["),
            closes: word(block, b"}]"),
        };
        let all = blocks.concat();
        let class =
            LineClass { has_control: all.iter().any(|&b| b < b' '), is_ascii: all.is_ascii() };
        (blocks.iter().map(classes).collect(), class)
    }

    proptest! {
        #[test]
        fn portable_classes_agree_with_one_byte_at_a_time(blocks in blocks()) {
            let mut classifier = Portable::default();
            let classes: Vec<_> = blocks.iter().map(|block| classifier.classify(block)).collect();
            prop_assert_eq!((classes, classifier.line_class()), expected(&blocks));
        }

        #[test]
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        fn avx2_classes_agree_with_one_byte_at_a_time(blocks in blocks()) {
            #[target_feature(enable = "avx2")]
            fn classify(blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Classes>, LineClass) {
                let mut classifier = x86::Avx2::new();
                let classes = blocks.iter().map(|block| classifier.classify(block)).collect();
                (classes, classifier.line_class())
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the line above checks that the processor has AVX2.
                prop_assert_eq!(unsafe { classify(&blocks) }, expected(&blocks));
            }
        }

        #[test]
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code)]
        fn avx512_classes_agree_with_one_byte_at_a_time(blocks in blocks()) {
            #[target_feature(enable = "avx512bw")]
            fn classify(blocks: &[[u8; BLOCK_BYTES]]) -> (Vec<Classes>, LineClass) {
                let mut classifier = x86::Avx512::default();
                let classes = blocks.iter().map(|block| classifier.classify(block)).collect();
                (classes, classifier.line_class())
            }
            if is_x86_feature_detected!("avx512bw") {
                // SAFETY: the line above checks that the processor has AVX-512BW.
                prop_assert_eq!(unsafe { classify(&blocks) }, expected(&blocks));
            }
        }

        #[test]
        fn the_classes_of_the_last_bytes_are_shifted(blocks in blocks(), first in 0..64_usize) {
            let classes = Portable::default().classify(&blocks[0]).shifted(first);
            let mut rest = [b' '; BLOCK_BYTES];
            rest[..BLOCK_BYTES - first].copy_from_slice(&blocks[0][first..]);
            prop_assert_eq!(classes, Portable::default().classify(&rest));
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
                assert_eq!(unsafe { x86::prefix_xor(bits) }, super::super::prefix_xor(bits));
            }
        }
    }
}
