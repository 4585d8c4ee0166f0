//! Why a line is no event, in words.

/// Why a line is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What was found.
    pub what: &'static str,
    /// Where in the line, counted from 0.
    pub at: usize,
}
