//! Whole lines in one buffer: what the source passes to the sink.
//!
//! The buffers are reused. Messages of a WebSocket library in their place would pin the library's
//! read buffer as long as they live, which costs twice the wall time and three times the CPU.
//!
//! A batch may have gaps between its lines: a socket is read directly into the buffer, and each
//! frame's header leaves a gap. The dedup stage, which reads every line anyway, closes the gaps
//! ([`CompactBatch`]).
//!
//! Beside its lines a batch carries a sidecar: the places of each event's header fields. The first
//! stage that parses an event fills its entry, and no later stage parses that event again.

mod messages;

use super::format::EventFormat;
use super::header_spans::HeaderSpans;

pub use messages::{MessageDecoder, MessageObserver};

/// Lines in order, each followed by one line feed; there may be gaps between them.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// The place of each line. Bytes after the last span are a partial line.
    spans: Vec<Span>,
    /// The sidecar: the header fields of each line that was parsed. Entries at the end may be
    /// missing. It is allocated once and reused with the buffer.
    headers: Vec<Option<HeaderSpans>>,
    /// Whether the lines are messages that are not decoded yet: see [`Batch::decode`].
    is_encoded: bool,
}

/// The byte range of one line, its line feed included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The offset of the line's first byte.
    pub start: usize,
    /// The offset after its line feed.
    pub end: usize,
}

impl Span {
    /// Returns the number of bytes, the line feed included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.end - self.start
    }

    fn text(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end - 1).unwrap_or_default()
    }
}

impl Batch {
    /// Returns an empty batch that can take `bytes` bytes without a reallocation.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Appends `line`, which has no line feed, and a line feed.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.end_line();
    }

    /// Appends `line` as [`Batch::push`] does, with its entry of a batch's sidecar.
    pub fn push_with(&mut self, line: &[u8], header: Option<HeaderSpans>) {
        self.bytes.extend_from_slice(line);
        self.end_line_with(header);
    }

    /// Appends the lines of another batch, without its gaps. Both are encoded, or neither is.
    pub fn append(&mut self, other: &Self) {
        debug_assert!(self.is_encoded == other.is_encoded || self.is_empty() || other.is_empty());
        self.is_encoded |= other.is_encoded;
        for (i, line) in other.lines().enumerate() {
            self.push_with(line, other.header(i));
        }
    }

    /// Returns the buffer, for appending one line in place. [`Batch::end_line`] or
    /// [`Batch::take_line`] completes the line; [`Batch::discard_partial_line`] removes it.
    pub fn line_buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Returns the bytes that were appended after the last complete line.
    #[must_use]
    pub fn partial_line(&self) -> &[u8] {
        self.bytes.get(self.end()..).unwrap_or_default()
    }

    /// Completes the line that was appended through [`Batch::line_buffer`].
    pub fn end_line(&mut self) {
        let start = self.end();
        self.bytes.push(b'\n');
        self.spans.push(Span { start, end: self.bytes.len() });
    }

    /// Completes the line as [`Batch::end_line`] does, with its entry of the sidecar.
    #[inline]
    pub fn end_line_with(&mut self, header: Option<HeaderSpans>) {
        self.end_line();
        if header.is_some() {
            self.headers.resize(self.spans.len() - 1, None);
            self.headers.push(header);
        }
    }

    /// Returns the header fields of the line with this index; `None` if it was not parsed yet.
    #[must_use]
    #[inline]
    pub fn header(&self, index: usize) -> Option<HeaderSpans> {
        self.headers.get(index).copied().flatten()
    }

    /// Returns the header fields of the line with this index, and parses the line if it was not
    /// parsed yet. `None` if the line is malformed or does not exist.
    pub fn header_or_parse(&mut self, index: usize, format: EventFormat) -> Option<HeaderSpans> {
        if let Some(header) = self.header(index) {
            return Some(header);
        }
        let line = self.spans.get(index)?.text(&self.bytes);
        let header = format.parse_spans(line).ok()?;
        if self.headers.len() <= index {
            self.headers.resize(index + 1, None);
        }
        *self.headers.get_mut(index)? = Some(header);
        Some(header)
    }

    /// Returns the header fields of the last line, as [`Batch::header_or_parse`] does.
    pub fn header_of_last(&mut self, format: EventFormat) -> Option<HeaderSpans> {
        self.header_or_parse(self.len().checked_sub(1)?, format)
    }

    /// Completes a line of `length` bytes that begins `gap` bytes into the partial line. The line
    /// feed overwrites the byte after the line; returns that byte, if there was one.
    ///
    /// # Panics
    /// If the partial line is shorter than `gap + length`.
    #[inline]
    pub fn take_line(&mut self, gap: usize, length: usize) -> Option<u8> {
        let start = self.end() + gap;
        let end = start + length;
        self.spans.push(Span { start, end: end + 1 });
        if end == self.bytes.len() {
            self.bytes.push(b'\n');
            return None;
        }
        Some(std::mem::replace(&mut self.bytes[end], b'\n'))
    }

    /// Removes the bytes after the last complete line.
    pub fn discard_partial_line(&mut self) {
        self.bytes.truncate(self.end());
    }

    /// Returns the number of bytes that can be appended without a reallocation.
    #[must_use]
    pub fn room_bytes(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Returns the number of complete lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there is no complete line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the number of bytes in the buffer: lines, line feeds, gaps and the partial line.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the number of bytes that the batch takes in a queue: its buffer and its sidecar.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.bytes.len() + self.headers.len() * size_of::<Option<HeaderSpans>>()
    }

    /// Returns the number of bytes of the complete lines, without gaps and line feeds.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.spans.iter().map(|span| span.end - 1 - span.start).sum()
    }

    /// Returns the line with this index, without its line feed; an empty one if it does not exist.
    #[must_use]
    pub fn line(&self, index: usize) -> &[u8] {
        self.spans.get(index).map_or(&[], |span| span.text(&self.bytes))
    }

    /// Returns the lines without their line feeds.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.spans.iter().map(|span| span.text(&self.bytes))
    }

    /// Keeps the lines for which `keep` returns true, in order, and closes the gaps in place. `keep`
    /// also gets the line's entry of the sidecar, which it may fill.
    #[must_use]
    pub fn retain(
        mut self,
        mut keep: impl FnMut(&[u8], &mut Option<HeaderSpans>) -> bool,
    ) -> CompactBatch {
        let (mut end, mut kept) = (0, 0);
        self.headers.resize(self.spans.len(), None);
        for i in 0..self.spans.len() {
            let span = self.spans[i];
            if keep(span.text(&self.bytes), &mut self.headers[i]) {
                let start = end;
                end += span.end - span.start;
                if span.start != start {
                    self.bytes.copy_within(span.start..span.end, start);
                }
                self.spans[kept] = Span { start, end };
                if i != kept {
                    self.headers[kept] = self.headers[i];
                }
                kept += 1;
            }
        }
        self.bytes.truncate(end);
        self.spans.truncate(kept);
        self.headers.truncate(kept);
        CompactBatch(self)
    }

    /// Removes the first `lines` lines, or all if there are fewer.
    pub fn remove_first(&mut self, lines: usize) {
        self.spans.drain(..lines.min(self.spans.len()));
        self.headers.drain(..lines.min(self.headers.len()));
        self.discard_partial_line();
    }

    /// Removes all but the first `lines` lines.
    pub fn truncate(&mut self, lines: usize) {
        self.spans.truncate(lines);
        self.headers.truncate(lines);
        self.discard_partial_line();
    }

    /// Moves the lines from this index on into a new batch, without gaps.
    #[must_use]
    pub fn split_off(&mut self, first: usize) -> Self {
        let mut rest = Self::default();
        if first == 0 {
            return std::mem::take(self);
        }
        for (i, line) in self.lines().enumerate().skip(first) {
            rest.push_with(line, self.header(i));
        }
        self.truncate(first);
        rest
    }

    /// Removes all lines. Keeps at most `keep_bytes` of allocated memory for lines, and as much for
    /// the sidecar.
    pub fn reset(&mut self, keep_bytes: usize) {
        self.bytes.clear();
        self.spans.clear();
        self.headers.clear();
        self.is_encoded = false;
        self.bytes.shrink_to(keep_bytes);
        self.headers.shrink_to(keep_bytes / size_of::<Option<HeaderSpans>>());
    }

    /// Returns the offset after the last complete line.
    #[inline]
    fn end(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }
}

/// Lines without gaps, so that one write can output them all.
#[derive(Debug, Default)]
pub struct CompactBatch(Batch);

impl CompactBatch {
    /// Returns a batch of the output that was rendered from lines. `spans` has the place of each
    /// line's output: back to back in `bytes`, and possibly empty. There are no header fields.
    #[must_use]
    pub fn from_parts(bytes: Vec<u8>, spans: Vec<Span>) -> Self {
        Self(Batch { bytes, spans, headers: Vec::new(), is_encoded: false })
    }

    /// Returns the two buffers of [`CompactBatch::from_parts`], for reuse.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Vec<Span>) {
        (self.0.bytes, self.0.spans)
    }

    /// Returns all lines with their line feeds, back to back.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Returns the place of each line in [`CompactBatch::bytes`].
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.0.spans
    }

    /// Returns the number of complete lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no complete line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the lines without their line feeds.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.lines()
    }

    /// Returns the header fields of the line with this index; `None` if it was not parsed yet.
    #[must_use]
    #[inline]
    pub fn header(&self, index: usize) -> Option<HeaderSpans> {
        self.0.header(index)
    }

    /// Returns the lines as a batch, to which more lines can be appended.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        self.0
    }
}

impl From<Batch> for CompactBatch {
    fn from(batch: Batch) -> Self {
        batch.retain(|_, _| true)
    }
}

#[cfg(test)]
mod tests;
