//! The header of a commit whose members stand in the order in which today's servers write them
//! (protocol/jetstream-v1.md §7): read at their places, without looking for them.
//!
//! It is no judge: of whatever is unusual it knows nothing, and `header` reads it from the
//! beginning.

use std::borrow::Cow;

use super::blocks;
use super::marks::{Found, Narrow};
use super::parts::{Commit, Header, Kind, Operation};
use super::sheet::Sheet;

/// Reads the header of a line and checks the line's structure, where it is a commit in the
/// usual order, without a backslash outside of its record, and ends where such a commit does.
#[inline]
pub(super) fn parse(line: &[u8]) -> Option<Header<'_>> {
    #[cfg(target_arch = "x86_64")]
    if wide::is_here() {
        // SAFETY: the processor has what `wide::parse` is compiled for, since it was asked, and
        // nothing else is demanded of a caller. Measured (`cargo bench --bench parts header`):
        // 156 ns an event without this, 100 ns with it.
        #[allow(unsafe_code)]
        return unsafe { wide::parse(line) };
    }
    let (mut sheet, mut found) = (Sheet::empty(), Narrow::default());
    sheet.fill(line, |block| found.marks(block))?;
    walk(line, &mut sheet, found.found(), blocks::parity)
}

/// With the instructions that most x86 machines of the last ten years have.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Header, Sheet, walk};
    use crate::event::marks::avx2::{Wide, parity};

    #[inline(always)]
    pub(super) fn is_here() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("pclmulqdq")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    pub(super) fn parse(line: &[u8]) -> Option<Header<'_>> {
        let (mut sheet, mut found) = (Sheet::empty(), Wide::new());
        sheet.fill(line, |block| found.marks(block))?;
        walk(line, &mut sheet, found.found(), |bits| parity(bits))
    }
}

#[inline(always)]
fn walk<'a>(
    line: &'a [u8],
    sheet: &mut Sheet,
    found: Found,
    parity: impl Fn(u64) -> u64,
) -> Option<Header<'a>> {
    if found.has_control {
        return None;
    }
    let escapes = if found.has_backslash { Some(sheet.unescape(line)?) } else { None };
    let sheet = &*sheet;
    let mut walk = Walk { line, sheet, pos: 0 };
    let did = walk.string_after(b"{\"did\":\"")?;
    let time_us = walk.integer_after(b",\"time_us\":")?;
    let cursor = match walk.literal(b",\"cursor\":") {
        true => walk.integer()?,
        false => 0,
    };
    let rev = walk.string_after(b",\"kind\":\"commit\",\"commit\":{\"rev\":\"")?;
    let operation = walk.string_after(b",\"operation\":\"")?;
    let collection = walk.string_after(b",\"collection\":\"")?;
    let rkey = walk.string_after(b",\"rkey\":\"")?;
    let text = walk.text(found.is_ascii)?;
    // A deletion has neither.
    let mut record = 0..0;
    if walk.literal(b",\"record\":{") {
        record.start = walk.pos - 1;
        walk.pos = sheet.object_end(line, record.start, parity)?;
        record.end = walk.pos;
    }
    if walk.literal(b",\"cid\":\"") {
        walk.pos = sheet.quote(walk.pos)? + 1;
    }
    if line.get(walk.pos..)? != b"}}" {
        return None;
    }
    // Inside the record nobody reads; elsewhere it would say something else.
    if escapes
        .is_some_and(|escapes| escapes.start() < &record.start || escapes.end() >= &record.end)
    {
        return None;
    }
    let field = |(from, to): (usize, usize)| text.get(from..to).map(Cow::Borrowed);
    let operation_text = field(operation)?;
    Some(Header {
        did: field(did)?,
        time_us,
        cursor: Some(cursor).filter(|&seq| seq > 0),
        kind: Kind::Commit,
        kind_text: Cow::Borrowed("commit"),
        commit: Some(Commit {
            rev: field(rev)?,
            operation: Operation::of(&operation_text),
            operation_text,
            collection: field(collection)?,
            rkey: field(rkey)?,
        }),
        relay_seq: None,
    })
}

/// A place in a line, moving forward only.
struct Walk<'a, 'b> {
    line: &'a [u8],
    sheet: &'b Sheet,
    pos: usize,
}

impl<'a> Walk<'a, '_> {
    /// Takes `text` if it comes next.
    #[inline(always)]
    fn literal(&mut self, text: &[u8]) -> bool {
        let found = self.line.get(self.pos..).is_some_and(|rest| rest.starts_with(text));
        self.pos += if found { text.len() } else { 0 };
        found
    }

    /// Takes `before`, which ends with an opening quote, and the string that it opens; gives
    /// that string's place.
    #[inline(always)]
    fn string_after(&mut self, before: &[u8]) -> Option<(usize, usize)> {
        if !self.literal(before) {
            return None;
        }
        let from = self.pos;
        let to = self.sheet.quote(from)?;
        self.pos = to + 1;
        Some((from, to))
    }

    #[inline(always)]
    fn integer_after(&mut self, before: &[u8]) -> Option<u64> {
        self.literal(before).then(|| self.integer())?
    }

    /// Takes an unsigned integer that a comma follows: at most sixteen digits, as a time and a
    /// sequence number have for the next hundred years.
    #[inline(always)]
    fn integer(&mut self) -> Option<u64> {
        let digits = self.line.get(self.pos..)?;
        let (value, length) = blocks::digits(digits.first_chunk()?)?;
        let has_leading_zero = length > 1 && digits.first() == Some(&b'0');
        if has_leading_zero || digits.get(length) != Some(&b',') {
            return None;
        }
        self.pos += length;
        Some(value)
    }

    /// The line as text, as far as it was walked. All of it is UTF-8, or there is none.
    #[inline(always)]
    fn text(&self, is_ascii: bool) -> Option<&'a str> {
        let walked = if is_ascii { self.line.get(..self.pos)? } else { self.line };
        simdutf8::basic::from_utf8(walked).ok()
    }
}
