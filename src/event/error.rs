//! The error of every parser of this module.

/// Why a line is not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// A short description of the fault, such as `unclosed string`.
    pub what: &'static str,
    /// The byte offset of the fault in the line, from 0; 0 also for a missing member.
    pub at: usize,
}
