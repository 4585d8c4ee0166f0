//! What the oracle finds wrong.

use std::num::NonZeroU64;

/// A broken guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An event never came, or came after others that follow it.
    Lost,
    /// An event came again that must not.
    Repeated,
    /// An event came out of order.
    Disorder,
    /// A saved position lies after the output.
    Ahead,
    /// A line is not in the recording.
    Foreign,
    /// The program ended at once after a single request to stop.
    ExitedEarly,
    /// The program failed in another way: exit code, deadline.
    Failed,
}

/// A violation and its description.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub violation: Violation,
    /// The description for a developer.
    pub message: String,
    /// The sequence number of the missing event, if it has one.
    pub missing: Option<NonZeroU64>,
}
