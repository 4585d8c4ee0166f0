//! What a client has subscribed to, once its request was accepted: the meeting place of the
//! endpoints that decide it and the connection that serves it.

use std::sync::Arc;

use super::dictionary::Dictionary;
use super::wanted::{Wanted, v2};

/// A stream to open.
#[derive(Debug)]
pub(super) struct Subscription {
    pub wants: Wants,
    pub from: From,
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
pub(super) enum From {
    /// Without a cursor: the tip at the moment of the hello.
    Live,
    /// A cursor that lies ahead: the tip.
    Tip,
    /// A cursor's event.
    Event(u64),
}

/// What a connection gets, by the rules of its endpoint.
#[derive(Clone, Debug)]
pub(super) enum Wants {
    V1(Wanted),
    V2(v2::Wanted),
}

impl Wants {
    /// Whether an event passes, by anything but its size. What only v2 tells is never sent on
    /// v1 (protocol/jetstream-v1.md §3).
    pub(super) fn lets_through(&self, line: &[u8], only_v2_tells: bool) -> bool {
        match self {
            Self::V1(wanted) => !only_v2_tells && wanted.lets_through(line),
            Self::V2(wanted) => wanted.lets_through(line),
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
