//! Writes what `skytail convert` makes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::exit::{self, Exit};
use crate::cli::stdout::{ignore_closed_pipe, print};
use crate::display::units::{bytes, counted};
use crate::event::header;
use crate::parquet::fields::Field;
use crate::parquet::{AddError, EventWriter, Metadata, Written};
use crate::paths::new_file::{self, NewFile, NewFileError};
use crate::sink::file::parquet::parts;

/// The level of zstd for lines.
const LEVEL: i32 = 3;

/// Where the events go.
pub(super) enum Output {
    Parquet { path: PathBuf, writer: Box<EventWriter> },
    File { new: NewFile, lines: Lines, events: u64 },
    Stdout(BufWriter<io::Stdout>),
}

/// Lines, plain or compressed.
pub(super) enum Lines {
    Plain(BufWriter<File>),
    Zstd(zstd::stream::write::Encoder<'static, File>),
}

impl Output {
    pub(super) fn parquet(path: &Path, fields: Vec<Field>) -> anyhow::Result<Self> {
        new_file::check_directory(path)?;
        refuse_existing(path)?;
        let writer = Box::new(EventWriter::new(fields, directory(path)));
        Ok(Self::Parquet { path: path.to_owned(), writer })
    }

    pub(super) fn lines(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout(BufWriter::with_capacity(256 << 10, io::stdout())));
        }
        refuse_existing(path)?;
        let (new, file) = NewFile::create(path)?;
        let lines = match path.extension().is_some_and(|ending| ending == "zst") {
            true => {
                let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL)?;
                encoder.include_checksum(true)?;
                Lines::Zstd(encoder)
            }
            false => Lines::Plain(BufWriter::with_capacity(256 << 10, file)),
        };
        Ok(Self::File { new, lines, events: 0 })
    }

    /// Adds one event.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<(), AddError> {
        match self {
            Self::Parquet { writer, .. } => writer.add(line),
            Self::File { lines, events, .. } => {
                header::parse_spans(line)?;
                *events += 1;
                match lines {
                    Lines::Plain(file) => write_line(file, line),
                    Lines::Zstd(file) => write_line(file, line),
                }
            }
            Self::Stdout(stdout) => {
                header::parse_spans(line)?;
                write_line(stdout, line)
            }
        }
    }

    /// Returns the error of a write.
    pub(super) fn failed(&self, cause: io::Error) -> anyhow::Error {
        match self {
            Self::Parquet { path, .. } => NewFileError::Failed { path: path.clone(), cause }.into(),
            Self::File { new, .. } => new.failed(cause).into(),
            Self::Stdout(_) => anyhow::Error::from(cause).context("can't write to stdout"),
        }
    }

    /// Completes the output, and prints which files there are now.
    pub(super) fn finish(self) -> anyhow::Result<Exit> {
        let files = match self {
            Self::Stdout(mut stdout) => {
                return match stdout.flush() {
                    Ok(()) => Ok(Exit::Done),
                    Err(error) => ignore_closed_pipe(error),
                };
            }
            Self::File { new, lines, events } => {
                let file = lines.finish().map_err(|cause| new.failed(cause))?;
                let bytes = file.metadata().map_err(|cause| new.failed(cause))?.len();
                let path = new.path().to_owned();
                new.publish()?;
                vec![Written { path, bytes, events }]
            }
            Self::Parquet { path, writer } => {
                for warning in writer.field_warnings() {
                    exit::eprint(&format!("skytail: warning: {warning}"));
                }
                writer.finish(&path, &Metadata::default())?
            }
        };
        let line = |file: &Written| {
            let events = counted(file.events, "event");
            format!("{}: {events}, {}\n", file.path.display(), bytes(file.bytes))
        };
        print(files.iter().map(line).collect::<String>().as_bytes())
    }
}

impl Lines {
    fn finish(self) -> io::Result<File> {
        let file = match self {
            Self::Plain(file) => file.into_inner().map_err(|error| error.into_error())?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        file.sync_all()?;
        Ok(file)
    }
}

fn write_line(out: &mut impl Write, line: &[u8]) -> Result<(), AddError> {
    out.write_all(line)?;
    Ok(out.write_all(b"\n")?)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Fails if there is anything at `path`, or a file of a collection. Checked before the recordings are
/// read.
fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    let existing = parts(path).with_context(|| format!("--output: {}", path.display()))?;
    match existing.into_iter().next() {
        Some(path) => Err(NewFileError::Exists(path)).context("--output"),
        None => Ok(()),
    }
}
