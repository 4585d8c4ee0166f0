//! Splits a stream into lines of any length, in bounded memory and mostly without copying.

use std::io::{self, BufRead, ErrorKind};

/// Maximum line length, in bytes: the default of `--max-frame-size`, and room for what a server may
/// add.
pub const MAX_LINE_BYTES: usize = 17 << 20;

/// One line without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A terminated line.
    Whole(&'a [u8]),
    /// An unterminated last line: its writer may have been interrupted.
    Unterminated(&'a [u8]),
    /// A skipped line, longer than [`MAX_LINE_BYTES`].
    TooLong,
}

/// Calls `each` for every line, including an unterminated last one.
///
/// # Errors
/// The read error of `input`; `each` was called for the lines before it.
pub fn each_line(input: impl BufRead, mut each: impl FnMut(Line<'_>)) -> io::Result<()> {
    try_each_line(input, |line| {
        each(line);
        Ok(())
    })
}

/// As [`each_line`], and stops at the first error of `each`.
///
/// # Errors
/// The read error of `input`, or the error of `each`.
pub fn try_each_line<E: From<io::Error>>(
    mut input: impl BufRead,
    mut each: impl FnMut(Line<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut partial = PartialLine::default();
    loop {
        let buffer = match input.fill_buf() {
            Ok([]) => return partial.end_of_input(&mut each),
            Ok(buffer) => buffer,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', buffer) {
            partial.end(buffer.get(from..at).unwrap_or_default(), &mut each)?;
            from = at + 1;
        }
        partial.add(buffer.get(from..).unwrap_or_default());
        let used = buffer.len();
        input.consume(used);
    }
}

/// The beginning of a line, from earlier reads.
#[derive(Default)]
struct PartialLine {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl PartialLine {
    fn add(&mut self, piece: &[u8]) {
        if self.bytes.len() + piece.len() > MAX_LINE_BYTES {
            self.is_too_long = true;
            self.bytes = Vec::new();
        }
        if !self.is_too_long {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn end<E>(
        &mut self,
        piece: &[u8],
        each: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.bytes.is_empty() && !self.is_too_long && piece.len() <= MAX_LINE_BYTES {
            return each(Line::Whole(piece));
        }
        self.add(piece);
        each(if self.is_too_long { Line::TooLong } else { Line::Whole(&self.bytes) })?;
        self.bytes.clear();
        self.is_too_long = false;
        Ok(())
    }

    fn end_of_input<E>(
        &mut self,
        each: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_too_long && self.bytes.is_empty() {
            return Ok(());
        }
        each(if self.is_too_long { Line::TooLong } else { Line::Unterminated(&self.bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    fn lines(bytes: &[u8], capacity: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Vec::new();
        let input = BufReader::with_capacity(capacity, bytes);
        let each = |line: Line<'_>| {
            lines.push(match line {
                Line::Whole(line) | Line::Unterminated(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        };
        each_line(input, each).unwrap();
        lines
    }

    #[test]
    fn a_line_that_is_too_long_is_reported_once() {
        let mut text = vec![b'x'; MAX_LINE_BYTES + 1];
        text.extend_from_slice(b"\nshort\n");
        text.extend(vec![b'y'; MAX_LINE_BYTES]);
        let lines = lines(&text, 1 << 16);
        let lengths: Vec<_> = lines.iter().map(|l| l.as_ref().map(Vec::len)).collect();
        assert_eq!(lengths, [None, Some(5), Some(MAX_LINE_BYTES)]);
    }

    proptest! {
        #[test]
        fn lines_match_split_for_any_read_sizes(text in "[a\n]{0,40}", capacity in 1usize..10) {
            let mut expected: Vec<_> =
                text.as_bytes().split(|&b| b == b'\n').map(|l| Some(l.to_vec())).collect();
            // Text after the last line break is a line only if it is not empty.
            if expected.last() == Some(&Some(Vec::new())) {
                expected.pop();
            }
            prop_assert_eq!(lines(text.as_bytes(), capacity), expected);
        }
    }
}
