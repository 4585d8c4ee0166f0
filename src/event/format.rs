//! The two formats of an event's line, and how to parse the header of each.

use super::error::Malformed;
pub use super::fast_path::LineReader;
use super::header::{self, Header};
use super::header_spans::HeaderSpans;
use super::v2::payload;

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventFormat {
    /// As both servers print events on `/subscribe` (protocol/jetstream-v1.md §7).
    #[default]
    V1,
    /// The payload of a v2 message, unchanged (protocol/jetstream-v2.md §3).
    Native,
}

impl EventFormat {
    /// Parses the header of one line and checks the line's structure.
    ///
    /// # Errors
    /// [`Malformed`], as for [`header::parse`] and [`payload::parse_spans`].
    #[inline]
    pub fn parse(self, line: &[u8]) -> Result<Header<'_>, Malformed> {
        self.parse_spans(line).map(|spans| spans.header(line))
    }

    /// Parses the places of one line's header fields, and checks the line's structure.
    ///
    /// # Errors
    /// [`Malformed`], as for [`EventFormat::parse`].
    #[inline]
    pub fn parse_spans(self, line: &[u8]) -> Result<HeaderSpans, Malformed> {
        match self {
            Self::V1 => header::parse_spans(line),
            Self::Native => payload::parse_spans(line),
        }
    }

    /// As [`EventFormat::parse_spans`], for the next line of a stream that `reader` has read so far.
    ///
    /// # Errors
    /// As for [`EventFormat::parse_spans`].
    #[inline]
    pub fn parse_next(
        self,
        reader: &mut LineReader,
        line: &[u8],
    ) -> Result<HeaderSpans, Malformed> {
        match self {
            Self::V1 => header::parse_next(reader, line),
            // The messages of a stream are decoded before, by a reader of their own.
            Self::Native => payload::parse_spans(line),
        }
    }
}
