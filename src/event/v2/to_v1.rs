//! Converts a v2 event to the line that the same server prints on `/subscribe`.
//!
//! Source: protocol/jetstream-v2.md §7 for the mapping, protocol/jetstream-v1.md §7 for the order
//! of members. Strings and records are copied byte by byte: encoding them again would change
//! numbers such as `1e21`.

use crate::event::digits::sixteen_digits;
use crate::event::header_spans::{BodySpans, CommitSpans, FieldSpan, HeaderSpans};

use super::payload::{Body, Change, Event};

/// An upper bound of the bytes of a line that are not copied from the message, and of those that
/// [`LineWriter::text`] writes after the text.
const FRAME_BYTES: usize = 256;

impl Event<'_> {
    /// Appends the event as a line in v1 format, without a line feed, and returns the places of its
    /// header fields. Escapes are not checked. A sync, which v1 never had, becomes
    /// `"kind":"sync","sync":{…}`.
    #[inline]
    pub fn write_v1_line(&self, out: &mut Vec<u8>) -> HeaderSpans {
        let start = out.len();
        // Every part of the message is written at most once.
        out.resize(start + FRAME_BYTES + self.message.len(), 0);
        let line = out.get_mut(start..).unwrap_or_default();
        let mut writer = LineWriter { line, at: 0, message: self.message };
        let spans = self.write(&mut writer);
        let end = start + writer.at;
        out.truncate(end);
        spans
    }

    /// Returns the number of bytes that [`Event::write_line`] needs.
    #[must_use]
    #[inline]
    pub fn line_room(&self) -> usize {
        FRAME_BYTES + self.message.len()
    }

    /// Writes the event as a line in v1 format, without a line feed, to the start of `line`, which has
    /// at least [`Event::line_room`] bytes. The bytes after the line may change, too. Returns its
    /// length and the places of its header fields. Escapes are not checked.
    #[inline]
    pub fn write_line(&self, line: &mut [u8]) -> (usize, HeaderSpans) {
        let mut writer = LineWriter { line, at: 0, message: self.message };
        let spans = self.write(&mut writer);
        (writer.at, spans)
    }

    #[inline(always)]
    fn write(&self, to: &mut LineWriter<'_, '_>) -> HeaderSpans {
        to.literal(b"{\"did\":\"");
        let did = to.text::<32>(self.did);
        to.literal(b"\",\"time_us\":");
        to.number(self.time_us);
        to.literal(b",\"cursor\":");
        to.text::<16>(self.seq_digits);
        let body = match &self.body {
            Body::Commit(change) => BodySpans::Commit(change.write(to)),
            Body::Relayed(kind, relayed) => {
                let word = kind.word().as_bytes();
                for part in [b",\"kind\":\"", word, b"\",\"", word, b"\":"] {
                    to.bytes(part);
                }
                to.text::<32>(relayed.json);
                BodySpans::Relayed(*kind, relayed.seq)
            }
        };
        to.literal(b"}");
        HeaderSpans::new(did, self.time_us, self.seq, body)
    }
}

impl Change {
    #[inline(always)]
    fn write(&self, to: &mut LineWriter<'_, '_>) -> CommitSpans {
        to.literal(b",\"kind\":\"commit\",\"commit\":{\"rev\":\"");
        let rev = to.text::<16>(self.fields.rev);
        to.literal(b"\",\"operation\":\"");
        let operation = to.text::<16>(self.fields.operation);
        to.literal(b"\",\"collection\":\"");
        let collection = to.text::<32>(self.fields.collection);
        to.literal(b"\",\"rkey\":\"");
        let rkey = to.text::<16>(self.fields.rkey);
        to.literal(b"\"");
        if let Some(record) = self.record {
            to.literal(b",\"record\":");
            to.text::<32>(record);
        }
        if let Some(cid) = self.cid {
            to.literal(b",\"cid\":");
            to.text::<64>(cid);
        }
        to.literal(b"}");
        CommitSpans { rev, operation, collection, rkey }
    }
}

/// Writes one line into a buffer that has room for all of it. What does not fit is not written.
struct LineWriter<'a, 'b> {
    line: &'a mut [u8],
    at: usize,
    message: &'b [u8],
}

impl LineWriter<'_, '_> {
    #[inline(always)]
    fn literal<const N: usize>(&mut self, text: &[u8; N]) {
        if let Some(to) = self.line.get_mut(self.at..).and_then(|to| to.first_chunk_mut()) {
            *to = *text;
        }
        self.at += N;
    }

    /// Copies a text of the message and returns its new place. One of at most `N` bytes, which most
    /// are, is copied as `N` bytes, without a loop or a call; later texts overwrite those after it.
    #[inline(always)]
    fn text<const N: usize>(&mut self, text: FieldSpan) -> FieldSpan {
        let place = text.moved_to(self.at);
        let bytes = text.bytes(self.message);
        let from = self.message.get(text.start()..).and_then(|from| from.first_chunk::<N>());
        let to = self.line.get_mut(self.at..).and_then(|to| to.first_chunk_mut::<N>());
        match (from, to) {
            (Some(from), Some(to)) if bytes.len() <= N => {
                *to = *from;
                self.at += bytes.len();
            }
            _ => self.bytes(bytes),
        }
        place
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(to) = self.line.get_mut(self.at..end) {
            to.copy_from_slice(bytes);
        }
        self.at = end;
    }

    /// Writes a number in decimal. The formatting of the standard library takes several times as
    /// long.
    #[inline(always)]
    fn number(&mut self, number: u64) {
        // Times since 2001.
        if (1_000_000_000_000_000..10_000_000_000_000_000).contains(&number) {
            self.literal(&sixteen_digits(number));
        } else {
            self.bytes(number.to_string().as_bytes());
        }
    }
}
