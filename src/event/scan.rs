//! A scanner over the bytes of one JSON text: strings, integers, balanced values.
//!
//! It proves what a line must be to stay a line (brackets balanced, strings closed, no raw
//! control character anywhere), and hands out the strings and integers that a caller asks
//! for. It does not check the rest of the grammar (commas, numbers, literals inside values
//! that are only passed over): `--strict` does that, since it costs more than everything else
//! together.

use std::borrow::Cow;

use super::blocks::{self, BLOCK_BYTES};
use super::malformed::Malformed;

/// Deepest nesting accepted. Records are limited to 128 levels upstream
/// (protocol/jetstream-v2-archive.md §6), to which an event adds three and links a few.
const MAX_DEPTH: usize = 512;

/// A place in a line, moving forward only.
pub(super) struct Scanner<'a> {
    text: &'a str,
    pos: usize,
    /// Whether the line has a backslash anywhere; most have none.
    has_backslash: bool,
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
    #[inline]
    pub(super) fn decode(&self) -> Result<Cow<'a, str>, Malformed> {
        if self.has_escapes { self.unescape() } else { Ok(Cow::Borrowed(self.text)) }
    }

    #[cold]
    fn unescape(&self) -> Result<Cow<'a, str>, Malformed> {
        serde_json::from_str::<String>(&format!("\"{}\"", self.text))
            .map(Cow::Owned)
            .map_err(|_| Malformed { what: "bad escape in a string", at: self.at })
    }
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte. The text must be UTF-8, which is checked here because binary
    /// (compressed) messages never were, and have no raw control character.
    pub(super) fn new(line: &'a [u8]) -> Result<Self, Malformed> {
        let Ok(text) = simdutf8::basic::from_utf8(line) else {
            let at = std::str::from_utf8(line).err().map_or(0, |e| e.valid_up_to());
            return Err(Malformed { what: "invalid UTF-8", at });
        };
        let found = blocks::survey(line);
        if found.has_control {
            let at = line.iter().position(|&byte| byte < b' ').unwrap_or(0);
            return Err(Malformed { what: "raw control character", at });
        }
        Ok(Self { text, pos: 0, has_backslash: found.has_backslash })
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
        let start = self.pos;
        loop {
            let Some(quote) = blocks::find_quote(self.bytes(), self.pos) else {
                self.pos = self.bytes().len();
                return Err(self.malformed("unclosed string"));
            };
            self.pos = quote + 1;
            if !self.has_backslash {
                return Ok(false);
            }
            let body = self.bytes().get(start..self.pos - 1).unwrap_or_default();
            // What stands behind an odd number of backslashes is no quote that closes.
            let backslashes = body.iter().rev().take_while(|&&byte| byte == b'\\').count();
            if backslashes % 2 == 0 {
                return Ok(memchr::memchr(b'\\', body).is_some());
            }
        }
    }

    /// Takes an unsigned integer: digits only, no sign, fraction or exponent, no leading zero.
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
        let ends_well = matches!(digits.get(n), None | Some(b',' | b'}' | b']' | b' '));
        let has_leading_zero = n > 1 && digits.first() == Some(&b'0');
        if n == 0 || has_leading_zero || !ends_well {
            return Err(self.malformed(what));
        }
        self.pos += n;
        Ok(value)
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
            Some(b'{' | b'[') if self.has_backslash => self.skip_nested::<true>(),
            Some(b'{' | b'[') => self.skip_nested::<false>(),
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
    fn skip_nested<const BACKSLASHES: bool>(&mut self) -> Result<(), Malformed> {
        let bytes = self.bytes();
        let mut nesting = Nesting::default();
        // All ones while a string reaches into the next block.
        let mut in_string = 0_u64;
        let mut is_escaped = false;
        let mut base = self.pos;
        while let Some(bits) = blocks::bits::<BACKSLASHES>(bytes, base) {
            let mut quotes = bits.quotes;
            if BACKSLASHES {
                quotes &= !blocks::escaped(bits.backslashes, &mut is_escaped);
            }
            let inside = blocks::parity(quotes) ^ in_string;
            in_string = if inside >> 63 == 1 { u64::MAX } else { 0 };
            // Which escapes nothing: whether the quote behind it is one, nobody can say.
            let stray = if BACKSLASHES { bits.backslashes & !inside } else { 0 };
            let mut brackets = (bits.brackets & !inside) | stray;
            while brackets != 0 {
                let at = base + brackets.trailing_zeros() as usize;
                brackets &= brackets - 1;
                let byte = bytes.get(at).copied().unwrap_or_default();
                if BACKSLASHES && byte == b'\\' {
                    return Err(Malformed { what: "backslash outside of a string", at });
                }
                let is_over = nesting.meet(byte).map_err(|what| Malformed { what, at })?;
                if is_over {
                    self.pos = at + 1;
                    return Ok(());
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

/// The brackets that are open.
struct Nesting {
    /// One bit a level: set for an object.
    levels: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Default for Nesting {
    fn default() -> Self {
        Self { levels: [0; MAX_DEPTH / 64], depth: 0 }
    }
}

impl Nesting {
    /// Takes the next bracket; says whether it closes the outermost one.
    #[inline]
    fn meet(&mut self, bracket: u8) -> Result<bool, &'static str> {
        match bracket {
            b'{' | b'[' => {
                let Some(level) = self.levels.get_mut(self.depth / 64) else {
                    return Err("nested too deeply");
                };
                let bit = 1u64 << (self.depth % 64);
                *level = if bracket == b'{' { *level | bit } else { *level & !bit };
                self.depth += 1;
                Ok(false)
            }
            _ => {
                self.depth -= 1;
                let level = self.levels.get(self.depth / 64).copied().unwrap_or_default();
                let is_object = level & (1u64 << (self.depth % 64)) != 0;
                if is_object != (bracket == b'}') {
                    return Err("brackets don't match");
                }
                Ok(self.depth == 0)
            }
        }
    }
}
