//! Splits a stream into lines of any length, in bounded memory and mostly without copying; or into
//! pieces that can be written again byte for byte.

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

/// A line, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line with its line feed, which only the last line may lack.
    Line(&'a [u8]),
    /// A part of a line that is too long to be an event.
    Part {
        /// The bytes.
        bytes: &'a [u8],
        /// Whether the line ends with them.
        is_last: bool,
    },
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
    input: impl BufRead,
    mut each: impl FnMut(Line<'_>) -> Result<(), E>,
) -> Result<(), E> {
    try_each_piece(input, |piece| match piece {
        Piece::Line(text) => each(match text.strip_suffix(b"\n") {
            Some(line) => Line::Whole(line),
            None => Line::Unterminated(text),
        }),
        Piece::Part { is_last: true, .. } => each(Line::TooLong),
        Piece::Part { is_last: false, .. } => Ok(()),
    })
}

/// Calls `each` for all pieces of a text, in order: all its bytes. Stops at the first error of `each`.
///
/// # Errors
/// The read error of `input`, or the error of `each`.
pub fn try_each_piece<E: From<io::Error>>(
    mut input: impl BufRead,
    mut each: impl FnMut(Piece<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut splitter = Splitter::default();
    loop {
        let buffer = match input.fill_buf() {
            Ok([]) => return splitter.end_of_input(&mut each),
            Ok(buffer) => buffer,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', buffer) {
            splitter.end(buffer.get(from..=at).unwrap_or_default(), &mut each)?;
            from = at + 1;
        }
        splitter.add(buffer.get(from..).unwrap_or_default(), &mut each)?;
        let used = buffer.len();
        input.consume(used);
    }
}

/// A line that began in earlier reads.
#[derive(Default)]
struct Splitter {
    begun: Vec<u8>,
    is_too_long: bool,
}

impl Splitter {
    /// Adds bytes without a line feed.
    fn add<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_length(bytes.len(), each)?;
        match self.is_too_long {
            true => each(Piece::Part { bytes, is_last: false }),
            false => {
                self.begun.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Ends the line with bytes that end in a line feed.
    fn end<E>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_length(bytes.len() - 1, each)?;
        if std::mem::take(&mut self.is_too_long) {
            return each(Piece::Part { bytes, is_last: true });
        }
        if self.begun.is_empty() {
            return each(Piece::Line(bytes));
        }
        self.begun.extend_from_slice(bytes);
        each(Piece::Line(&self.begun))?;
        self.begun.clear();
        Ok(())
    }

    /// Begins to pass the line on in parts, if these bytes would make it too long.
    fn check_length<E>(
        &mut self,
        more: usize,
        each: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.is_too_long || self.begun.len() + more <= MAX_LINE_BYTES {
            return Ok(());
        }
        self.is_too_long = true;
        let begun = std::mem::take(&mut self.begun);
        each(Piece::Part { bytes: &begun, is_last: false })
    }

    fn end_of_input<E>(
        &mut self,
        each: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.is_too_long {
            true => each(Piece::Part { bytes: b"", is_last: true }),
            false if self.begun.is_empty() => Ok(()),
            false => each(Piece::Line(&self.begun)),
        }
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

    fn pieces(bytes: &[u8], capacity: usize) -> (Vec<Vec<u8>>, usize) {
        let (mut lines, mut parts, mut begun) = (Vec::new(), 0, Vec::new());
        let input = BufReader::with_capacity(capacity, bytes);
        try_each_piece(input, |piece| -> io::Result<()> {
            match piece {
                Piece::Line(line) => lines.push(line.to_vec()),
                Piece::Part { bytes, is_last } => {
                    parts += 1;
                    begun.extend_from_slice(bytes);
                    if is_last {
                        lines.push(std::mem::take(&mut begun));
                    }
                }
            }
            Ok(())
        })
        .unwrap();
        (lines, parts)
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_lines(text in "[a\n\r]{0,40}", capacity in 1usize..10) {
            let expected: Vec<_> =
                text.as_bytes().split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
            prop_assert_eq!(pieces(text.as_bytes(), capacity), (expected, 0));
        }
    }

    #[test]
    fn a_line_that_is_too_long_passes_in_parts() {
        let mut text = vec![b'x'; MAX_LINE_BYTES + 100_000];
        text.extend_from_slice(b"\nshort\n");
        let (lines, parts) = pieces(&text, 1 << 16);
        assert!(parts > 1 && lines.concat() == text);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LINE_BYTES + 100_001, 6]);
        text.truncate(MAX_LINE_BYTES + 100_000);
        assert!(pieces(&text, 1 << 16).0.concat() == text);
    }
}
