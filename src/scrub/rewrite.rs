//! Copies a recording without some of its lines.

use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;

use super::input::Form;
use crate::event::lines::{Piece, try_each_piece};
use crate::parquet;

/// Bytes that are written at a time.
const WRITE_BYTES: usize = 256 << 10;
/// The level of skytail's own compressed files.
const LEVEL: i32 = 3;

/// Copies `input` to `output` in `form`, without the lines whose numbers `removed` returns in
/// ascending order. Every other byte of the text stays as it is. Returns how many lines it left out.
/// For Parquet files there is [`copy_rows_without`].
///
/// # Errors
/// The error of reading, of writing, or of `removed`.
pub fn copy_without(
    input: impl BufRead,
    output: impl Write,
    form: Form,
    removed: &mut dyn Iterator<Item = io::Result<u64>>,
) -> io::Result<u64> {
    let output = BufWriter::with_capacity(WRITE_BYTES, output);
    match form {
        Form::Plain | Form::Parquet => {
            let mut output = output;
            let left_out = copy_lines(input, &mut output, removed)?;
            output.flush().map(|()| left_out)
        }
        Form::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(output, LEVEL)?;
            encoder.include_checksum(true)?;
            let left_out = copy_lines(input, &mut encoder, removed)?;
            encoder.finish()?.flush().map(|()| left_out)
        }
    }
}

/// Writes the Parquet file `input` again, to `output`, which must not exist, without the rows whose
/// numbers `removed` returns in ascending order. Returns how many rows it left out.
///
/// # Errors
/// That of reading or writing; there is then no file at `output`.
pub fn copy_rows_without(
    input: File,
    output: &Path,
    removed: &mut dyn Iterator<Item = io::Result<u64>>,
) -> io::Result<u64> {
    let (mut row, mut left_out) = (0, 0);
    let mut next = removed.next();
    let written = parquet::rewrite(input, output, |_, _| {
        let is_removed = matches!(next, Some(Ok(at)) if at == row);
        row += 1;
        if is_removed {
            next = removed.next();
            left_out += 1;
        }
        !is_removed
    });
    match (written, next) {
        (Ok(_), Some(Err(error))) => {
            fs::remove_file(output)?;
            Err(error)
        }
        (Ok(_), _) => Ok(left_out),
        (Err(error), _) => Err(error.into()),
    }
}

fn copy_lines(
    input: impl BufRead,
    output: &mut impl Write,
    removed: &mut dyn Iterator<Item = io::Result<u64>>,
) -> io::Result<u64> {
    let (mut line, mut left_out) = (0, 0);
    let mut next = removed.next().transpose()?;
    try_each_piece(input, |piece| -> io::Result<()> {
        let (bytes, is_last) = match piece {
            Piece::Line(bytes) => (bytes, true),
            Piece::Part { bytes, is_last } => (bytes, is_last),
        };
        if next == Some(line) {
            left_out += u64::from(is_last);
            if is_last {
                next = removed.next().transpose()?;
            }
        } else {
            output.write_all(bytes)?;
        }
        line += u64::from(is_last);
        Ok(())
    })?;
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn copied(text: &str, form: Form, removed: &[u64]) -> (Vec<u8>, u64) {
        let mut output = Vec::new();
        let mut removed = removed.iter().map(|line| Ok(*line));
        let input = BufReader::with_capacity(7, text.as_bytes());
        let left_out = copy_without(input, &mut output, form, &mut removed).unwrap();
        (output, left_out)
    }

    proptest! {
        #[test]
        fn all_lines_but_the_removed_ones_are_copied(
            text in "[a\r\n]{0,40}",
            removed in prop::collection::btree_set(0..10_u64, 0..5),
        ) {
            let removed: Vec<u64> = removed.into_iter().collect();
            let lines = text.split_inclusive('\n').zip(0..);
            let kept = lines.filter(|(_, line)| !removed.contains(line)).map(|(text, _)| text);
            let kept: String = kept.collect();
            let (plain, left_out) = copied(&text, Form::Plain, &removed);
            prop_assert_eq!(std::str::from_utf8(&plain).unwrap(), &kept);
            let lines = text.split_inclusive('\n').count() as u64;
            let expected = removed.iter().filter(|line| **line < lines).count();
            prop_assert_eq!(left_out, expected as u64);
            let (packed, _) = copied(&text, Form::Zstd, &removed);
            let mut unpacked = String::new();
            let mut decoder = zstd::stream::read::Decoder::new(&packed[..]).unwrap();
            std::io::Read::read_to_string(&mut decoder, &mut unpacked).unwrap();
            prop_assert_eq!(unpacked, kept);
        }
    }
}
