//! A scanner over the bytes of one JSON text. It returns the strings and integers that its caller
//! asks for, and skips all other values.
//!
//! It checks that as many brackets are closed as are opened, strings are closed, and no raw control
//! character occurs, so that an event's output is always one line. It does not check the rest of the
//! grammar inside skipped values (which bracket closes which, commas, numbers, literals). `--strict`
//! does, because that costs more than everything else together.

use std::borrow::Cow;

use super::error::Malformed;
use super::simd::{self, BLOCK_BYTES};

/// The deepest accepted nesting. Servers limit records to 128 levels
/// (protocol/jetstream-v2-archive.md §6); an event adds three, and links add a few.
const MAX_DEPTH: usize = 512;

/// A position in a line that only moves forward.
pub(super) struct Scanner<'a> {
    text: &'a str,
    pos: usize,
    /// Whether the line contains a backslash; most lines do not.
    has_backslash: bool,
}

/// A string's bytes between its quotes, with escapes.
#[derive(Clone, Copy)]
pub(super) struct RawString<'a> {
    text: &'a str,
    has_escapes: bool,
    at: usize,
}

impl<'a> RawString<'a> {
    pub(super) fn raw(&self) -> &'a str {
        self.text
    }

    pub(super) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Returns the offset of its first byte in the scanned text.
    pub(super) fn start(&self) -> usize {
        self.at
    }

    /// Returns the value, with escapes decoded.
    #[inline]
    pub(super) fn decode(&self) -> Result<Cow<'a, str>, Malformed> {
        if self.has_escapes { self.unescape() } else { Ok(Cow::Borrowed(self.text)) }
    }

    #[cold]
    fn unescape(&self) -> Result<Cow<'a, str>, Malformed> {
        let bad_escape = Malformed { what: "bad escape in a string", at: self.at };
        unescape(self.text).map(Cow::Owned).ok_or(bad_escape)
    }
}

/// Decodes the escapes of a string; `None` if one of them is invalid.
#[cold]
pub(super) fn unescape(raw: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{raw}\"")).ok()
}

impl<'a> Scanner<'a> {
    /// Returns a scanner at the first byte. Fails unless the line is UTF-8 without raw control
    /// characters. UTF-8 is checked here because compressed messages arrive as binary ones, in
    /// which the WebSocket layer does not check it.
    pub(super) fn new(line: &'a [u8]) -> Result<Self, Malformed> {
        let Ok(text) = simdutf8::basic::from_utf8(line) else {
            let at = std::str::from_utf8(line).err().map_or(0, |e| e.valid_up_to());
            return Err(Malformed { what: "invalid UTF-8", at });
        };
        let found = simd::line_class(line);
        if found.has_control {
            let at = line.iter().position(|&byte| byte < b' ').unwrap_or(0);
            return Err(Malformed { what: "raw control character", at });
        }
        Ok(Self { text, pos: 0, has_backslash: found.has_backslash })
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Returns an error at the current position.
    pub(super) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.pos }
    }

    /// Skips spaces and returns the next byte without consuming it.
    ///
    /// JSON's other three white space characters are control characters, which could break a line
    /// or act on a terminal; [`Scanner::new`] rejects them.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while self.bytes().get(self.pos) == Some(&b' ') {
            self.pos += 1;
        }
        self.bytes().get(self.pos).copied()
    }

    /// Consumes `byte`, or fails with `what`.
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.malformed(what));
        }
        self.pos += 1;
        Ok(())
    }

    /// Consumes `byte` if it is next, and returns whether it was.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    /// Fails unless only spaces are left.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("text after the object")),
        }
    }

    /// Consumes a string, or fails with `what`.
    pub(super) fn string(&mut self, what: &'static str) -> Result<RawString<'a>, Malformed> {
        self.expect(b'"', what)?;
        let start = self.pos;
        let has_escapes = self.skip_string_body()?;
        let text = self.text.get(start..self.pos - 1).unwrap_or_default();
        Ok(RawString { text, has_escapes, at: start })
    }

    /// Moves past the closing quote; returns whether the string has a backslash.
    fn skip_string_body(&mut self) -> Result<bool, Malformed> {
        let start = self.pos;
        loop {
            let Some(quote) = simd::find_quote(self.bytes(), self.pos) else {
                self.pos = self.bytes().len();
                return Err(self.malformed("unclosed string"));
            };
            self.pos = quote + 1;
            if !self.has_backslash {
                return Ok(false);
            }
            let body = self.bytes().get(start..self.pos - 1).unwrap_or_default();
            // A quote after an odd number of backslashes is escaped.
            let backslashes = body.iter().rev().take_while(|&&byte| byte == b'\\').count();
            if backslashes % 2 == 0 {
                return Ok(memchr::memchr(b'\\', body).is_some());
            }
        }
    }

    /// Consumes an unsigned integer, or fails with `what`. It must consist of digits, without sign,
    /// fraction, exponent or leading zero.
    pub(super) fn integer(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.peek();
        let digits = self.bytes().get(self.pos..).unwrap_or_default();
        let (mut value, mut n) = (0_u64, 0);
        while let Some(digit) = digits.get(n).filter(|byte| byte.is_ascii_digit()) {
            let next = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0')));
            let Some(next) = next else { return Err(self.malformed(what)) };
            value = next;
            n += 1;
        }
        let is_complete = matches!(digits.get(n), None | Some(b',' | b'}' | b']' | b' '));
        let has_leading_zero = n > 1 && digits.first() == Some(&b'0');
        if n == 0 || has_leading_zero || !is_complete {
            return Err(self.malformed(what));
        }
        self.pos += n;
        Ok(value)
    }

    /// Skips spaces and returns the offset of the next value.
    pub(super) fn offset(&mut self) -> usize {
        self.peek();
        self.pos
    }

    /// Returns the text from an offset to the current position.
    pub(super) fn text_since(&self, offset: usize) -> &'a str {
        self.text.get(offset..self.pos).unwrap_or_default()
    }

    /// Skips one value of any type.
    pub(super) fn skip_value(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => {
                self.pos += 1;
                self.skip_string_body().map(drop)
            }
            Some(b'{' | b'[') if self.has_backslash => self.skip_nested::<true>(),
            Some(b'{' | b'[') => self.skip_nested::<false>(),
            Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => self.skip_word(),
            _ => Err(self.malformed("value expected")),
        }
    }

    /// Skips a number or a literal.
    fn skip_word(&mut self) -> Result<(), Malformed> {
        let rest = self.bytes().get(self.pos..).unwrap_or_default();
        let is_word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        self.pos += rest.iter().take_while(is_word).count();
        Ok(())
    }

    /// Skips an object or array; checks only its strings, and that it is closed.
    fn skip_nested<const BACKSLASHES: bool>(&mut self) -> Result<(), Malformed> {
        let bytes = self.bytes();
        let mut depth = 0;
        // All ones while a string continues into the next block.
        let mut in_string = 0_u64;
        let mut escaped = 0;
        let mut base = self.pos;
        while let Some(bits) = simd::block_bits::<BACKSLASHES>(bytes, base) {
            let mut quotes = bits.quotes;
            if BACKSLASHES {
                quotes &= !simd::escaped(bits.backslashes, &mut escaped);
            }
            let inside = simd::prefix_xor(quotes) ^ in_string;
            in_string = if inside >> 63 == 1 { u64::MAX } else { 0 };
            // A backslash outside of a string is a fault: it is undefined whether it escapes the
            // quote after it.
            let stray = if BACKSLASHES { bits.backslashes & !inside } else { 0 };
            let mut brackets = (bits.brackets & !inside) | stray;
            while brackets != 0 {
                let at = base + brackets.trailing_zeros() as usize;
                brackets &= brackets - 1;
                let byte = bytes.get(at).copied().unwrap_or_default();
                if BACKSLASHES && byte == b'\\' {
                    return Err(Malformed { what: "backslash outside of a string", at });
                }
                match byte {
                    b'{' | b'[' if depth == MAX_DEPTH => {
                        return Err(Malformed { what: "nested too deeply", at });
                    }
                    b'{' | b'[' => depth += 1,
                    _ if depth == 1 => {
                        self.pos = at + 1;
                        return Ok(());
                    }
                    _ => depth -= 1,
                }
            }
            base += BLOCK_BYTES;
        }
        self.pos = bytes.len();
        Err(self.malformed(match in_string {
            0 => "unclosed object or array",
            _ => "unclosed string",
        }))
    }
}
