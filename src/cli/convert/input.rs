//! Reads the lines of the recordings.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::output::Output;
use super::{ConvertArgs, Skipped, bad_line, is_stdin};
use crate::compression::sniff;
use crate::event::lines::{Line, try_each_line};
use crate::event::v2::payload;
use crate::event::whitespace;
use crate::parquet::{self, AddError};
use crate::sink::sqlite::export;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Passes all events to the output.
pub(super) fn read_all(args: &ConvertArgs, output: &mut Output) -> anyhow::Result<Skipped> {
    let mut skipped = Skipped::default();
    for path in &args.recordings {
        let name = path.display().to_string();
        let input = open(path).map_err(|error| unreadable(&name, error))?;
        read(args, &name, input, output, &mut skipped)?;
    }
    Ok(skipped)
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    match is_stdin(path) {
        true => {
            let mut stdin = BufReader::with_capacity(READ_BYTES, io::stdin().lock());
            // Its footer is at the end, so that it can't be read from a pipe.
            if stdin.fill_buf()?.starts_with(&parquet::MAGIC) {
                let message = "it is Parquet: give the name of the file in place of -";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            sniff::decompressed(stdin)
        }
        false => match export::open_recording(path).map_err(io::Error::other)? {
            Some(lines) => Ok(Box::new(lines)),
            None => parquet::open_recording(path),
        },
    }
}

fn unreadable(name: &str, error: io::Error) -> anyhow::Error {
    match sniff::gzip_remedy(&error, name, "skytail convert - -o OUT") {
        Some(remedy) => anyhow!("{name} {remedy}"),
        None => anyhow::Error::from(error).context(format!("{name} can't be read")),
    }
}

/// Adds an event in either format; one in the native format of v2 as the line that the same server
/// prints in v1 format. `line` is a buffer.
fn add(output: &mut Output, text: &[u8], line: &mut Vec<u8>) -> Result<(), AddError> {
    let malformed = match output.add(text) {
        Err(AddError::Malformed(malformed)) => malformed,
        other => return other,
    };
    let Ok(event) = payload::parse_event(text) else { return Err(malformed.into()) };
    line.clear();
    event.write_v1_line(line);
    output.add(line)
}

/// Why reading ends.
enum Stop {
    Input(io::Error),
    Other(anyhow::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

fn read(
    args: &ConvertArgs,
    name: &str,
    input: Box<dyn Read>,
    output: &mut Output,
    skipped: &mut Skipped,
) -> anyhow::Result<()> {
    let (mut number, mut converted) = (0_u64, Vec::new());
    let outcome = try_each_line(BufReader::with_capacity(READ_BYTES, input), |line| {
        number += 1;
        let added = match line {
            Line::Whole(line) | Line::Unterminated(line) => {
                let (from, length) = whitespace::text_span(line);
                let text = line.get(from..from + length).unwrap_or_default();
                if text.is_empty() {
                    return Ok(());
                }
                add(output, text, &mut converted)
            }
            Line::TooLong => Err(AddError::Io(io::Error::other("it is too long"))),
        };
        let reason = match added {
            Ok(()) => return Ok(()),
            Err(AddError::Malformed(reason)) => reason.to_string(),
            Err(AddError::Io(error)) if matches!(line, Line::TooLong) => error.to_string(),
            Err(AddError::Io(error)) => return Err(Stop::Other(output.failed(error))),
        };
        let unfinished = match line {
            Line::Unterminated(_) => " (the last line, which was not finished)",
            _ => "",
        };
        let place = format!("{name}, line {number}{unfinished},");
        if !args.skip_malformed {
            return Err(Stop::Other(bad_line(&place, &reason)));
        }
        skipped.lines += 1;
        skipped.first.get_or_insert_with(|| format!("{place} {reason}"));
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(Stop::Input(error)) => Err(unreadable(name, error)).context("nothing was written"),
        Err(Stop::Other(error)) => Err(error),
    }
}
