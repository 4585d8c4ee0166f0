//! Splits a recording into lines that can be written again byte for byte, in bounded memory.

use std::io::{self, BufRead, ErrorKind};

pub use crate::event::lines::MAX_LINE_BYTES;

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

/// Calls `each` for all pieces, in order.
///
/// # Errors
/// The error of reading, or that of `each`.
pub fn each_piece(
    mut input: impl BufRead,
    mut each: impl FnMut(Piece<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let (mut begun, mut is_long) = (Vec::new(), false);
    loop {
        let buffer = match input.fill_buf() {
            Ok([]) => break,
            Ok(buffer) => buffer,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', buffer) {
            let end = buffer.get(from..=at).unwrap_or_default();
            from = at + 1;
            if is_long {
                each(Piece::Part { bytes: end, is_last: true })?;
                is_long = false;
            } else if begun.is_empty() {
                each(Piece::Line(end))?;
            } else {
                begun.extend_from_slice(end);
                each(Piece::Line(&begun))?;
                begun.clear();
            }
        }
        let rest = buffer.get(from..).unwrap_or_default();
        if !is_long && begun.len() + rest.len() > MAX_LINE_BYTES {
            is_long = true;
            each(Piece::Part { bytes: &begun, is_last: false })?;
            begun = Vec::new();
        }
        match is_long {
            true => each(Piece::Part { bytes: rest, is_last: false })?,
            false => begun.extend_from_slice(rest),
        }
        let used = buffer.len();
        input.consume(used);
    }
    match is_long {
        true => each(Piece::Part { bytes: b"", is_last: true }),
        false if begun.is_empty() => Ok(()),
        false => each(Piece::Line(&begun)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn pieces(bytes: &[u8], capacity: usize) -> (Vec<Vec<u8>>, usize) {
        let (mut lines, mut parts, mut begun) = (Vec::new(), 0, Vec::new());
        each_piece(BufReader::with_capacity(capacity, bytes), |piece| {
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
