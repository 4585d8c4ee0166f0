//! Where the header fields of an event are in its line, so that its header need not be parsed
//! again.

use std::borrow::Cow;

use super::error::Malformed;
use super::event_id::Identity;
use super::header_types::{Commit, Header, Kind, Operation};
use super::scanner::{RawString, unescape};

/// The length of a line in bytes from which on its places don't fit in a [`FieldSpan`].
const LINE_LIMIT: usize = ESCAPED as usize;

/// The bit of [`FieldSpan::length`] for a string with escapes.
const ESCAPED: u32 = 1 << 31;

/// The place of a string in its line, without its quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSpan {
    /// The offset of its first byte from the start of the line.
    start: u32,
    /// The number of its bytes, and [`ESCAPED`].
    length: u32,
}

impl FieldSpan {
    /// Returns the span of a string without escapes. The line must be shorter than [`LINE_LIMIT`].
    #[inline(always)]
    pub(super) fn plain(start: usize, end: usize) -> Self {
        Self { start: start as u32, length: (end - start) as u32 }
    }

    /// Returns the span of a string that starts at this offset of its line. The line must be
    /// shorter than [`LINE_LIMIT`].
    #[inline]
    pub(super) fn of(string: &RawString<'_>, start: usize) -> Self {
        let escaped = if string.has_escapes() { ESCAPED } else { 0 };
        Self { start: start as u32, length: string.raw().len() as u32 | escaped }
    }

    #[inline]
    fn has_escapes(self) -> bool {
        self.length & ESCAPED != 0
    }

    /// Returns the offset of its first byte.
    #[inline]
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// Returns the number of bytes of a string without escapes.
    #[inline]
    pub(super) fn plain_length(self) -> usize {
        (self.length & !ESCAPED) as usize
    }

    /// Returns the same string at another offset.
    #[inline]
    pub(super) fn moved_to(self, start: usize) -> Self {
        Self { start: start as u32, ..self }
    }

    /// Returns the string's bytes, with escapes.
    #[inline]
    pub(super) fn bytes(self, line: &[u8]) -> &[u8] {
        let start = self.start as usize;
        line.get(start..start + (self.length & !ESCAPED) as usize).unwrap_or_default()
    }

    /// Fails if the string has an invalid escape.
    #[inline]
    pub(super) fn check_escapes(self, line: &[u8]) -> Result<(), Malformed> {
        let is_sound = !self.has_escapes()
            || std::str::from_utf8(self.bytes(line)).is_ok_and(|text| unescape(text).is_some());
        let bad_escape = Malformed { what: "bad escape in a string", at: self.start() };
        is_sound.then_some(()).ok_or(bad_escape)
    }

    /// Returns the string, with escapes decoded.
    #[inline]
    fn text(self, line: &[u8]) -> Cow<'_, str> {
        self.decoded(std::str::from_utf8(self.bytes(line)).unwrap_or_default())
    }

    /// As [`FieldSpan::text`], for a line that is known to be text.
    #[inline]
    fn text_in(self, line: &str) -> Cow<'_, str> {
        let start = self.start as usize;
        self.decoded(line.get(start..start + self.plain_length()).unwrap_or_default())
    }

    #[inline]
    fn decoded(self, text: &str) -> Cow<'_, str> {
        match self.has_escapes() {
            true => Cow::Owned(unescape(text).unwrap_or_default()),
            false => Cow::Borrowed(text),
        }
    }
}

/// The header fields of one event: its numbers, and the places of its strings in its line.
///
/// The places count from the start of the line, so that they stay true when the line is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderSpans {
    /// The server's timestamp in Unix microseconds.
    pub time_us: u64,
    /// The sequence number that v2 servers add; 0 for an event of a legacy server.
    cursor: u64,
    did: FieldSpan,
    body: BodySpans,
}

/// The places of a commit's header fields in its line, as a writer notes them. The line must have
/// them without escapes.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommitPlaces {
    /// The start and the end of the DID, without its quotes.
    pub did: (usize, usize),
    /// The same of the rev.
    pub rev: (usize, usize),
    /// The same of the operation.
    pub operation: (usize, usize),
    /// The same of the collection.
    pub collection: (usize, usize),
    /// The same of the rkey.
    pub rkey: (usize, usize),
}

/// The servers on which an event has the same dedup key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityScope {
    /// All servers.
    Everywhere,
    /// The servers that read the same relay, whose number is in the key.
    Relay,
    /// One server, whose time is in the key.
    Server,
}

/// The fields that depend on an event's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodySpans {
    /// A commit.
    Commit(CommitSpans),
    /// A commit without the object `commit`.
    EmptyCommit,
    /// An identity, account or sync event, and the relay's `seq`.
    Relayed(Kind, Option<u64>),
    /// An event of a later kind, and the place of its `kind`.
    Other(FieldSpan),
}

/// The places of the fields that name a commit. A field that is missing is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CommitSpans {
    pub(super) rev: FieldSpan,
    pub(super) operation: FieldSpan,
    pub(super) collection: FieldSpan,
    pub(super) rkey: FieldSpan,
}

/// The sidecar of a batch has one entry per event, which should fill one line of the cache.
const _: () = assert!(size_of::<Option<HeaderSpans>>() == 64);

impl HeaderSpans {
    #[inline(always)]
    pub(super) fn new(did: FieldSpan, time_us: u64, cursor: u64, body: BodySpans) -> Self {
        Self { time_us, cursor, did, body }
    }

    /// Returns the fields of a commit that was written as a line of `line_bytes` bytes; `None` if the
    /// line is too long.
    #[must_use]
    #[inline]
    pub fn of_commit(
        time_us: u64,
        cursor: u64,
        places: &CommitPlaces,
        line_bytes: usize,
    ) -> Option<Self> {
        let span = |(start, end)| FieldSpan::plain(start, end);
        let spans = CommitSpans {
            rev: span(places.rev),
            operation: span(places.operation),
            collection: span(places.collection),
            rkey: span(places.rkey),
        };
        let spans = Self::new(span(places.did), time_us, cursor, BodySpans::Commit(spans));
        spans.as_parsed(line_bytes)
    }

    /// Returns the sequence number that v2 servers add; `None` for an event of a legacy server.
    #[must_use]
    #[inline]
    pub fn cursor(&self) -> Option<u64> {
        Some(self.cursor).filter(|&seq| seq > 0)
    }

    /// Returns the DID of the line that was parsed.
    #[must_use]
    pub fn did<'a>(&self, line: &'a [u8]) -> Cow<'a, str> {
        self.did.text(line)
    }

    /// Returns the header. `line` must be the line that was parsed, byte for byte.
    #[must_use]
    #[inline]
    pub fn header<'a>(&self, line: &'a [u8]) -> Header<'a> {
        // All of it at once, because a check of each field takes longer.
        let line = simdutf8::basic::from_utf8(line).unwrap_or_default();
        let (kind, commit, relay_seq) = match &self.body {
            BodySpans::Commit(spans) => (Kind::Commit, Some(spans.commit(line)), None),
            BodySpans::EmptyCommit => (Kind::Commit, None, None),
            BodySpans::Relayed(kind, seq) => (*kind, None, *seq),
            BodySpans::Other(_) => (Kind::Other, None, None),
        };
        let kind_text = match self.body {
            BodySpans::Other(span) => span.text_in(line),
            _ => Cow::Borrowed(kind.word()),
        };
        Header {
            did: self.did.text_in(line),
            time_us: self.time_us,
            cursor: self.cursor(),
            kind,
            kind_text,
            commit,
            relay_seq,
        }
    }

    /// Returns spans that a decoder noted while it wrote a line of this length, if they replace a
    /// parse of that line. They don't if a field has escapes, which the decoder did not check, or if
    /// the line is too long.
    #[must_use]
    #[inline]
    pub fn as_parsed(self, line_bytes: usize) -> Option<Self> {
        (line_bytes < LINE_LIMIT && !self.has_escapes()).then_some(self)
    }

    /// Returns whether a header field has escapes.
    #[inline]
    fn has_escapes(&self) -> bool {
        let body = match &self.body {
            BodySpans::Commit(spans) => spans.has_escapes(),
            BodySpans::Other(kind) => kind.has_escapes(),
            BodySpans::EmptyCommit | BodySpans::Relayed(..) => false,
        };
        self.did.has_escapes() || body
    }

    /// Returns on which servers the event has the same dedup key.
    #[must_use]
    pub fn identity_scope(&self) -> IdentityScope {
        match &self.body {
            BodySpans::Commit(spans) if spans.rev.length > 0 => IdentityScope::Everywhere,
            BodySpans::Relayed(_, Some(seq)) if *seq > 0 => IdentityScope::Relay,
            _ => IdentityScope::Server,
        }
    }

    /// Returns the DID and the fields of a commit with a rev; `None` for another event, and if a
    /// field has escapes.
    #[inline(always)]
    pub(super) fn plain_commit(&self) -> Option<(FieldSpan, &CommitSpans)> {
        match &self.body {
            BodySpans::Commit(spans) if spans.rev.length > 0 && !self.has_escapes() => {
                Some((self.did, spans))
            }
            _ => None,
        }
    }

    /// Returns the bytes of a commit's collection; `None` for another event, and if a field has escapes.
    #[must_use]
    #[inline]
    pub fn plain_collection<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        match &self.body {
            BodySpans::Commit(spans) if !self.has_escapes() => Some(spans.collection.bytes(line)),
            _ => None,
        }
    }

    /// Returns the DID and the other fields that identify the event; `None` if a field has escapes,
    /// which have to be decoded first.
    #[inline]
    pub(super) fn identity<'a>(&self, line: &'a [u8]) -> Option<(&'a [u8], Identity<'a>)> {
        if self.has_escapes() {
            return None;
        }
        let identity = match &self.body {
            BodySpans::Commit(spans) if spans.rev.length > 0 => Identity::Commit {
                rev: spans.rev.bytes(line),
                operation: spans.operation.bytes(line),
                collection: spans.collection.bytes(line),
                rkey: spans.rkey.bytes(line),
            },
            BodySpans::Commit(_) | BodySpans::EmptyCommit => {
                Identity::Other { kind: Kind::Commit.word().as_bytes() }
            }
            BodySpans::Relayed(kind, Some(seq)) if *seq > 0 => {
                Identity::Relayed { kind: kind.word().as_bytes(), seq: *seq }
            }
            BodySpans::Relayed(kind, _) => Identity::Other { kind: kind.word().as_bytes() },
            BodySpans::Other(kind) => Identity::Other { kind: kind.bytes(line) },
        };
        Some((self.did.bytes(line), identity))
    }
}

impl CommitSpans {
    #[inline]
    fn commit<'a>(&self, line: &'a str) -> Commit<'a> {
        let operation_text = self.operation.text_in(line);
        Commit {
            rev: self.rev.text_in(line),
            operation: Operation::from_word(&operation_text),
            operation_text,
            collection: self.collection.text_in(line),
            rkey: self.rkey.text_in(line),
        }
    }

    #[inline]
    fn has_escapes(&self) -> bool {
        let lengths = self.rev.length | self.operation.length;
        (lengths | self.collection.length | self.rkey.length) & ESCAPED != 0
    }
}

/// Fails for a line whose places don't fit in [`HeaderSpans`].
#[inline]
pub(super) fn check_length(line: &[u8]) -> Result<(), Malformed> {
    if line.len() < LINE_LIMIT {
        return Ok(());
    }
    Err(Malformed { what: "a line of 2 GiB or more", at: LINE_LIMIT })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header::{parse, parse_spans};

    #[test]
    fn spans_stay_true_when_their_line_is_moved() {
        let line = br#"{"time_us":1,"kind":"new","did":"d\u0069d"}"#;
        let spans = parse_spans(line).unwrap();
        let moved = line.to_vec();
        assert_eq!(spans.header(&moved), parse(line).unwrap());
        assert_eq!((spans.did(&moved), spans.time_us), ("did".into(), 1));
    }

    #[test]
    fn spans_of_a_decoder_replace_no_parse_if_a_field_has_escapes_or_the_line_is_too_long() {
        let of = |did: &str, kind: &str| {
            let line = format!(r#"{{"did":"{did}","time_us":1,"kind":"{kind}"}}"#);
            parse_spans(line.as_bytes()).unwrap()
        };
        let plain = of("d", "new");
        assert_eq!(plain.as_parsed(LINE_LIMIT - 1), Some(plain));
        assert_eq!(plain.as_parsed(LINE_LIMIT), None);
        for spans in [of("\\u0064", "new"), of("d", "n\\u0065w")] {
            assert_eq!(spans.as_parsed(100), None);
        }
    }

    #[test]
    fn spans_of_another_line_are_no_panic() {
        let spans = parse_spans(br#"{"did":"did:plc:a","time_us":1,"kind":"new"}"#).unwrap();
        for line in ["", "{", "{\"did\":\"\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}"] {
            let header = spans.header(line.as_bytes());
            assert_eq!((header.time_us, &*header.kind_text), (1, ""));
        }
    }
}
