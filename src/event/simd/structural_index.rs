//! The structural index of a line: the places of its quotes and brackets as bits, made in one
//! pass over the line.
//!
//! Measured (`cargo bench --bench parts header`, events of 572 bytes): checking UTF-8, then
//! control characters, then each string and the record separately took 131 ns per event; this pass
//! and a walk over its bits take 100 ns.

use std::ops::RangeInclusive;

use super::lanes::Classes;
use super::{BLOCK_BYTES, block_bits, escaped};

/// The general parser reads lines of this many blocks or more. The production sample has none.
const MAX_BLOCKS: usize = 24;

/// The bits of a line, one word per block of 64 bytes.
pub(in super::super) struct StructuralIndex {
    quotes: [u64; MAX_BLOCKS],
    /// Brackets, and after [`StructuralIndex::unescape`] also backslashes, so that
    /// [`StructuralIndex::object_end`] finds and rejects those outside of strings.
    brackets: [u64; MAX_BLOCKS],
}

impl StructuralIndex {
    /// Returns an index without any bits.
    #[inline(always)]
    pub(in super::super) fn empty() -> Self {
        Self { quotes: [0; MAX_BLOCKS], brackets: [0; MAX_BLOCKS] }
    }

    /// Sets the bits of `line`, with `classify` for each block; `None` if the line is shorter than
    /// a block or too long.
    #[inline(always)]
    pub(in super::super) fn fill(
        &mut self,
        line: &[u8],
        mut classify: impl FnMut(&[u8; BLOCK_BYTES]) -> Classes,
    ) -> Option<()> {
        let (blocks, rest) = line.as_chunks::<BLOCK_BYTES>();
        if blocks.len() >= MAX_BLOCKS {
            return None;
        }
        let mut words = self.quotes.iter_mut().zip(&mut self.brackets);
        for (block, (quotes, brackets)) in blocks.iter().zip(&mut words) {
            (*quotes, *brackets) = classify(block);
        }
        // The last block overlaps the one before; the bits of the overlap are shifted out.
        let (quotes, brackets) = classify(line.last_chunk()?);
        if let (false, Some(word)) = (rest.is_empty(), words.next()) {
            let missing = BLOCK_BYTES - rest.len();
            (*word.0, *word.1) = (quotes >> missing, brackets >> missing);
        }
        Some(())
    }

    /// Removes escaped quotes. Returns the range of bytes from the first backslash to the last.
    #[cold]
    pub(in super::super) fn unescape(&mut self, line: &[u8]) -> Option<RangeInclusive<usize>> {
        let mut carry = false;
        let words = self.quotes.iter_mut().zip(&mut self.brackets);
        for (place, (quotes, brackets)) in words.enumerate() {
            let Some(bits) = block_bits::<true>(line, place * BLOCK_BYTES) else { break };
            *brackets |= bits.backslashes;
            *quotes &= !escaped(bits.backslashes, &mut carry);
        }
        Some(memchr::memchr(b'\\', line)?..=memchr::memrchr(b'\\', line)?)
    }

    /// Returns the offset of the first quote at or after `from`.
    #[inline(always)]
    pub(in super::super) fn next_quote(&self, from: usize) -> Option<usize> {
        let mut word = from / BLOCK_BYTES;
        let mut bits = self.quotes.get(word)? & from_byte(from);
        while bits == 0 {
            word += 1;
            bits = *self.quotes.get(word)?;
        }
        Some(word * BLOCK_BYTES + bits.trailing_zeros() as usize)
    }

    /// Returns the offset after the object that begins at `from`. `None` if its brackets don't
    /// match, it or a string has no end, a backslash is outside of strings, or it has more than 64
    /// levels. `prefix_xor` is [`prefix_xor`](super::prefix_xor) or equivalent to it.
    #[inline(always)]
    pub(in super::super) fn object_end(
        &self,
        line: &[u8],
        from: usize,
        prefix_xor: impl Fn(u64) -> u64,
    ) -> Option<usize> {
        let mut mask = from_byte(from);
        // All ones while a string continues into the next block.
        let mut in_string = 0;
        let mut nesting = Nesting::default();
        let first = from / BLOCK_BYTES;
        let words = self.quotes.iter().zip(&self.brackets).enumerate().skip(first);
        for (place, (quotes, brackets)) in words {
            let inside = prefix_xor(quotes & mask) ^ in_string;
            in_string = if inside >> 63 == 1 { u64::MAX } else { 0 };
            let mut brackets = brackets & mask & !inside;
            mask = u64::MAX;
            while brackets != 0 {
                let at = place * BLOCK_BYTES + brackets.trailing_zeros() as usize;
                brackets &= brackets - 1;
                let byte = *line.get(at)?;
                if byte == b'\\' {
                    return None;
                }
                if nesting.push_or_pop(byte)? {
                    return Some(at + 1);
                }
            }
        }
        None
    }
}

/// Returns a mask of the bits from this byte of its block on.
fn from_byte(from: usize) -> u64 {
    u64::MAX << (from % BLOCK_BYTES)
}

/// The stack of open brackets, at most 64.
#[derive(Default)]
struct Nesting {
    /// One bit per bracket, the innermost one in bit 0: set for an array, clear for an object.
    arrays: u64,
    depth: u32,
}

impl Nesting {
    /// Applies the next bracket; returns whether it closes the outermost one. There is no branch
    /// on the bracket, because branch prediction would fail for it.
    #[inline(always)]
    fn push_or_pop(&mut self, bracket: u8) -> Option<bool> {
        // The bits in which the four differ: `{` 7b, `}` 7d, `[` 5b, `]` 5d.
        let (array, is_open) = (u64::from(bracket >> 5 & 1 ^ 1), bracket & 2 != 0);
        let is_wrong = !is_open && self.arrays & 1 != array;
        self.arrays = if is_open { self.arrays << 1 | array } else { self.arrays >> 1 };
        self.depth = if is_open { self.depth + 1 } else { self.depth.wrapping_sub(1) };
        if is_wrong || self.depth > u64::BITS {
            return None;
        }
        Some(self.depth == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::simd::lanes::Portable;
    use crate::event::simd::prefix_xor;

    fn index(line: &[u8]) -> Option<StructuralIndex> {
        let (mut index, mut classifier) = (StructuralIndex::empty(), Portable::default());
        index.fill(line, |block| classifier.classify(block))?;
        Some(index)
    }

    #[test]
    fn an_object_ends_where_its_brackets_do() {
        let end = |object: &str| {
            let line = format!("{}{object}{}", " ".repeat(61), " ".repeat(70));
            let index = index(line.as_bytes()).unwrap();
            index.object_end(line.as_bytes(), 61, prefix_xor).map(|end| end - 61)
        };
        for whole in ["{}", "{[]}", r#"{"a":[{"}":"]"},{}]}"#] {
            assert_eq!(end(whole), Some(whole.len()), "{whole}");
        }
        assert_eq!(end("{}}"), Some(2));
        for broken in ["{", "{]", "{[}]", r#"{"}"#, r#"{"a}"#, "{{}"] {
            assert_eq!(end(broken), None, "{broken}");
        }
        for depth in [64, 65, 200] {
            let arrays = depth - 1;
            let deep = format!("{{{}{}}}", "[".repeat(arrays), "]".repeat(arrays));
            assert_eq!(end(&deep).is_some(), depth <= 64, "{depth}");
        }
    }

    #[test]
    fn an_escaped_quote_is_not_in_the_index() {
        let line = format!(r#"{}"a\"b\\"{}"#, " ".repeat(60), " ".repeat(64));
        let mut index = index(line.as_bytes()).unwrap();
        assert_eq!(index.unescape(line.as_bytes()), Some(62..=66));
        assert_eq!(index.next_quote(0), Some(60));
        assert_eq!(index.next_quote(61), Some(67));
        assert_eq!(index.next_quote(68), None);
    }

    #[test]
    fn an_object_with_a_backslash_outside_of_strings_has_no_end() {
        for (object, is_sound) in
            [(r#"{"a\""}"#, true), (r#"{\"}"#, false), (r#"{"a":\"b"}"#, false)]
        {
            let line = format!("{}{object}{}", " ".repeat(61), " ".repeat(70));
            let mut index = index(line.as_bytes()).unwrap();
            index.unescape(line.as_bytes()).unwrap();
            let end = index.object_end(line.as_bytes(), 61, prefix_xor);
            assert_eq!(end.is_some(), is_sound, "{object}");
        }
    }

    #[test]
    fn quotes_are_found_in_any_block() {
        for length in 64..300 {
            for at in [0, 1, 63, 64, 65, 127, 200, length - 1] {
                let mut line = vec![b'a'; length];
                let Some(byte) = line.get_mut(at) else { continue };
                *byte = b'"';
                let index = index(&line).unwrap();
                assert_eq!(index.next_quote(0), Some(at));
                assert_eq!(index.next_quote(at), Some(at));
                assert_eq!(index.next_quote(at + 1), None);
            }
        }
        assert!(index(&[b'a'; 63]).is_none());
        assert!(index(&[b'a'; 24 * 64 - 1]).is_some());
        assert!(index(&[b'a'; 24 * 64]).is_none());
    }
}
