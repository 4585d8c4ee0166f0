//! Chooses the protocol for each server, from the user's preference and from what the server
//! answered before. No I/O.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::filter::Filter;

use super::endpoint::Endpoint;
use super::protocol::Protocol;
use super::v2;

/// The user's preference, for servers whose URL does not name a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolPreference {
    /// v2 if the server has it, v1 otherwise.
    Auto,
    /// Only v1.
    V1,
    /// Only v2.
    V2,
}

impl ProtocolPreference {
    fn only(self) -> Option<Protocol> {
        match self {
            Self::Auto => None,
            Self::V1 => Some(Protocol::V1),
            Self::V2 => Some(Protocol::V2),
        }
    }

    /// Returns the only protocol allowed for a server; `None` if it is negotiated.
    #[must_use]
    pub fn pinned(self, endpoint: &Endpoint) -> Option<Protocol> {
        endpoint.protocol.or_else(|| self.only())
    }
}

/// The protocols to try with one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// The protocol to try first.
    pub first: Protocol,
    /// The protocol to try if the server does not have the first.
    pub fallback: Option<Protocol>,
}

/// The protocols of a run's servers.
#[derive(Debug)]
pub struct Negotiator {
    preference: ProtocolPreference,
    /// The protocol that each server used last, by label.
    known: Mutex<HashMap<Arc<str>, Protocol>>,
    /// The servers for which the log says why v2 is not tried.
    explained: Mutex<HashSet<Arc<str>>>,
    /// Whether the log says that v1 has no sync events.
    warned_of_syncs: AtomicBool,
}

impl Negotiator {
    /// Creates a negotiator without knowledge of any server.
    #[must_use]
    pub fn new(preference: ProtocolPreference) -> Self {
        Self {
            preference,
            known: Mutex::default(),
            explained: Mutex::default(),
            warned_of_syncs: AtomicBool::default(),
        }
    }

    /// Returns the protocols to try with a server. The one that it used before comes first, and
    /// a server that refuses it is asked for the other one again. A filter that v2 cannot express
    /// leaves only v1.
    #[must_use]
    pub fn candidates(&self, endpoint: &Endpoint, filter: &Filter) -> Candidates {
        let only = |first| Candidates { first, fallback: None };
        if let Some(pinned) = self.preference.pinned(endpoint) {
            return only(pinned);
        }
        if v2::request::obstacle(filter).is_some() {
            return only(Protocol::V1);
        }
        match self.known(endpoint) {
            Some(Protocol::V1) => Candidates { first: Protocol::V1, fallback: Some(Protocol::V2) },
            _ => Candidates { first: Protocol::V2, fallback: Some(Protocol::V1) },
        }
    }

    /// Returns the only protocol allowed for a server; `None` if it is negotiated.
    #[must_use]
    pub fn pinned(&self, endpoint: &Endpoint) -> Option<Protocol> {
        self.preference.pinned(endpoint)
    }

    fn known(&self, endpoint: &Endpoint) -> Option<Protocol> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint.label).copied()
    }

    /// Records the protocol that a server uses.
    pub fn record(&self, endpoint: &Endpoint, protocol: Protocol) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(Arc::clone(&endpoint.label), protocol);
    }

    /// Logs why v2 is not tried with a server, once for each server.
    pub fn explain(&self, endpoint: &Endpoint, filter: &Filter) {
        if self.preference.pinned(endpoint).is_some() {
            return;
        }
        let Some(obstacle) = v2::request::obstacle(filter) else { return };
        let mut explained = self.explained.lock().unwrap_or_else(PoisonError::into_inner);
        if explained.insert(Arc::clone(&endpoint.label)) {
            tracing::info!(server = %endpoint.label, "speaking v1: {obstacle}");
        }
    }

    /// Warns, once a run, that v1 lacks a kind of markers.
    pub fn warn_of_missing_syncs(&self) {
        if !self.warned_of_syncs.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "v1 has no sync events, so that the output keeps records which a repaired repository no longer has: read a v2 server to get them"
            );
        }
    }

    /// Records that a server accepted the v2 request and then did not send v2. Returns whether
    /// v1 may be tried instead.
    pub fn record_missing_v2(&self, endpoint: &Endpoint) -> bool {
        let is_negotiable = self.preference.pinned(endpoint).is_none();
        if is_negotiable {
            self.record(endpoint, Protocol::V1);
        }
        is_negotiable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::endpoint;

    #[test]
    fn v2_is_tried_first_and_the_protocol_that_worked_is_remembered() {
        let negotiator = Negotiator::new(ProtocolPreference::Auto);
        let host = endpoint::parse("h.example").unwrap();
        let candidates = || negotiator.candidates(&host, &Filter::default());
        let (v1, v2) = (Protocol::V1, Protocol::V2);
        assert_eq!(candidates(), Candidates { first: v2, fallback: Some(v1) });
        assert!(negotiator.record_missing_v2(&host));
        assert_eq!(candidates(), Candidates { first: v1, fallback: Some(v2) });
        negotiator.record(&host, v2);
        assert_eq!(candidates(), Candidates { first: v2, fallback: Some(v1) });
        let pinned = endpoint::parse("wss://h.example/subscribe").unwrap();
        let open = Filter::default();
        let only_v1 = Candidates { first: v1, fallback: None };
        assert_eq!(negotiator.candidates(&pinned, &open), only_v1);
        let only = Negotiator::new(ProtocolPreference::V2);
        assert_eq!(only.candidates(&host, &open), Candidates { first: v2, fallback: None });
        assert!(!only.record_missing_v2(&host));
    }
}
