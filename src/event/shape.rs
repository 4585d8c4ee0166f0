//! The two shapes that an event's line can have, and how its header is read in each.

use super::header::{self, Header};
use super::malformed::Malformed;
use super::v2::payload;

/// The shape of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// As both servers print events on `/subscribe` (protocol/jetstream-v1.md §7).
    #[default]
    V1,
    /// The payload of a v2 message as it came (protocol/jetstream-v2.md §3).
    Native,
}

impl Shape {
    /// Reads the header of one line and checks the line's structure.
    ///
    /// # Errors
    /// [`Malformed`], as [`header::parse`] and [`payload::parse`] say.
    #[inline]
    pub fn parse(self, line: &[u8]) -> Result<Header<'_>, Malformed> {
        match self {
            Self::V1 => header::parse(line),
            Self::Native => payload::parse(line),
        }
    }
}
