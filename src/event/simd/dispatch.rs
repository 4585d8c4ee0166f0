//! Chooses the instructions for a structural index when the program runs.
//!
//! This is the only module with `unsafe` code outside of tests. What it calls is safe, and compiled
//! for more instructions than the target has at least; the only condition on such a call is that
//! the processor has them.

use std::sync::LazyLock;

use super::lanes::Portable;
use super::prefix_xor;
use super::structural_index::{IndexReader, with_index};

/// The instructions to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Those that every processor of the target has.
    Portable,
    /// AVX2, PCLMULQDQ and bit counting, which most x86 processors of the last ten years have.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 as in processors that run it without a lower frequency: those with VBMI2, too.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The best level of this processor.
static LEVEL: LazyLock<Level> =
    LazyLock::new(|| Level::all().last().copied().unwrap_or(Level::Portable));

impl Level {
    /// Returns the levels that this processor supports, the best one last.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn all() -> Vec<Self> {
        match (x86::has_avx2(), x86::has_avx512()) {
            (true, true) => vec![Self::Portable, Self::Avx2, Self::Avx512],
            (true, false) => vec![Self::Portable, Self::Avx2],
            (false, _) => vec![Self::Portable],
        }
    }

    /// Returns the only level of other processors.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn all() -> Vec<Self> {
        vec![Self::Portable]
    }
}

/// Makes the structural index of `line` for a reader, which parses it. Returns `None` if the line is
/// shorter than 64 bytes, longer than 8 KiB, or not one line with closed strings: for the reasons,
/// and for all lines without an index, there is the general parser.
#[inline]
pub(in super::super) fn index<'a, R: IndexReader>(
    reader: &mut R,
    line: &'a [u8],
) -> Option<R::Found<'a>> {
    index_at(*LEVEL, reader, line)
}

/// As [`index`], with the instructions of a level that this processor supports.
#[inline(always)]
pub(super) fn index_at<'a, R: IndexReader>(
    level: Level,
    reader: &mut R,
    line: &'a [u8],
) -> Option<R::Found<'a>> {
    // Measured (docs/internals/performance.md): what AVX2 saves of each event.
    #[allow(unsafe_code)]
    match level {
        Level::Portable => with_index(
            reader,
            line,
            Portable::default(),
            Portable::classify,
            Portable::line_class,
            prefix_xor,
        ),
        // SAFETY: `Level::all` returns this level only if the processor has all features that the
        // function is compiled for, and both callers of `index_at` take levels from there.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::index_avx2(reader, line) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::index_avx512(reader, line) },
    }
}

/// Returns what a reader finds with the instructions of each level that this processor supports.
#[cfg(test)]
pub(in super::super) fn at_each_level<R: IndexReader + Default>(
    line: &[u8],
) -> Vec<Option<R::Found<'_>>> {
    at_each_level_by(&mut readers::<R>(), line)
}

/// As [`at_each_level`], by readers that have read other lines before: those of [`readers`].
#[cfg(test)]
pub(in super::super) fn at_each_level_by<'a, R: IndexReader>(
    readers: &mut [R],
    line: &'a [u8],
) -> Vec<Option<R::Found<'a>>> {
    let levels = Level::all().into_iter().zip(readers);
    levels.map(|(level, reader)| index_at(level, reader, line)).collect()
}

/// Returns a reader for each level.
#[cfg(test)]
pub(in super::super) fn readers<R: Default>() -> Vec<R> {
    Level::all().iter().map(|_| R::default()).collect()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{IndexReader, with_index};
    use crate::event::simd::lanes::x86::{Avx2, Avx512, prefix_xor};

    pub(super) fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt")
    }

    /// Returns whether the processor has the features of AVX-512 beside those of [`has_avx2`].
    pub(super) fn has_avx512() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi2")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,pclmulqdq,popcnt")]
    pub(super) fn index_avx2<'a, R: IndexReader>(
        reader: &mut R,
        line: &'a [u8],
    ) -> Option<R::Found<'a>> {
        with_index(
            reader,
            line,
            Avx2::new(),
            |classifier, block| classifier.classify(block),
            |classifier| classifier.line_class(),
            |bits| prefix_xor(bits),
        )
    }

    #[target_feature(enable = "avx512f,avx512bw,avx2,bmi1,bmi2,lzcnt,pclmulqdq,popcnt")]
    pub(super) fn index_avx512<'a, R: IndexReader>(
        reader: &mut R,
        line: &'a [u8],
    ) -> Option<R::Found<'a>> {
        with_index(
            reader,
            line,
            Avx512::default(),
            |classifier, block| classifier.classify(block),
            |classifier| classifier.line_class(),
            |bits| prefix_xor(bits),
        )
    }
}
