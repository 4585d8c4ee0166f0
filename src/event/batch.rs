//! Whole lines in one buffer: the unit that travels from source to sink.
//!
//! A message of a WebSocket library pins the library's read buffer for as long as it lives,
//! so lines are copied here once, and the buffer goes round (protocol measurements: sending
//! messages costs twice the wall time and three times the CPU of this).

/// Lines, each followed by one line feed, back to back.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// For each line, the offset just behind its line feed.
    ends: Vec<usize>,
}

impl Batch {
    /// An empty batch with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::new() }
    }

    /// Adds one line, without its line feed.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.end_line();
    }

    /// Adds the lines of another batch.
    pub fn append(&mut self, other: &Self) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| begin + end));
    }

    /// The buffer to append one line to in place; close it with [`Batch::end_line`], or take
    /// it back with [`Batch::discard_open_line`].
    pub fn open_line(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the line that was appended through [`Batch::open_line`].
    pub fn end_line(&mut self) {
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
    }

    /// Forgets what was appended since the last whole line.
    pub fn discard_open_line(&mut self) {
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// The number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All lines with their line feeds.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The offset just behind each line's line feed.
    #[must_use]
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// The lines without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end - 1])
    }

    /// Keeps the lines for which `keep` says so, in order, in place.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let (mut start, mut kept_bytes, mut kept_lines) = (0, 0, 0);
        for i in 0..self.ends.len() {
            let end = self.ends[i];
            if keep(&self.bytes[start..end - 1]) {
                if start != kept_bytes {
                    self.bytes.copy_within(start..end, kept_bytes);
                }
                kept_bytes += end - start;
                self.ends[kept_lines] = kept_bytes;
                kept_lines += 1;
            }
            start = end;
        }
        self.bytes.truncate(kept_bytes);
        self.ends.truncate(kept_lines);
    }

    /// Keeps the first `lines` lines.
    pub fn truncate(&mut self, lines: usize) {
        self.ends.truncate(lines);
        self.discard_open_line();
    }

    /// Empties the batch and keeps its memory, up to `keep_bytes` of it.
    pub fn reset(&mut self, keep_bytes: usize) {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.shrink_to(keep_bytes);
    }
}
