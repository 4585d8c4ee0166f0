//! A scanner over the bytes of one JSON text: strings, integers, balanced values.
//!
//! It proves what a line must be to stay a line (brackets balanced, strings closed, no raw
//! control character anywhere), and hands out the strings and integers that a caller asks
//! for. It does not check the rest of the grammar (commas, numbers, literals inside values
//! that are only passed over): `--strict` does that, since it costs more than everything else
//! together.

use std::borrow::Cow;

use super::malformed::Malformed;

/// Deepest nesting accepted. Records are limited to 128 levels upstream
/// (protocol/jetstream-v2-archive.md §6), to which an event adds three and links a few.
const MAX_DEPTH: usize = 512;

/// A place in a line, moving forward only.
pub(super) struct Scanner<'a> {
    text: &'a str,
    pos: usize,
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy)]
pub(super) struct RawString<'a> {
    text: &'a str,
    has_escapes: bool,
    at: usize,
}

impl<'a> RawString<'a> {
    /// The bytes between the quotes, escapes as they stand there.
    pub(super) fn raw(&self) -> &'a str {
        self.text
    }

    /// The string's value.
    pub(super) fn decode(&self) -> Result<Cow<'a, str>, Malformed> {
        if !self.has_escapes {
            return Ok(Cow::Borrowed(self.text));
        }
        serde_json::from_str::<String>(&format!("\"{}\"", self.text))
            .map(Cow::Owned)
            .map_err(|_| Malformed { what: "bad escape in a string", at: self.at })
    }
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte. The text must be UTF-8, which is checked here because binary
    /// (compressed) messages never were.
    pub(super) fn new(line: &'a [u8]) -> Result<Self, Malformed> {
        match simdutf8::basic::from_utf8(line) {
            Ok(text) => Ok(Self { text, pos: 0 }),
            Err(_) => {
                let at = std::str::from_utf8(line).err().map_or(0, |e| e.valid_up_to());
                Err(Malformed { what: "invalid UTF-8", at })
            }
        }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// An error here.
    pub(super) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.pos }
    }

    /// The next byte that is no blank, without taking it.
    ///
    /// Only the space counts as blank: the other three are raw control characters, which
    /// could break a line or a terminal.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while self.bytes().get(self.pos) == Some(&b' ') {
            self.pos += 1;
        }
        self.bytes().get(self.pos).copied()
    }

    /// Takes `byte`, or says what is missing.
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.malformed(what));
        }
        self.pos += 1;
        Ok(())
    }

    /// Takes `byte` if it comes next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    /// Fails unless only blanks are left.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("text after the object")),
        }
    }

    /// Takes a string.
    pub(super) fn string(&mut self, what: &'static str) -> Result<RawString<'a>, Malformed> {
        self.expect(b'"', what)?;
        let start = self.pos;
        let has_escapes = self.pass_string_body()?;
        let text = self.text.get(start..self.pos - 1).unwrap_or_default();
        Ok(RawString { text, has_escapes, at: start })
    }

    /// Passes to behind the closing quote; says whether a backslash was met.
    fn pass_string_body(&mut self) -> Result<bool, Malformed> {
        let bytes = self.bytes();
        let mut has_escapes = false;
        loop {
            self.pos += plain_prefix(bytes.get(self.pos..).unwrap_or_default());
            match bytes.get(self.pos) {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    // Whatever is escaped is no quote that closes; a control character is
                    // refused all the same.
                    match bytes.get(self.pos + 1) {
                        Some(0x20..) => self.pos += 2,
                        Some(_) => return Err(self.malformed("raw control character")),
                        None => return Err(self.malformed("unclosed string")),
                    }
                    // An escaped multi-byte character is no JSON, and would leave `pos` inside
                    // it; the next bytes are all >= 0x80 and are passed as plain ones.
                }
                Some(_) => return Err(self.malformed("raw control character")),
                None => return Err(self.malformed("unclosed string")),
            }
        }
    }

    /// Takes an unsigned integer: digits only, no sign, fraction or exponent, no leading zero.
    pub(super) fn integer(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.peek();
        let digits = self.bytes().get(self.pos..).unwrap_or_default();
        let n = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let ends_well = matches!(digits.get(n), None | Some(b',' | b'}' | b']' | b' '));
        let leading_zero = n > 1 && digits.first() == Some(&b'0');
        let value = self.text.get(self.pos..self.pos + n).and_then(|d| d.parse().ok());
        match value {
            Some(value) if ends_well && !leading_zero => {
                self.pos += n;
                Ok(value)
            }
            _ => Err(self.malformed(what)),
        }
    }

    /// Where the next value begins.
    pub(super) fn mark(&mut self) -> usize {
        self.peek();
        self.pos
    }

    /// What was passed since a mark.
    pub(super) fn since(&self, mark: usize) -> &'a str {
        self.text.get(mark..self.pos).unwrap_or_default()
    }

    /// Passes over one value of any type.
    pub(super) fn skip_value(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => {
                self.pos += 1;
                self.pass_string_body().map(drop)
            }
            Some(b'{' | b'[') => self.skip_nested(),
            Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => self.skip_word(),
            _ => Err(self.malformed("value expected")),
        }
    }

    /// Passes over a number or a literal.
    fn skip_word(&mut self) -> Result<(), Malformed> {
        let rest = self.bytes().get(self.pos..).unwrap_or_default();
        let is_word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        self.pos += rest.iter().take_while(is_word).count();
        Ok(())
    }

    /// Passes over an object or array by its brackets and strings alone.
    fn skip_nested(&mut self) -> Result<(), Malformed> {
        let bytes = self.bytes();
        // One bit a level: set for an object.
        let mut levels = [0u64; MAX_DEPTH / 64];
        let mut depth = 0usize;
        loop {
            let Some(&byte) = bytes.get(self.pos) else {
                return Err(self.malformed("unclosed object or array"));
            };
            match byte {
                b'"' => {
                    self.pos += 1;
                    self.pass_string_body()?;
                    continue;
                }
                b'{' | b'[' => {
                    let Some(level) = levels.get_mut(depth / 64) else {
                        return Err(self.malformed("nested too deeply"));
                    };
                    let bit = 1u64 << (depth % 64);
                    *level = if byte == b'{' { *level | bit } else { *level & !bit };
                    depth += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    let level = levels.get(depth / 64).copied().unwrap_or_default();
                    let is_object = level & (1u64 << (depth % 64)) != 0;
                    if is_object != (byte == b'}') {
                        return Err(self.malformed("brackets don't match"));
                    }
                    if depth == 0 {
                        self.pos += 1;
                        return Ok(());
                    }
                }
                0..=0x1f => return Err(self.malformed("raw control character")),
                _ => {}
            }
            self.pos += 1;
        }
    }
}

/// The number of leading bytes that are neither a quote, a backslash nor a control character.
/// Looks at eight bytes at a time.
fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let is_zero = |v: u64| v.wrapping_sub(ONES) & !v & HIGHS;

    let mut passed = 0;
    let (chunks, _) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let quote = is_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = is_zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        // A borrow can only mark bytes above a true hit, so the lowest mark is always true.
        let hits = quote | backslash | control;
        if hits != 0 {
            return passed + (hits.trailing_zeros() / 8) as usize;
        }
        passed += 8;
    }
    let rest = bytes.get(passed..).unwrap_or_default();
    passed + rest.iter().take_while(|&&b| b >= 0x20 && b != b'"' && b != b'\\').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_prefix_agrees_with_one_byte_at_a_time(
            bytes in prop::collection::vec(
                prop_oneof![8 => 0x20u8..=0xff, 1 => Just(b'"'), 1 => Just(b'\\'), 1 => 0u8..0x20],
                0..64,
            )
        ) {
            let slow = bytes.iter().take_while(|&&b| b >= 0x20 && b != b'"' && b != b'\\').count();
            prop_assert_eq!(plain_prefix(&bytes), slow);
        }
    }
}
