//! What a connection does next: said by its feed, and changed by those who put other events
//! first.

use tokio::time::Instant;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this event.
    Send(u64),
    /// Nothing yet, but ask again at once.
    Yield,
    /// Nothing before this instant.
    WaitUntil(Instant),
    /// Nothing will ever come.
    End,
    /// Cut the connection without a word.
    Disconnect,
}
