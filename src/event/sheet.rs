//! A whole line as bits, in one pass: where its quotes and brackets stand, and what it has
//! anywhere. What the bits mean for an event, `usual` knows.
//!
//! Measured (`cargo bench --bench parts header`, events of 572 bytes): checking UTF-8, then
//! the line for control characters, then each string and the record by themselves took 131 ns,
//! this pass with a walk over its bits 100 ns.

use std::ops::RangeInclusive;

use super::blocks::{self, BLOCK_BYTES};
use super::marks::Marks;

/// Longer lines are read another way: of the production sample none is.
const MAX_BLOCKS: usize = 24;

/// The bits of a line, 64 bytes a word.
pub(super) struct Sheet {
    quotes: [u64; MAX_BLOCKS],
    /// Brackets, and after [`Sheet::unescape`] backslashes, too: outside of strings these are
    /// none, and what [`Sheet::object_end`] meets there is the end of it.
    brackets: [u64; MAX_BLOCKS],
}

impl Sheet {
    /// A sheet to be filled.
    #[inline(always)]
    pub(super) fn empty() -> Self {
        Self { quotes: [0; MAX_BLOCKS], brackets: [0; MAX_BLOCKS] }
    }

    /// Looks through a line with `marks`, a block at a time; `None` where it is shorter than a
    /// block, or too long.
    #[inline(always)]
    pub(super) fn fill(
        &mut self,
        line: &[u8],
        mut marks: impl FnMut(&[u8; BLOCK_BYTES]) -> Marks,
    ) -> Option<()> {
        let (blocks, rest) = line.as_chunks::<BLOCK_BYTES>();
        if blocks.len() >= MAX_BLOCKS {
            return None;
        }
        let mut words = self.quotes.iter_mut().zip(&mut self.brackets);
        for (block, (quotes, brackets)) in blocks.iter().zip(&mut words) {
            (*quotes, *brackets) = marks(block);
        }
        // The last bytes, and some of those before once more, which are shifted out.
        let (quotes, brackets) = marks(line.last_chunk()?);
        if let (false, Some(word)) = (rest.is_empty(), words.next()) {
            let missing = BLOCK_BYTES - rest.len();
            (*word.0, *word.1) = (quotes >> missing, brackets >> missing);
        }
        Some(())
    }

    /// Takes away the quotes that a backslash escapes. Gives the range of bytes from the first
    /// backslash to the last; all others have none.
    #[cold]
    pub(super) fn unescape(&mut self, line: &[u8]) -> Option<RangeInclusive<usize>> {
        let mut carry = false;
        let words = self.quotes.iter_mut().zip(&mut self.brackets);
        for (place, (quotes, brackets)) in words.enumerate() {
            let Some(bits) = blocks::bits::<true>(line, place * BLOCK_BYTES) else { break };
            *brackets |= bits.backslashes;
            *quotes &= !blocks::escaped(bits.backslashes, &mut carry);
        }
        Some(memchr::memchr(b'\\', line)?..=memchr::memrchr(b'\\', line)?)
    }

    /// Where the first quote from `from` on stands.
    #[inline(always)]
    pub(super) fn quote(&self, from: usize) -> Option<usize> {
        let mut word = from / BLOCK_BYTES;
        let mut bits = self.quotes.get(word)? & since(from);
        while bits == 0 {
            word += 1;
            bits = *self.quotes.get(word)?;
        }
        Some(word * BLOCK_BYTES + bits.trailing_zeros() as usize)
    }

    /// Just behind the object that begins at `from`. `None` where its brackets don't match,
    /// where it has no end or a string has none, where a backslash stands outside of strings, or
    /// where it is nested too deeply for this way of counting. `parity` is [`blocks::parity`], or does what that does.
    #[inline(always)]
    pub(super) fn object_end(
        &self,
        line: &[u8],
        from: usize,
        parity: impl Fn(u64) -> u64,
    ) -> Option<usize> {
        let mut wanted = since(from);
        // All ones while a string reaches into the next block.
        let mut in_string = 0;
        let mut nesting = Nesting::default();
        let first = from / BLOCK_BYTES;
        let words = self.quotes.iter().zip(&self.brackets).enumerate().skip(first);
        for (place, (quotes, brackets)) in words {
            let inside = parity(quotes & wanted) ^ in_string;
            in_string = if inside >> 63 == 1 { u64::MAX } else { 0 };
            let mut brackets = brackets & wanted & !inside;
            wanted = u64::MAX;
            while brackets != 0 {
                let at = place * BLOCK_BYTES + brackets.trailing_zeros() as usize;
                brackets &= brackets - 1;
                let byte = *line.get(at)?;
                if byte == b'\\' {
                    return None;
                }
                if nesting.meet(byte)? {
                    return Some(at + 1);
                }
            }
        }
        None
    }
}

/// The bits of a word from this byte of its block on.
fn since(from: usize) -> u64 {
    u64::MAX << (from % BLOCK_BYTES)
}

/// The brackets that are open.
#[derive(Default)]
struct Nesting {
    /// A bit each, the innermost one's lowest: set for an array.
    arrays: u64,
    depth: u32,
}

impl Nesting {
    /// Takes the next bracket; says whether it closes the outermost one. Without a branch for
    /// its kind, which nothing predicts.
    #[inline(always)]
    fn meet(&mut self, bracket: u8) -> Option<bool> {
        // What the four differ by: `{` 7b, `}` 7d, `[` 5b, `]` 5d.
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
    use crate::event::marks::Narrow;

    fn sheet(line: &[u8]) -> Option<Sheet> {
        let (mut sheet, mut narrow) = (Sheet::empty(), Narrow::default());
        sheet.fill(line, |block| narrow.marks(block))?;
        Some(sheet)
    }

    #[test]
    fn an_object_ends_where_its_brackets_do() {
        let end = |object: &str| {
            let line = format!("{}{object}{}", " ".repeat(61), " ".repeat(70));
            let sheet = sheet(line.as_bytes()).unwrap();
            sheet.object_end(line.as_bytes(), 61, blocks::parity).map(|end| end - 61)
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
    fn an_escaped_quote_is_none() {
        let line = format!(r#"{}"a\"b\\"{}"#, " ".repeat(60), " ".repeat(64));
        let mut sheet = sheet(line.as_bytes()).unwrap();
        assert_eq!(sheet.unescape(line.as_bytes()), Some(62..=66));
        assert_eq!(sheet.quote(0), Some(60));
        assert_eq!(sheet.quote(61), Some(67));
        assert_eq!(sheet.quote(68), None);
    }

    #[test]
    fn a_backslash_outside_of_strings_ends_nothing() {
        for (object, is_sound) in
            [(r#"{"a\""}"#, true), (r#"{\"}"#, false), (r#"{"a":\"b"}"#, false)]
        {
            let line = format!("{}{object}{}", " ".repeat(61), " ".repeat(70));
            let mut sheet = sheet(line.as_bytes()).unwrap();
            sheet.unescape(line.as_bytes()).unwrap();
            let end = sheet.object_end(line.as_bytes(), 61, blocks::parity);
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
                let sheet = sheet(&line).unwrap();
                assert_eq!(sheet.quote(0), Some(at));
                assert_eq!(sheet.quote(at), Some(at));
                assert_eq!(sheet.quote(at + 1), None);
            }
        }
        assert!(sheet(&[b'a'; 63]).is_none());
        assert!(sheet(&[b'a'; 24 * 64 - 1]).is_some());
        assert!(sheet(&[b'a'; 24 * 64]).is_none());
    }
}
