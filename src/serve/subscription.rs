//! What a client has subscribed to, once its request was accepted: the meeting place of the
//! endpoints that decide it and the connection that serves it.

use std::sync::Arc;

use super::dictionary::Dictionary;
use super::filter::{V1Filter, v2};

/// A stream to open.
#[derive(Debug)]
pub(super) struct Subscription {
    pub filter: EventFilter,
    pub from: StreamStart,
    /// What to compress with; `None`: not at all.
    pub dictionary: Option<Arc<Dictionary>>,
    pub protocol: Protocol,
    pub require_hello: bool,
    /// For the `Sec-WebSocket-Accept` header.
    pub accept_key: String,
}

/// How events are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `/subscribe`
    V1,
    /// `subscribeEvents`
    V2 {
        /// The subprotocol that the handshake echoes.
        echo: Option<&'static str>,
        /// The frame that comes before all events.
        first: Option<String>,
    },
}

/// Where a stream starts, decided when the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamStart {
    /// Without a cursor: the tip at the moment of the hello.
    Live,
    /// A cursor that lies ahead: the tip.
    Tip,
    /// A cursor's event.
    Event(u64),
}

/// What a connection gets, by the rules of its endpoint.
#[derive(Clone, Debug)]
pub(super) enum EventFilter {
    V1(V1Filter),
    V2(v2::V2Filter),
}

impl EventFilter {
    /// Whether an event passes, by anything but its size. What only v2 tells is never sent on
    /// v1 (protocol/jetstream-v1.md §3).
    pub(super) fn matches_event(&self, line: &[u8], is_v2_only: bool) -> bool {
        match self {
            Self::V1(wanted) => !is_v2_only && wanted.matches_event(line),
            Self::V2(wanted) => wanted.matches_event(line),
        }
    }

    /// The largest event to send, in bytes; 0: any.
    pub(super) fn max_message_bytes(&self) -> u32 {
        match self {
            Self::V1(wanted) => wanted.max_message_bytes,
            Self::V2(wanted) => wanted.max_message_bytes,
        }
    }
}

impl Subscription {
    pub(super) fn is_v2(&self) -> bool {
        self.protocol != Protocol::V1
    }
}
