//! Which of the two protocols is spoken with a server: what was asked for, and what each
//! server turned out to have. No I/O.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::filter::Filter;

use super::endpoint::Endpoint;
use super::protocol::Protocol;
use super::v2;

/// What to speak with a server that says nothing about it by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// v2 where the server has it, and v1 elsewhere.
    Auto,
    /// v1.
    V1,
    /// v2.
    V2,
}

impl Choice {
    fn only(self) -> Option<Protocol> {
        match self {
            Self::Auto => None,
            Self::V1 => Some(Protocol::V1),
            Self::V2 => Some(Protocol::V2),
        }
    }

    /// The protocol that alone may be spoken with a server, where that is settled.
    #[must_use]
    pub fn pinned(self, endpoint: &Endpoint) -> Option<Protocol> {
        endpoint.protocol.or_else(|| self.only())
    }
}

/// What is to be tried with one server: the second where the server does not have the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to ask for.
    pub first: Protocol,
    /// What to ask for where that is not to be had.
    pub second: Option<Protocol>,
}

/// The protocols of a run's servers.
#[derive(Debug)]
pub struct Protocols {
    choice: Choice,
    /// What the servers turned out to speak, by label.
    known: Mutex<HashMap<Arc<str>, Protocol>>,
    /// The servers for which the log says why they are not asked for v2.
    explained: Mutex<HashSet<Arc<str>>>,
}

impl Protocols {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self { choice, known: Mutex::default(), explained: Mutex::default() }
    }

    /// What to try with a server. What it spoke before comes first; a server that refuses that
    /// is asked for the other again. A filter that v2 can't say is v1's from the start.
    #[must_use]
    pub fn plan(&self, endpoint: &Endpoint, filter: &Filter) -> Plan {
        let only = |first| Plan { first, second: None };
        if let Some(pinned) = self.choice.pinned(endpoint) {
            return only(pinned);
        }
        if v2::request::obstacle(filter).is_some() {
            return only(Protocol::V1);
        }
        match self.known(endpoint) {
            Some(Protocol::V1) => Plan { first: Protocol::V1, second: Some(Protocol::V2) },
            _ => Plan { first: Protocol::V2, second: Some(Protocol::V1) },
        }
    }

    /// Returns the protocol that alone may be spoken with a server, if that is settled.
    #[must_use]
    pub fn pinned(&self, endpoint: &Endpoint) -> Option<Protocol> {
        self.choice.pinned(endpoint)
    }

    /// What a server spoke last.
    #[must_use]
    pub fn known(&self, endpoint: &Endpoint) -> Option<Protocol> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint.label).copied()
    }

    /// Notes what a server speaks.
    pub fn know(&self, endpoint: &Endpoint, protocol: Protocol) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(Arc::clone(&endpoint.label), protocol);
    }

    /// Logs why a server is not asked for v2, once for each server.
    pub fn explain(&self, endpoint: &Endpoint, filter: &Filter) {
        if self.choice.pinned(endpoint).is_some() {
            return;
        }
        let Some(obstacle) = v2::request::obstacle(filter) else { return };
        let mut explained = self.explained.lock().unwrap_or_else(PoisonError::into_inner);
        if explained.insert(Arc::clone(&endpoint.label)) {
            tracing::info!(server = %endpoint.label, "speaking v1: {obstacle}");
        }
    }

    /// Notes that a server answered the v2 request and does not speak v2. Says whether it may
    /// be asked for v1 instead.
    pub fn has_no_v2(&self, endpoint: &Endpoint) -> bool {
        let may_change = self.choice.pinned(endpoint).is_none();
        if may_change {
            self.know(endpoint, Protocol::V1);
        }
        may_change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::endpoint;

    #[test]
    fn the_newer_protocol_is_asked_for_first_and_what_worked_is_remembered() {
        let protocols = Protocols::new(Choice::Auto);
        let host = endpoint::parse("h.example").unwrap();
        let plan = || protocols.plan(&host, &Filter::default());
        let (v1, v2) = (Protocol::V1, Protocol::V2);
        assert_eq!(plan(), Plan { first: v2, second: Some(v1) });
        assert!(protocols.has_no_v2(&host));
        assert_eq!(plan(), Plan { first: v1, second: Some(v2) });
        protocols.know(&host, v2);
        assert_eq!(plan(), Plan { first: v2, second: Some(v1) });
        let pinned = endpoint::parse("wss://h.example/subscribe").unwrap();
        let open = Filter::default();
        assert_eq!(protocols.plan(&pinned, &open), Plan { first: v1, second: None });
        let only = Protocols::new(Choice::V2);
        assert_eq!(only.plan(&host, &open), Plan { first: v2, second: None });
        assert!(!only.has_no_v2(&host));
    }
}
