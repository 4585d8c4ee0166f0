//! Parses the header of a commit whose members are in the order in which today's servers write
//! them (protocol/jetstream-v1.md §7), without comparing member names one by one.
//!
//! This fast path never rejects a line. For anything unexpected it returns `None`, and `header`
//! parses the line from its start.

use std::ops::Range;

use super::header_spans::{BodySpans, CommitSpans, FieldSpan, HeaderSpans};
use super::simd;
use super::simd::lanes::{LineClass, Portable};
use super::simd::structural_index::StructuralIndex;

/// Parses the header of a line and checks the line's structure. Returns `None` unless the line is
/// a commit in the expected order, with backslashes in its record only, and with no members after
/// the expected ones.
#[inline]
pub(super) fn parse(line: &[u8]) -> Option<HeaderSpans> {
    #[cfg(target_arch = "x86_64")]
    if avx2::is_supported() {
        // SAFETY: the line above checks that the processor has every feature that `avx2::parse` is
        // compiled for, which is the only condition on its callers. Measured (`cargo bench --bench
        // parts header`): 156 ns per event without this, 100 ns with it.
        #[allow(unsafe_code)]
        return unsafe { avx2::parse(line) };
    }
    let (mut index, mut classifier) = (StructuralIndex::empty(), Portable::default());
    index.fill(line, |block| classifier.classify(block))?;
    parse_indexed(line, &mut index, classifier.line_class(), simd::prefix_xor)
}

/// The same with AVX2 and PCLMULQDQ, which most x86 processors of the last ten years have.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{HeaderSpans, StructuralIndex, parse_indexed};
    use crate::event::simd::lanes::avx2::{Avx2, prefix_xor};

    #[inline(always)]
    pub(super) fn is_supported() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("pclmulqdq")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    pub(super) fn parse(line: &[u8]) -> Option<HeaderSpans> {
        let (mut index, mut classifier) = (StructuralIndex::empty(), Avx2::new());
        index.fill(line, |block| classifier.classify(block))?;
        parse_indexed(line, &mut index, classifier.line_class(), |bits| prefix_xor(bits))
    }
}

/// Parses the header of a line whose structural index is complete.
#[inline(always)]
fn parse_indexed(
    line: &[u8],
    index: &mut StructuralIndex,
    class: LineClass,
    prefix_xor: impl Fn(u64) -> u64,
) -> Option<HeaderSpans> {
    if class.has_control {
        return None;
    }
    let escapes = if class.has_backslash { Some(index.unescape(line)?) } else { None };
    let mut cursor = Cursor { line, index: &*index, pos: 0 };
    let spans = cursor.header()?;
    cursor.check_utf8(class.is_ascii)?;
    let record = cursor.rest(prefix_xor)?;
    // The record is only skipped, so its escapes don't matter. In any other string an escape would
    // have to be decoded.
    if escapes
        .is_some_and(|escapes| escapes.start() < &record.start || escapes.end() >= &record.end)
    {
        return None;
    }
    Some(spans)
}

/// A position in a line that only moves forward.
struct Cursor<'a, 'b> {
    line: &'a [u8],
    index: &'b StructuralIndex,
    pos: usize,
}

impl Cursor<'_, '_> {
    /// Consumes the header members, up to the rkey.
    #[inline(always)]
    fn header(&mut self) -> Option<HeaderSpans> {
        let did = self.string_after(b"{\"did\":\"")?;
        let time_us = self.integer_after(b",\"time_us\":")?;
        let seq = match self.literal(b",\"cursor\":") {
            true => self.integer()?,
            false => 0,
        };
        let rev = self.string_after(b",\"kind\":\"commit\",\"commit\":{\"rev\":\"")?;
        let operation = self.string_after(b",\"operation\":\"")?;
        let collection = self.string_after(b",\"collection\":\"")?;
        let rkey = self.string_after(b",\"rkey\":\"")?;
        let commit = CommitSpans { rev, operation, collection, rkey };
        Some(HeaderSpans::new(did, time_us, seq, BodySpans::Commit(commit)))
    }

    /// Consumes the record and the CID, which a delete does not have, and the end of the line.
    /// Returns the byte range of the record; `0..0` for a line without a record.
    #[inline(always)]
    fn rest(&mut self, prefix_xor: impl Fn(u64) -> u64) -> Option<Range<usize>> {
        let mut record = 0..0;
        if self.literal(b",\"record\":{") {
            record.start = self.pos - 1;
            self.pos = self.index.object_end(self.line, record.start, prefix_xor)?;
            record.end = self.pos;
        }
        if self.literal(b",\"cid\":\"") {
            self.pos = self.index.next_quote(self.pos)? + 1;
        }
        (self.line.get(self.pos..)? == b"}}").then_some(record)
    }

    /// Consumes `text` if it is next, and returns whether it was.
    #[inline(always)]
    fn literal(&mut self, text: &[u8]) -> bool {
        let found = self.line.get(self.pos..).is_some_and(|rest| rest.starts_with(text));
        self.pos += if found { text.len() } else { 0 };
        found
    }

    /// Consumes `before`, which ends with an opening quote, and the string that it opens. Returns
    /// the place of that string.
    #[inline(always)]
    fn string_after(&mut self, before: &[u8]) -> Option<FieldSpan> {
        if !self.literal(before) {
            return None;
        }
        let from = self.pos;
        let to = self.index.next_quote(from)?;
        self.pos = to + 1;
        Some(FieldSpan::plain(from, to))
    }

    #[inline(always)]
    fn integer_after(&mut self, before: &[u8]) -> Option<u64> {
        self.literal(before).then(|| self.integer())?
    }

    /// Consumes an unsigned integer that a comma follows. It has at most sixteen digits, which is
    /// enough for times and sequence numbers of the next hundred years.
    #[inline(always)]
    fn integer(&mut self) -> Option<u64> {
        let digits = self.line.get(self.pos..)?;
        let (value, length) = simd::parse_digits(digits.first_chunk()?)?;
        let has_leading_zero = length > 1 && digits.first() == Some(&b'0');
        if has_leading_zero || digits.get(length) != Some(&b',') {
            return None;
        }
        self.pos += length;
        Some(value)
    }

    /// Returns `None` unless the line is UTF-8.
    #[inline(always)]
    fn check_utf8(&self, is_ascii: bool) -> Option<()> {
        (is_ascii || simdutf8::basic::from_utf8(self.line).is_ok()).then_some(())
    }
}
