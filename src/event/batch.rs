//! Whole lines in one buffer: the unit that travels from source to sink.
//!
//! A message of a WebSocket library pins the library's read buffer for as long as it lives, so
//! sending messages costs twice the wall time and three times the CPU of a buffer of lines that
//! goes round. On the way to the writer lines may have gaps between them: what a socket brings
//! is read straight into the buffer, and a frame's header is such a gap. The writer, which
//! looks at every line anyway, closes them ([`Lines`]).

/// Lines, each followed by one line feed, in order, perhaps with gaps between them.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each line stands. Nothing stands behind the last but a line that is still open.
    spans: Vec<Span>,
}

/// The place of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// Just behind its line feed.
    pub end: usize,
}

impl Span {
    /// Its bytes, the line feed included.
    #[must_use]
    pub fn length(&self) -> usize {
        self.end - self.start
    }

    fn text(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end - 1).unwrap_or_default()
    }
}

impl Batch {
    /// An empty batch with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), spans: Vec::new() }
    }

    /// Adds one line, without its line feed.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.end_line();
    }

    /// Adds the lines of another batch.
    pub fn append(&mut self, other: &Self) {
        other.lines().for_each(|line| self.push(line));
    }

    /// The buffer to append one line to in place; close it with [`Batch::end_line`], or take
    /// it back with [`Batch::discard_open_line`].
    pub fn open_line(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was appended through [`Batch::open_line`] and belongs to no line yet.
    #[must_use]
    pub fn opened(&self) -> &[u8] {
        self.bytes.get(self.end()..).unwrap_or_default()
    }

    /// Ends the line that was appended through [`Batch::open_line`].
    pub fn end_line(&mut self) {
        let start = self.end();
        self.bytes.push(b'\n');
        self.spans.push(Span { start, end: self.bytes.len() });
    }

    /// Makes a line of `length` opened bytes behind the first `gap`: its line feed takes the
    /// place of the byte behind it, which is returned, if there is one.
    ///
    /// # Panics
    /// Where fewer bytes are open.
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

    /// Forgets what was appended since the last whole line.
    pub fn discard_open_line(&mut self) {
        self.bytes.truncate(self.end());
    }

    /// The bytes that can be opened without getting more memory.
    #[must_use]
    pub fn room_bytes(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// The number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The bytes that are held, gaps included.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of the lines alone, without line feeds.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.spans.iter().map(|span| span.end - 1 - span.start).sum()
    }

    /// The lines without their line feeds.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.spans.iter().map(|span| span.text(&self.bytes))
    }

    /// The lines for which `keep` says so, in order, in the same memory.
    #[must_use]
    pub fn sift(mut self, mut keep: impl FnMut(&[u8]) -> bool) -> Lines {
        let (mut end, mut kept) = (0, 0);
        for i in 0..self.spans.len() {
            let span = self.spans[i];
            if keep(span.text(&self.bytes)) {
                let start = end;
                end += span.end - span.start;
                if span.start != start {
                    self.bytes.copy_within(span.start..span.end, start);
                }
                self.spans[kept] = Span { start, end };
                kept += 1;
            }
        }
        self.bytes.truncate(end);
        self.spans.truncate(kept);
        Lines(self)
    }

    /// Removes the first `lines` lines.
    pub fn remove_first(&mut self, lines: usize) {
        self.spans.drain(..lines.min(self.spans.len()));
        self.discard_open_line();
    }

    /// Keeps the first `lines` lines.
    pub fn truncate(&mut self, lines: usize) {
        self.spans.truncate(lines);
        self.discard_open_line();
    }

    /// Empties the batch and keeps its memory, up to `keep_bytes` of it.
    pub fn reset(&mut self, keep_bytes: usize) {
        self.bytes.clear();
        self.spans.clear();
        self.bytes.shrink_to(keep_bytes);
    }

    /// Where the last whole line ends.
    #[inline]
    fn end(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }
}

/// Lines without gaps, to be written as they stand.
#[derive(Debug, Default)]
pub struct Lines(Batch);

impl Lines {
    /// Bytes that were made of lines, and where those of each stand: back to back, and perhaps
    /// none.
    #[must_use]
    pub fn of_parts(bytes: Vec<u8>, spans: Vec<Span>) -> Self {
        Self(Batch { bytes, spans })
    }

    /// The memory of [`Lines::of_parts`].
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Vec<Span>) {
        (self.0.bytes, self.0.spans)
    }

    /// All lines with their line feeds, back to back.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Where each line stands in them.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.0.spans
    }

    /// The number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines without their line feeds.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.lines()
    }

    /// The memory, for more lines.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        self.0
    }
}

impl From<Batch> for Lines {
    fn from(batch: Batch) -> Self {
        batch.sift(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_open_line_that_is_discarded_leaves_nothing() {
        let mut batch = Batch::default();
        batch.push(b"one");
        batch.open_line().extend_from_slice(b"tw");
        assert_eq!(batch.opened(), b"tw");
        batch.discard_open_line();
        batch.push(b"three");
        assert_eq!(Lines::from(batch).bytes(), b"one\nthree\n");
    }

    #[test]
    fn a_line_feed_takes_the_place_of_the_byte_behind_the_line() {
        let mut batch = Batch::default();
        batch.open_line().extend_from_slice(b"..one..two");
        assert_eq!(batch.take_line(2, 3), Some(b'.'));
        assert_eq!(batch.opened(), b".two");
        assert_eq!(batch.take_line(1, 3), None);
        assert!(batch.lines().eq([b"one", b"two"]));
        assert_eq!((batch.text_bytes(), batch.held_bytes()), (6, 11));
    }

    #[test]
    fn the_first_lines_and_the_last_ones_can_be_removed() {
        let mut batch = Batch::default();
        [b"one", b"two", b"six"].iter().for_each(|line| batch.push(*line));
        batch.remove_first(1);
        batch.truncate(1);
        assert!(batch.lines().eq([b"two"]));
        batch.remove_first(9);
        assert_eq!((batch.len(), batch.opened()), (0, &b""[..]));
    }

    proptest! {
        #[test]
        fn sifting_agrees_with_filtering_a_list(
            lines in prop::collection::vec(("[a-z]{0,9}", 0..3_usize, any::<bool>()), 0..20),
        ) {
            let mut batch = Batch::default();
            for (line, gap, _) in &lines {
                batch.open_line().extend(std::iter::repeat_n(b'#', *gap));
                batch.open_line().extend_from_slice(line.as_bytes());
                batch.take_line(*gap, line.len());
            }
            let mut wanted = lines.iter().map(|(_, _, keep)| *keep);
            let sifted = batch.sift(|_| wanted.next().unwrap_or_default());
            let kept = lines.iter().filter(|(_, _, keep)| *keep).map(|(line, _, _)| line);
            let expected: String = kept.map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(sifted.bytes(), expected.as_bytes());
            let ends = sifted.spans().iter().map(|span| span.end);
            prop_assert!(ends.eq(expected.match_indices('\n').map(|(at, _)| at + 1)));
        }
    }
}
