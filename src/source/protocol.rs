//! The two streaming protocols of Jetstream servers.

use std::fmt;

/// A streaming protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `/subscribe`, which every Jetstream server serves.
    V1,
    /// `network.bsky.jetstream.subscribeEvents`, which only current servers serve.
    V2,
}

impl Protocol {
    /// Returns the path of the stream, below an endpoint's base path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::V1 => "/subscribe",
            Self::V2 => "/xrpc/network.bsky.jetstream.subscribeEvents",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}
