//! Walks over the members of a line's objects by its structural index, in any order of members.
//!
//! A walk never rejects a line. For anything unusual it returns `None`: white space between tokens,
//! escapes in a string that it reads, numbers of more than sixteen digits, and whatever is no JSON.
//! Its caller then parses the line from the start with the general parser.

use super::digits::leading_digits;
use super::header_spans::FieldSpan;
use super::simd::structural_index::IndexedLine;

/// A position in a line that only moves forward.
///
/// A function that is not inlined takes a walk by value and returns it: a walk to which a pointer
/// was passed would be kept in memory in the hot code, too.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a, 'i> {
    index: IndexedLine<'a, 'i>,
    pos: usize,
}

/// What a parser notes of the members of an object.
///
/// A trait rather than a closure, because its method must be inlined into the functions that are
/// compiled for more instructions than the target has at least.
pub(super) trait Members {
    /// Passes the value of the member `key`, which is next.
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()>;
}

/// The place of a string, without its quotes.
struct FieldRange {
    start: usize,
    end: usize,
}

/// The name of a member.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// The first eight bytes of the name as [`key_word`] returns them.
    pub(super) word: u64,
    start: usize,
    end: usize,
    /// The quotes after the name, of the 64 bytes from its opening quote on.
    quotes: u64,
}

/// Returns the first eight bytes of a name as a number, with zeros after a shorter one. It names
/// one member if the name has less than eight bytes; for longer ones there is [`Walk::is_key`].
pub(super) const fn key_word(name: &str) -> u64 {
    let (bytes, mut word, mut at) = (name.as_bytes(), [0; 8], 0);
    while at < bytes.len() && at < 8 {
        word[at] = bytes[at];
        at += 1;
    }
    u64::from_le_bytes(word)
}

impl<'a, 'i> Walk<'a, 'i> {
    /// Returns a walk at the start of a line.
    #[inline(always)]
    pub(super) fn new(index: IndexedLine<'a, 'i>) -> Self {
        Self { index, pos: 0 }
    }

    /// Returns the line.
    #[inline(always)]
    pub(super) fn line(&self) -> &'a [u8] {
        self.index.line
    }

    /// Returns the offset of the next byte.
    #[inline(always)]
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// Returns whether the bytes before an offset are a quote and `name`.
    #[inline(always)]
    pub(super) fn ends_with<const N: usize>(&self, end: usize, name: &[u8; N]) -> bool {
        let text = self.index.line.get(..end).unwrap_or_default();
        text.split_last_chunk::<N>()
            .is_some_and(|(before, last)| last == name && before.last() == Some(&b'"'))
    }

    /// Returns the next byte.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.index.line.get(self.pos).copied()
    }

    /// Returns what was not passed.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.index.line.get(self.pos..).unwrap_or_default()
    }

    /// Passes `bytes` bytes.
    #[inline(always)]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.pos += bytes;
    }

    /// Returns `None` unless the whole line was passed.
    #[inline(always)]
    pub(super) fn end(&self) -> Option<()> {
        (self.pos == self.index.line.len()).then_some(())
    }

    /// Returns the walk after `text` if that is next.
    ///
    /// A new walk rather than a changed one: the position then depends on the text only where the
    /// branch goes the other way, and the processor need not wait for the comparison.
    #[inline(always)]
    pub(super) fn after<const N: usize>(self, text: &[u8; N]) -> Option<Self> {
        let next = self.index.line.get(self.pos..)?.first_chunk::<N>()?;
        (next == text).then_some(Self { pos: self.pos + N, ..self })
    }

    /// Passes an object, with `found` for each member.
    #[inline(always)]
    pub(super) fn members(&mut self, found: &mut impl Members) -> Option<()> {
        if self.peek()? != b'{' {
            return None;
        }
        self.pos += 1;
        if self.peek()? == b'}' {
            self.pos += 1;
            return Some(());
        }
        self.member(found)?;
        self.rest_of_members(found)
    }

    /// Passes the members after the first ones, and the end of the object.
    #[inline(always)]
    pub(super) fn rest_of_members(&mut self, found: &mut impl Members) -> Option<()> {
        loop {
            self.pos += 1;
            match self.index.line.get(self.pos - 1)? {
                b',' => self.member(found)?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    #[inline(always)]
    fn member(&mut self, found: &mut impl Members) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        // The quotes of the name and of its value are mostly among these.
        let quotes = without_lowest(self.index.quotes_from(self.pos)?);
        let start = self.pos + 1;
        let end = match quotes {
            0 => self.index.next_quote(start)?,
            _ => self.pos + quotes.trailing_zeros() as usize,
        };
        if self.index.has_backslash && has_backslash(self.index.line, start, end) {
            return None;
        }
        let word = u64::from_le_bytes(*self.index.line.get(start..)?.first_chunk()?);
        if *self.index.line.get(end + 1)? != b':' {
            return None;
        }
        self.pos = end + 2;
        let word = if end - start < 8 { word & !(u64::MAX << (8 * (end - start))) } else { word };
        found.take(self, Key { word, start, end, quotes: without_lowest(quotes) })
    }

    /// Passes the string that is the value of this member, and returns its place.
    #[inline(always)]
    pub(super) fn string_of(&mut self, key: Key) -> Option<FieldSpan> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.pos + 1;
        let end = match without_lowest(key.quotes) {
            0 => self.index.next_quote(start)?,
            quotes => key.start - 1 + quotes.trailing_zeros() as usize,
        };
        if self.index.has_backslash && has_backslash(self.index.line, start, end) {
            return None;
        }
        self.pos = end + 1;
        Some(FieldSpan::plain(start, end))
    }

    /// Returns whether a name is `name`, which has eight bytes or more.
    #[inline(always)]
    pub(super) fn is_key(&self, key: Key, name: &[u8]) -> bool {
        self.index.line.get(key.start..key.end) == Some(name)
    }

    /// Passes a string without escapes and returns its place.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Option<FieldSpan> {
        let FieldRange { start, end } = self.string_range()?;
        Some(FieldSpan::plain(start, end))
    }

    #[inline(always)]
    fn string_range(&mut self) -> Option<FieldRange> {
        if self.peek()? != b'"' {
            return None;
        }
        self.pos += 1;
        self.body_range()
    }

    /// Passes the rest of a string without escapes whose opening quote was passed, and returns its
    /// place.
    #[inline(always)]
    pub(super) fn string_body(&mut self) -> Option<FieldSpan> {
        let FieldRange { start, end } = self.body_range()?;
        Some(FieldSpan::plain(start, end))
    }

    #[inline(always)]
    fn body_range(&mut self) -> Option<FieldRange> {
        let (start, end) = (self.pos, self.index.next_quote(self.pos)?);
        if self.index.has_backslash && has_backslash(self.index.line, start, end) {
            return None;
        }
        self.pos = end + 1;
        Some(FieldRange { start, end })
    }

    /// Returns the bytes of a string.
    #[inline(always)]
    pub(super) fn text(&self, string: FieldSpan) -> &'a [u8] {
        string.bytes(self.index.line)
    }

    /// Passes an unsigned integer of at most sixteen digits, which is enough for times and sequence
    /// numbers of the next hundred years. What follows it is not checked.
    #[inline(always)]
    pub(super) fn integer(&mut self) -> Option<u64> {
        let text = self.index.line.get(self.pos..)?;
        let (value, count) = leading_digits(text);
        if count == 0 || (count > 1 && text.first() == Some(&b'0')) {
            return None;
        }
        self.pos += count;
        Some(value)
    }

    /// Returns the value of an integer that was passed; 0 for an empty text.
    #[inline(always)]
    pub(super) fn number_at(&self, digits: FieldSpan) -> u64 {
        if digits.plain_length() == 0 {
            return 0;
        }
        leading_digits(self.index.line.get(digits.start()..).unwrap_or_default()).0
    }

    /// Passes a value of any type.
    #[inline(always)]
    pub(super) fn skip(&mut self) -> Option<()> {
        self.pos = match self.peek()? {
            b'{' | b'[' => self.index.nested_end(self.pos)?,
            b'"' => self.index.next_quote(self.pos + 1)? + 1,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.pos + word_length(self.index.line.get(self.pos..)?)
            }
            _ => return None,
        };
        Some(())
    }

    /// Passes the rest of an object or array whose opening bracket was passed, and returns its place,
    /// with that bracket.
    #[inline(always)]
    pub(super) fn nested_body(&mut self) -> Option<FieldSpan> {
        let start = self.pos - 1;
        self.pos = self.index.nested_end(start)?;
        Some(FieldSpan::plain(start, self.pos))
    }

    /// Passes a value of any type and returns its place.
    #[inline(always)]
    pub(super) fn raw(&mut self) -> Option<FieldSpan> {
        let start = self.pos;
        self.skip()?;
        Some(FieldSpan::plain(start, self.pos))
    }
}

/// Returns the bits without the lowest one that is set.
#[inline(always)]
fn without_lowest(bits: u64) -> u64 {
    bits & bits.wrapping_sub(1)
}

#[cold]
fn has_backslash(line: &[u8], from: usize, to: usize) -> bool {
    memchr::memchr(b'\\', line.get(from..to).unwrap_or_default()).is_some()
}

/// Returns the length of the number or literal at the start of a text.
#[inline(never)]
fn word_length(text: &[u8]) -> usize {
    let is_word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    text.iter().take_while(is_word).count()
}
