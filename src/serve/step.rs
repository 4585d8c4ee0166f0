//! The next step of a connection, produced by its feed and changed by injected reordering.

use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this event.
    Send(u64),
    /// Nothing yet; call again after a yield.
    Yield,
    /// Nothing before this instant.
    WaitUntil(Instant),
    /// No further event will come.
    End,
    /// Drop the connection without a close frame.
    Disconnect,
}
