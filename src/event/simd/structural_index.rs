//! The structural index of a line: the places of its quotes and of the brackets outside of strings,
//! as bits, made in one pass over the line. The same pass checks what must be true of every line:
//! no raw control character, valid UTF-8, closed strings, and no backslash outside of a string.

use super::lanes::{Classes, LineClass};
use super::{BLOCK_BYTES, escaped};

/// The number of blocks up to which the index takes little memory: most lines.
const FEW_BLOCKS: usize = 16;

/// Lines of more blocks have no index: they are over 8 KiB, and rare.
const MAX_BLOCKS: usize = 128;

/// The depth of nesting up to which [`IndexedLine::nested_end`] is sure that no inner depth exceeds
/// the limit of the general parser, because a block adds at most 64 levels.
const SURE_DEPTH: u32 = 400;

/// The bits of 64 bytes; bit 0 is the first byte.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Block {
    /// Quotes that begin or end a string.
    quotes: u64,
    /// `{` and `[` outside of strings.
    opens: u64,
    /// `}` and `]` outside of strings.
    closes: u64,
}

impl Block {
    const EMPTY: Self = Self { quotes: 0, opens: 0, closes: 0 };
}

/// A line and its structural index.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct IndexedLine<'a, 'i> {
    pub(in super::super) line: &'a [u8],
    blocks: &'i [Block],
    /// Whether a string of the line contains a backslash.
    pub(in super::super) has_backslash: bool,
}

/// A parser that reads a line with its index.
///
/// A trait rather than a closure, because its method must be inlined into the functions that are
/// compiled for more instructions than the target has at least.
pub(in super::super) trait IndexReader {
    /// What it finds in a line.
    type Found<'a>;
    /// Reads the line; `None` if the general parser must read it.
    fn read<'a>(&mut self, index: IndexedLine<'a, '_>) -> Option<Self::Found<'a>>;
}

/// Makes the index of `line` for a reader. Returns `None` if the line is shorter than a block or
/// too long, or if one of the checks fails. `classify` returns the classes of a block, `line_class`
/// those of all blocks that were classified, and `prefix_xor` is [`prefix_xor`](super::prefix_xor)
/// or equivalent to it.
#[inline(always)]
pub(super) fn with_index<'a, R: IndexReader, C>(
    reader: &mut R,
    line: &'a [u8],
    mut classifier: C,
    classify: impl Fn(&mut C, &[u8; BLOCK_BYTES]) -> Classes,
    line_class: impl Fn(&C) -> LineClass,
    prefix_xor: impl Fn(u64) -> u64,
) -> Option<R::Found<'a>> {
    if !(BLOCK_BYTES..=MAX_BLOCKS * BLOCK_BYTES).contains(&line.len()) {
        return None;
    }
    // One block more than the line has, so that the window of `quotes_from` always has two.
    let (mut few, mut many);
    let blocks = if line.len() <= FEW_BLOCKS * BLOCK_BYTES {
        few = [Block::EMPTY; FEW_BLOCKS + 1];
        few.as_mut_slice()
    } else {
        many = [Block::EMPTY; MAX_BLOCKS + 1];
        many.as_mut_slice()
    };
    let mut strings = Strings::default();
    let (whole, rest) = line.as_chunks::<BLOCK_BYTES>();
    let (entries, last) = blocks.split_at_mut_checked(whole.len())?;
    for (block, entry) in whole.iter().zip(&mut *entries) {
        *entry = strings.pass(classify(&mut classifier, block), &prefix_xor);
    }
    if !rest.is_empty() {
        // The last block overlaps the one before.
        let classes = classify(&mut classifier, line.last_chunk()?);
        let classes = classes.shifted(BLOCK_BYTES - rest.len());
        *last.first_mut()? = strings.pass(classes, &prefix_xor);
    }
    let class = line_class(&classifier);
    if class.has_control || strings.inside != 0 || strings.stray_backslashes != 0 {
        return None;
    }
    if !class.is_ascii && simdutf8::basic::from_utf8(line).is_err() {
        return None;
    }
    reader.read(IndexedLine { line, blocks, has_backslash: strings.has_backslash })
}

/// What the blocks so far say of the strings in the next one.
#[derive(Default)]
struct Strings {
    /// All ones while a string continues into the next block.
    inside: u64,
    /// 1 if the next block's first byte is escaped, else 0.
    escaped: u64,
    has_backslash: bool,
    stray_backslashes: u64,
}

impl Strings {
    #[inline(always)]
    fn pass(&mut self, classes: Classes, prefix_xor: impl Fn(u64) -> u64) -> Block {
        let mut quotes = classes.quotes;
        if classes.backslashes | self.escaped != 0 {
            quotes &= !escaped(classes.backslashes, &mut self.escaped);
            self.has_backslash = true;
            let inside = prefix_xor(quotes) ^ self.inside;
            self.stray_backslashes |= classes.backslashes & !inside;
        }
        let inside = prefix_xor(quotes) ^ self.inside;
        self.inside = (inside.cast_signed() >> 63).cast_unsigned();
        Block { quotes, opens: classes.opens & !inside, closes: classes.closes & !inside }
    }
}

impl IndexedLine<'_, '_> {
    /// Returns the offset of the next quote at or after `from` that begins or ends a string.
    #[inline(always)]
    pub(in super::super) fn next_quote(&self, from: usize) -> Option<usize> {
        // The next 64 bytes, whatever their blocks: nearly every string ends in them, and the
        // processor can't predict in which block.
        let window = self.quotes_from(from)?;
        if window != 0 {
            return Some(from + window.trailing_zeros() as usize);
        }
        let mut place = from / BLOCK_BYTES;
        let mut quotes = 0;
        while quotes == 0 {
            place += 1;
            quotes = self.blocks.get(place)?.quotes;
        }
        Some(place * BLOCK_BYTES + quotes.trailing_zeros() as usize)
    }

    /// Returns the quotes of the 64 bytes from `from` on; bit 0 is the byte at `from`.
    #[inline(always)]
    pub(in super::super) fn quotes_from(&self, from: usize) -> Option<u64> {
        let [here, next] = self.blocks.get(from / BLOCK_BYTES..)?.first_chunk()?;
        let bit = from % BLOCK_BYTES;
        Some((here.quotes >> bit) | ((next.quotes << 1) << (BLOCK_BYTES - 1 - bit)))
    }

    /// Returns the offset after the object or array that begins at `from`: where as many brackets
    /// are closed as were opened. `None` if it has no end, or may be nested too deeply.
    ///
    /// Which bracket closes which is not checked: see docs/internals/performance.md.
    #[inline(always)]
    pub(in super::super) fn nested_end(&self, from: usize) -> Option<usize> {
        let mut place = from / BLOCK_BYTES;
        let block = self.blocks.get(place)?;
        let (mut opens, mut closes) =
            (block.opens & from_byte(from), block.closes & from_byte(from));
        let mut depth = 0_u32;
        loop {
            let closing = closes.count_ones();
            if closing >= depth {
                let mut left = closes;
                let mut closed = 0;
                while left != 0 {
                    closed += 1;
                    let before = (left & left.wrapping_neg()) - 1;
                    if depth + (opens & before).count_ones() == closed {
                        return Some(place * BLOCK_BYTES + left.trailing_zeros() as usize + 1);
                    }
                    left &= left - 1;
                }
            }
            depth = (depth + opens.count_ones()).wrapping_sub(closing);
            if depth > SURE_DEPTH {
                return None;
            }
            place += 1;
            let block = self.blocks.get(place)?;
            (opens, closes) = (block.opens, block.closes);
        }
    }
}

/// Returns a mask of the bits from this byte of its block on.
#[inline(always)]
fn from_byte(from: usize) -> u64 {
    u64::MAX << (from % BLOCK_BYTES)
}

#[cfg(test)]
mod tests;
