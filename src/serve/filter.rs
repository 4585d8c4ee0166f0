//! The filters of a v1 connection, from the query and from `options_update` messages, with each
//! server's limits, error texts and close codes (protocol/jetstream-v1.md §3 and §6).
//!
//! These are the server's rules, not the client's: identity and account events bypass
//! `wantedCollections`, but not `wantedDids`.

pub(super) mod v2;

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::header::{self, Kind};
use crate::filter::{Collections, check_did};
use crate::position::ServerKind;

const MAX_COLLECTIONS: usize = 100;
const MAX_DIDS: usize = 10_000;
/// v2 rejects longer lists before it parses them.
const MAX_RAW_COLLECTIONS: usize = 10_000;
const MAX_RAW_DIDS: usize = 1_000_000;
/// Longest accepted client message, in bytes.
pub(super) const MAX_CLIENT_MESSAGE_BYTES: usize = 10_000_000;

/// The filter of a v1 connection.
#[derive(Clone, Debug, Default)]
pub(super) struct V1Filter {
    collections: Collections,
    /// Whether the filter has an accepted pattern that matches nothing, like `.*`.
    has_unmatchable: bool,
    dids: HashSet<String>,
    /// Size of the largest event, in bytes; 0: unlimited.
    pub max_message_bytes: u32,
}

/// The server's text about an invalid filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidOptions(pub String);

/// Why a client message was rejected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MessageError {
    /// The envelope is malformed.
    Envelope(String),
    /// The payload has wrong types.
    Payload(String),
    /// A filter is invalid.
    Options(String),
    /// The message is too long.
    TooLong,
}

impl V1Filter {
    /// Builds a filter from the values of the query parameters.
    pub(super) fn from_lists(
        collections: &[String],
        dids: &[String],
        max_message_bytes: u32,
        kind: ServerKind,
    ) -> Result<Self, InvalidOptions> {
        let mut filter = Self { max_message_bytes, ..Self::default() };
        let too_many = match kind {
            ServerKind::V2 => {
                collections.len() > MAX_RAW_COLLECTIONS || {
                    let distinct: HashSet<&String> = collections.iter().collect();
                    distinct.len() > MAX_COLLECTIONS
                }
            }
            ServerKind::Legacy => {
                let (prefixes, exact): (Vec<&String>, Vec<&String>) =
                    collections.iter().partition(|c| c.ends_with(".*"));
                let exact: HashSet<&String> = exact.into_iter().collect();
                prefixes.len() + exact.len() > MAX_COLLECTIONS
            }
        };
        if too_many {
            let text = format!("too many wanted collections: > {MAX_COLLECTIONS}");
            return Err(InvalidOptions(text));
        }
        if kind == ServerKind::V2 && dids.len() > MAX_RAW_DIDS {
            return Err(too_many_dids(dids.len()));
        }
        for collection in collections {
            filter.add_collection(collection)?;
        }
        for did in dids {
            if check_did(did).is_err() {
                return Err(InvalidOptions(match kind {
                    ServerKind::V2 => format!("invalid DID: {did}"),
                    ServerKind::Legacy => "invalid DID".to_owned(),
                }));
            }
            filter.dids.insert(did.clone());
        }
        if filter.dids.len() > MAX_DIDS {
            return Err(too_many_dids(filter.dids.len()));
        }
        Ok(filter)
    }

    fn add_collection(&mut self, value: &str) -> Result<(), InvalidOptions> {
        match self.collections.add(value) {
            Ok(()) => Ok(()),
            // Servers do not validate the part before `.*`; no NSID matches such a pattern.
            Err(_) if value.ends_with(".*") => {
                self.has_unmatchable = true;
                Ok(())
            }
            Err(_) => Err(InvalidOptions(format!("invalid collection: {value}"))),
        }
    }

    /// Returns whether an event matches, apart from its size.
    pub(super) fn matches_event(&self, line: &[u8]) -> bool {
        let any_collection = self.collections.is_empty() && !self.has_unmatchable;
        if any_collection && self.dids.is_empty() {
            return true;
        }
        // Lines were validated when the recording was read.
        let Ok(header) = header::parse(line) else {
            return true;
        };
        if !self.dids.is_empty() && !self.dids.contains(&*header.did) {
            return false;
        }
        if any_collection || header.kind != Kind::Commit {
            return true;
        }
        match &header.commit {
            Some(commit) if !commit.collection.is_empty() => {
                !self.collections.is_empty() && self.collections.matches(&commit.collection)
            }
            _ => true,
        }
    }

    /// Parses a client's text message and returns the new filter; `None` for other message types.
    pub(super) fn from_message(
        text: &str,
        now: &Self,
        kind: ServerKind,
    ) -> Result<Option<Self>, MessageError> {
        if text.len() > MAX_CLIENT_MESSAGE_BYTES {
            return Err(MessageError::TooLong);
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|e| MessageError::Envelope(e.to_string()))?;
        if envelope.kind.as_deref() != Some("options_update") {
            return Ok(None);
        }
        let payload = envelope.payload.map_or("", RawValue::get);
        // serde reads a missing member as null, so a missing payload must be distinguished.
        let payload: Option<Payload> =
            serde_json::from_str(payload).map_err(|e| MessageError::Payload(e.to_string()))?;
        let payload = payload.unwrap_or_default();
        let max_message_bytes = match kind {
            ServerKind::V2 => u32::try_from(payload.max_message_bytes.unwrap_or(0)).unwrap_or(0),
            // Legacy parses the size, but does not apply it (protocol/jetstream-v1.md §6).
            ServerKind::Legacy => now.max_message_bytes,
        };
        let list = Option::unwrap_or_default;
        Self::from_lists(&list(payload.collections), &list(payload.dids), max_message_bytes, kind)
            .map(Some)
            .map_err(|InvalidOptions(text)| MessageError::Options(text))
    }
}

fn too_many_dids(count: usize) -> InvalidOptions {
    InvalidOptions(format!("too many wanted DIDs: {count} > {MAX_DIDS}"))
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Payload {
    #[serde(rename = "wantedCollections")]
    collections: Option<Vec<String>>,
    #[serde(rename = "wantedDids")]
    dids: Option<Vec<String>>,
    #[serde(rename = "maxMessageSizeBytes")]
    max_message_bytes: Option<i64>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIKE: &[u8] = br#"{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"app.bsky.feed.like","rkey":"k"}}"#;
    const IDENTITY: &[u8] = br#"{"did":"did:plc:b","time_us":1,"kind":"identity","identity":{}}"#;

    fn filter(collections: &[&str], dids: &[&str], kind: ServerKind) -> Result<V1Filter, String> {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        V1Filter::from_lists(&owned(collections), &owned(dids), 0, kind).map_err(|e| e.0)
    }

    #[test]
    fn identities_bypass_collections_but_not_dids() {
        let posts = filter(&["app.bsky.feed.post"], &[], ServerKind::V2).unwrap();
        assert!(!posts.matches_event(LIKE) && posts.matches_event(IDENTITY));
        let account = filter(&["app.bsky.feed.*"], &["did:plc:a"], ServerKind::V2).unwrap();
        assert!(account.matches_event(LIKE) && !account.matches_event(IDENTITY));
    }

    #[test]
    fn an_odd_pattern_is_accepted_and_matches_nothing() {
        let odd = filter(&[".*"], &[], ServerKind::V2).unwrap();
        assert!(!odd.matches_event(LIKE) && odd.matches_event(IDENTITY));
    }

    #[test]
    fn invalid_values_are_reported_in_each_servers_wording() {
        let refused = |c: &[&str], d: &[&str], kind| filter(c, d, kind).unwrap_err();
        assert_eq!(
            refused(&["app.bsky.fo*"], &[], ServerKind::V2),
            "invalid collection: app.bsky.fo*"
        );
        assert_eq!(refused(&[""], &[], ServerKind::V2), "invalid collection: ");
        assert_eq!(refused(&[], &["bob"], ServerKind::V2), "invalid DID: bob");
        assert_eq!(refused(&[], &["bob"], ServerKind::Legacy), "invalid DID");
    }

    #[test]
    fn each_server_counts_its_limits_in_its_own_way() {
        let same = vec!["app.bsky.*"; 101];
        assert!(filter(&same, &[], ServerKind::V2).is_ok());
        assert!(filter(&same, &[], ServerKind::Legacy).is_err());
        let dids: Vec<String> = (0..10_001).map(|i| format!("did:plc:{i}")).collect();
        let dids: Vec<&str> = dids.iter().map(String::as_str).collect();
        assert!(filter(&[], &dids[1..], ServerKind::V2).is_ok());
        let error = filter(&[], &dids, ServerKind::V2).unwrap_err();
        assert_eq!(error, "too many wanted DIDs: 10001 > 10000");
    }

    fn message(text: &str, kind: ServerKind) -> Result<Option<V1Filter>, MessageError> {
        let now = V1Filter { max_message_bytes: 77, ..V1Filter::default() };
        V1Filter::from_message(text, &now, kind)
    }

    #[test]
    fn an_update_replaces_the_filters_as_a_whole() {
        let text = r#"{"type":"options_update","payload":{"wantedCollections":["app.bsky.feed.post"],"wantedDids":null,"maxMessageSizeBytes":-5}}"#;
        let new = message(text, ServerKind::V2).unwrap().unwrap();
        assert!(!new.matches_event(LIKE));
        assert_eq!(new.max_message_bytes, 0);
        let legacy = message(text, ServerKind::Legacy).unwrap().unwrap();
        assert_eq!(legacy.max_message_bytes, 77, "legacy does not apply the size");
        let open = r#"{"type":"options_update","payload":{}}"#;
        assert!(message(open, ServerKind::V2).unwrap().unwrap().matches_event(LIKE));
    }

    #[test]
    fn message_errors_are_distinguished() {
        let mistake = |text: &str| message(text, ServerKind::V2).unwrap_err();
        assert!(matches!(mistake("hello"), MessageError::Envelope(_)));
        assert!(matches!(mistake(r#"{"type":3}"#), MessageError::Envelope(_)));
        assert!(matches!(mistake(r#"{"type":"options_update"}"#), MessageError::Payload(_)));
        let wrong = r#"{"type":"options_update","payload":{"wantedDids":"did:plc:a"}}"#;
        assert!(matches!(mistake(wrong), MessageError::Payload(_)));
        let bad = r#"{"type":"options_update","payload":{"wantedDids":["a"]}}"#;
        assert_eq!(mistake(bad), MessageError::Options("invalid DID: a".into()));
        assert!(matches!(message(r#"{"type":"other"}"#, ServerKind::V2), Ok(None)));
    }

    proptest! {
        #[test]
        fn any_client_message_is_handled(
            text in prop_oneof![
                ".{0,200}",
                r#"\{"type":"options_update","payload":(null|\{("wantedCollections":(null|\["[a-z.*]{0,12}"(,"[a-z.]{1,9}")?\]))?(,?"wantedDids":\["did:[a-z:]{0,9}"\])?(,?"maxMessageSizeBytes":-?[0-9]{1,20})?\})\}"#,
            ],
            kind in prop_oneof![Just(ServerKind::V2), Just(ServerKind::Legacy)],
        ) {
            if let Ok(Some(filter)) = message(&text, kind) {
                filter.matches_event(LIKE);
                prop_assert!(filter.dids.len() <= MAX_DIDS);
                prop_assert!(filter.collections.len() <= MAX_COLLECTIONS);
            }
        }
    }
}
