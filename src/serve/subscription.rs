//! An accepted subscription: created by the endpoints that validate the request, used by the
//! connection that serves it.

use std::sync::Arc;

use super::dictionary::Dictionary;
use super::filter::{V1Filter, v2};

/// A stream to open.
#[derive(Debug)]
pub(super) struct Subscription {
    pub filter: EventFilter,
    pub from: StreamStart,
    /// The dictionary for compression; `None`: uncompressed.
    pub dictionary: Option<Arc<Dictionary>>,
    pub protocol: Protocol,
    pub require_hello: bool,
    /// The value of the `Sec-WebSocket-Accept` header.
    pub accept_key: String,
}

/// The endpoint, which determines the format of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `/subscribe`
    V1,
    /// `subscribeEvents`
    V2 {
        /// The subprotocol that the handshake response confirms.
        echo: Option<&'static str>,
        /// The message to send before all events.
        first: Option<String>,
    },
}

/// Where a stream starts, decided when the request arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamStart {
    /// No cursor: the tip at the time of the hello.
    Live,
    /// A cursor in the future: the tip.
    Tip,
    /// The event that the cursor resolves to.
    Event(u64),
}

/// The filter of a connection, by the rules of its endpoint.
#[derive(Clone, Debug)]
pub(super) enum EventFilter {
    V1(V1Filter),
    V2(v2::V2Filter),
}

impl EventFilter {
    /// Returns whether an event matches, apart from its size. v1 endpoints never send v2-only
    /// events (protocol/jetstream-v1.md §3).
    pub(super) fn matches_event(&self, line: &[u8], is_v2_only: bool) -> bool {
        match self {
            Self::V1(filter) => !is_v2_only && filter.matches_event(line),
            Self::V2(filter) => filter.matches_event(line),
        }
    }

    /// Returns the size of the largest event to send, in bytes; 0: unlimited.
    pub(super) fn max_message_bytes(&self) -> u32 {
        match self {
            Self::V1(filter) => filter.max_message_bytes,
            Self::V2(filter) => filter.max_message_bytes,
        }
    }
}

impl Subscription {
    pub(super) fn is_v2(&self) -> bool {
        self.protocol != Protocol::V1
    }
}
