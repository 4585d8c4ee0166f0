//! What the oracle reads and what it finds wrong.

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

/// The order in which events may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As recorded.
    Exact,
    /// As recorded within an account; an event of another account may come this many places too
    /// late. Two servers interleave accounts differently.
    ByAccount(u32),
    /// Any event may come this many places too late.
    Any(u32),
}

impl Order {
    /// Returns how many places an event may come too late.
    pub fn slack(self) -> u32 {
        match self {
            Self::Exact => 0,
            Self::ByAccount(slack) | Self::Any(slack) => slack,
        }
    }
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

/// A position from the state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Saved {
    /// The `time_us` of the newest processed event.
    pub time_us: u64,
    pub seq: Option<u64>,
}

/// Returns the start of a line, for a message.
pub fn shorten(line: &str) -> String {
    line.chars().take(230).collect()
}
