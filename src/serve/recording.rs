//! A recording in memory: its lines as one block of bytes, and an index over them.
//!
//! This module reads and validates; `stamps` adds times and sequence numbers. The whole recording
//! stays in memory (its bytes plus, with `stamps`, about 70 bytes per event), so that any number of
//! connections can replay it without disk I/O.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use tokio_tungstenite::tungstenite::Bytes;

use super::stamp_fields;
use crate::compression::sniff;
use crate::event::error::Malformed;
use crate::event::header;
use crate::event::whitespace;
use crate::parquet;
use crate::sink::sqlite::export;

/// Maximum size of a recording, in bytes after decompression. Protects against zstd bombs; a day of
/// the network is far too large to hold in memory anyway.
pub const MAX_RECORDING_BYTES: u64 = 4 << 30;

/// Events of a Jetstream server, one per line, in the order in which they are served.
#[derive(Clone, Debug)]
pub struct Recording {
    bytes: Bytes,
    entries: Vec<IndexEntry>,
    torn: Option<TornLine>,
}

/// An unterminated last line that is not an event: its writer was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornLine {
    /// Line number, counted from 1.
    pub line: usize,
    /// Length in bytes.
    pub bytes: usize,
}

/// The position of one event and the fields that the recording has for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexEntry {
    start: usize,
    len: u32,
    time_at: u32,
    time_len: u8,
    cursor_at: u32,
    cursor_len: u8,
    /// `time_us` as recorded.
    pub time_us: u64,
    /// `cursor` as recorded; 0 if the line has none (servers count from 1).
    pub cursor: u64,
    /// The event reports a diverged repository, which only the v2 stream sends (v2 §7).
    pub is_v2_only: bool,
}

/// Why a recording can't be served.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file is gzip-compressed.
    #[error("recording {path} {remedy}")]
    Gzip {
        /// The file, or `-`.
        path: String,
        /// The command to run instead.
        remedy: String,
    },
    /// The file can't be read or decompressed.
    #[error("recording {path} can't be read")]
    Read {
        /// The file, or `-`.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The recording exceeds [`MAX_RECORDING_BYTES`].
    #[error("recording {path}: longer than {MAX_RECORDING_BYTES} bytes: split it")]
    TooLong {
        /// The file, or `-`.
        path: String,
    },
    /// The recording has no events.
    #[error("recording {path} has no events")]
    Empty {
        /// The file, or `-`.
        path: String,
    },
    /// A line is not an event.
    #[error("recording {path}, line {line}: {reason}")]
    Line {
        /// The file, or `-`.
        path: String,
        /// Line number, counted from 1.
        line: usize,
        /// What is wrong with the line.
        reason: LineError,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not one event in JSON.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// Not valid UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Too long for an index entry.
    #[error("longer than 4 GiB")]
    TooLong,
    /// `time_us` or `cursor` is duplicated, or written with escapes.
    #[error(
        "time_us and cursor must occur once, written as plain integers and without escapes in their names"
    )]
    Unstampable,
}

impl Recording {
    /// Reads a recording: NDJSON, plain or in zstd frames, or a Parquet file or a database of
    /// skytail (detected by content, not by name); `-` is standard input, which can only be
    /// NDJSON. A byte order mark, blank lines and an unterminated last line that is not
    /// an event are skipped.
    ///
    /// # Errors
    /// [`RecordingError`], naming file and line.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let name = path.display().to_string();
        let read = |source| RecordingError::Read { path: name.clone(), source };
        if path.as_os_str() == "-" {
            return Self::read(io::stdin().lock(), &name);
        }
        let database = export::open_recording(path);
        if let Some(lines) = database.map_err(|error| read(io::Error::other(error)))? {
            return Self::read(lines, &name);
        }
        let mut file = File::open(path).map_err(read)?;
        if !parquet::is_parquet(&mut file).map_err(read)? {
            return Self::read(file, &name);
        }
        let events = parquet::Events::read(file, &std::env::temp_dir());
        Self::read(events.map_err(|error| read(error.into()))?, &name)
    }

    /// Reads a recording from a stream; `name` is used in messages.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn read(mut input: impl Read, name: &str) -> Result<Self, RecordingError> {
        let bytes = read_capped(&mut input).map_err(|source| {
            let path = name.to_owned();
            match sniff::gzip_remedy(&source, name, "skytail serve -") {
                Some(remedy) => RecordingError::Gzip { path, remedy },
                None => RecordingError::Read { path, source },
            }
        })?;
        match bytes {
            Some(bytes) => Self::from_bytes(bytes, name),
            None => Err(RecordingError::TooLong { path: name.to_owned() }),
        }
    }

    /// Indexes lines that are already in memory; `name` is used in messages.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, RecordingError> {
        let (mut entries, mut torn) = (Vec::new(), None);
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', &bytes).chain([bytes.len()]);
        for (i, end) in ends.enumerate() {
            let line = &bytes[start..end];
            let (before, length) = whitespace::text_span(line);
            let text = line.get(before..before + length).unwrap_or_default();
            match index(text, start + before) {
                _ if text.is_empty() => {}
                Ok(entry) => entries.push(entry),
                Err(_) if end == bytes.len() => {
                    torn = Some(TornLine { line: i + 1, bytes: line.len() });
                }
                Err(reason) => {
                    return Err(RecordingError::Line {
                        path: name.to_owned(),
                        line: i + 1,
                        reason,
                    });
                }
            }
            start = end + 1;
        }
        if entries.is_empty() {
            return Err(RecordingError::Empty { path: name.to_owned() });
        }
        Ok(Self { bytes: bytes.into(), entries, torn })
    }

    /// Returns the last line if its writer did not finish it.
    #[must_use]
    pub fn torn(&self) -> Option<TornLine> {
        self.torn
    }

    /// Returns the number of events; never 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns false: a recording has at least one event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns whether the recording is from a v2 server: its first event has a `cursor`
    /// (protocol/jetstream-v1.md §2).
    #[must_use]
    pub fn is_v2(&self) -> bool {
        self.entries.first().is_some_and(|e| e.cursor != 0)
    }

    /// Returns the lines as recorded, without their line feeds.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.entries.iter().map(|e| &self.bytes[e.range()])
    }

    /// Returns a recording with the same bytes whose events are in another order.
    pub(super) fn reordered(&self, events: impl Iterator<Item = usize>) -> Self {
        let entries = events.filter_map(|event| self.entries.get(event).copied()).collect();
        Self { bytes: self.bytes.clone(), entries, torn: self.torn }
    }

    pub(super) fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// Returns the bytes of one event; they share the recording's memory.
    pub(super) fn line(&self, entry: &IndexEntry) -> Bytes {
        self.bytes.slice(entry.range())
    }
}

impl IndexEntry {
    fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.len as usize
    }

    /// Returns the span of `time_us`'s digits within the line.
    pub(super) fn time_span(&self) -> std::ops::Range<usize> {
        let at = self.time_at as usize;
        at..at + usize::from(self.time_len)
    }

    /// Returns the span of `cursor`'s digits within the line, if it has one.
    pub(super) fn cursor_span(&self) -> Option<std::ops::Range<usize>> {
        let at = self.cursor_at as usize;
        (self.cursor != 0).then(|| at..at + usize::from(self.cursor_len))
    }
}

/// Validates one line and creates its index entry.
fn index(line: &[u8], start: usize) -> Result<IndexEntry, LineError> {
    if simdutf8::basic::from_utf8(line).is_err() {
        return Err(LineError::NotUtf8);
    }
    let len = u32::try_from(line.len()).map_err(|_| LineError::TooLong)?;
    let header = header::parse(line)?;
    let members = stamp_fields::find(line).ok_or(LineError::Unstampable)?;
    let number = |span: std::ops::Range<usize>| -> Option<(u32, u8, u64)> {
        let digits = std::str::from_utf8(line.get(span.clone())?).ok()?;
        let place = u32::try_from(span.start).ok()?;
        Some((place, u8::try_from(span.len()).ok()?, digits.parse().ok()?))
    };
    let (time_at, time_len, time_us) = number(members.time).ok_or(LineError::Unstampable)?;
    let (cursor_at, cursor_len, cursor) = match members.cursor {
        Some(member) => number(member.value).ok_or(LineError::Unstampable)?,
        None => (0, 0, 0),
    };
    if time_us != header.time_us || cursor != header.cursor.unwrap_or(0) {
        return Err(LineError::Unstampable);
    }
    let is_v2_only = header.kind_text == "sync";
    Ok(IndexEntry {
        start,
        len,
        time_at,
        time_len,
        cursor_at,
        cursor_len,
        time_us,
        cursor,
        is_v2_only,
    })
}

/// Reads all of `input`, decompressed if it is zstd; `None` if it is too long.
fn read_capped(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    sniff::decompressed(input)?.take(MAX_RECORDING_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_RECORDING_BYTES).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"did":"did:plc:a","time_us":10,"kind":"identity","identity":{"did":"did:plc:a","seq":1}}"#,
        "\n\r\n",
        r#"{"did":"did:plc:b","time_us":20,"cursor":7,"kind":"account","account":{"active":true,"seq":2}}"#,
    );

    #[test]
    fn plain_and_zstd_recordings_are_the_same() {
        let plain = Recording::read(LINES.as_bytes(), "x").unwrap();
        let compressed = zstd::encode_all(LINES.as_bytes(), 3).unwrap();
        let compressed = Recording::read(&compressed[..], "x").unwrap();
        assert_eq!(plain.len(), 2);
        assert!(plain.lines().eq(compressed.lines()));
        assert!(!plain.is_v2());
        assert_eq!(plain.entries()[1].cursor, 7);
        assert_eq!(plain.line(&plain.entries()[0]).len(), LINES.find('\n').unwrap());
    }

    #[test]
    fn a_bad_line_is_named() {
        let bad = format!("{LINES}\n{{\"did\":\"did:plc:c\"\n");
        let error = Recording::read(bad.as_bytes(), "my.ndjson").unwrap_err();
        assert!(error.to_string().starts_with("recording my.ndjson, line 4: "), "{error}");
    }

    #[test]
    fn white_space_and_a_torn_last_line_are_accepted() {
        let text = format!(" \t\n\n  {LINES} \r\n\t\n{{\"did\":\"did:pl");
        let recording = Recording::from_bytes(text.into_bytes(), "x").unwrap();
        assert_eq!(recording.torn(), Some(TornLine { line: 7, bytes: 14 }));
        let plain = Recording::read(LINES.as_bytes(), "x").unwrap();
        assert!(plain.lines().eq(recording.lines()));
        assert_eq!(
            (plain.torn(), plain.entries()[1].cursor),
            (None, recording.entries()[1].cursor)
        );
    }

    #[test]
    fn an_empty_recording_is_rejected() {
        let error = Recording::read(&b"\n\n"[..], "-").unwrap_err();
        assert!(error.to_string().contains("no events"), "{error}");
    }
}
