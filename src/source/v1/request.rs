//! Builds the v1 request: a query, and a first message if the filters are too long for a URL.
//! No I/O.
//!
//! Source: protocol/jetstream-v1.md §3, §4, §6.

use serde::Serialize;
use url::form_urlencoded;

use crate::filter::Filter;
use crate::source::{OLDEST_US, RequestedCursor};

/// The longest query that is put into the URL, in bytes. Servers accept more, but proxies in
/// front of them may not.
const MAX_QUERY_BYTES: usize = 4096;

/// An NSID that no record has. To request it excludes every commit, which v1 cannot express in
/// another way; identity and account events still arrive.
const NO_COLLECTION: &str = "invalid.skytail.nothing";

/// The parts of a v1 request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The query of the URL, encoded, without `?`.
    pub query: String,
    /// The text message to send first, if the filters are too long for a URL.
    pub hello: Option<String>,
    /// The update message with the filters; `None` if the server filters nothing.
    pub filter_update: Option<String>,
}

/// The update message that turns every filter off (protocol/jetstream-v1.md §6).
pub const NO_FILTER_UPDATE: &str = r#"{"type":"options_update","payload":{"wantedCollections":[],"wantedDids":[],"maxMessageSizeBytes":0}}"#;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options<'a> {
    wanted_collections: &'a [String],
    wanted_dids: &'a [&'a str],
    max_message_size_bytes: u32,
}

#[derive(Serialize)]
struct Hello<'a> {
    r#type: &'static str,
    payload: Options<'a>,
}

impl Subscription {
    /// Builds the request for the events from `cursor` on, filtered as far as a server can.
    #[must_use]
    pub fn new(filter: &Filter, cursor: RequestedCursor, compress: bool) -> Self {
        let collections = match filter.wants_commits() {
            true => filter.collections.patterns(),
            false => vec![NO_COLLECTION.to_owned()],
        };
        let mut dids: Vec<&str> = filter.dids.iter().map(String::as_str).collect();
        dids.sort_unstable();
        let max_message_size_bytes = filter.requested_message_bytes().unwrap_or(0);

        let mut query = form_urlencoded::Serializer::new(String::new());
        match cursor {
            RequestedCursor::Live => {}
            RequestedCursor::Oldest
            | RequestedCursor::OldestInsteadOf(_)
            | RequestedCursor::Archive => add(&mut query, "cursor", OLDEST_US),
            RequestedCursor::Instant(instant) => {
                add(&mut query, "cursor", instant.0.max(OLDEST_US))
            }
            RequestedCursor::Seq(seq) => add(&mut query, "cursor", seq.0),
        }
        if compress {
            add(&mut query, "compress", "true");
        }
        let base = query.finish();

        let mut query = form_urlencoded::Serializer::new(base.clone());
        for collection in &collections {
            add(&mut query, "wantedCollections", collection);
        }
        for did in &dids {
            add(&mut query, "wantedDids", did);
        }
        if max_message_size_bytes > 0 {
            add(&mut query, "maxMessageSizeBytes", max_message_size_bytes);
        }
        let query = query.finish();
        if query == base {
            return Self { query, hello: None, filter_update: None };
        }
        let payload = Options {
            wanted_collections: &collections,
            wanted_dids: &dids,
            max_message_size_bytes,
        };
        let hello = serde_json::to_string(&Hello { r#type: "options_update", payload });
        // Strings and integers always have a JSON form; the server would refuse an empty message
        // with an error text.
        let update = hello.unwrap_or_default();
        if query.len() <= MAX_QUERY_BYTES {
            return Self { query, hello: None, filter_update: Some(update) };
        }
        let mut query = form_urlencoded::Serializer::new(base);
        add(&mut query, "requireHello", "true");
        Self { query: query.finish(), hello: Some(update.clone()), filter_update: Some(update) }
    }
}

fn add(query: &mut form_urlencoded::Serializer<'_, String>, name: &str, value: impl ToString) {
    query.append_pair(name, &value.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header::Kind;
    use crate::position::{Seq, TimeUs};

    fn filter(collections: &[&str], dids: &[&str]) -> Filter {
        let mut filter = Filter::default();
        collections.iter().for_each(|c| filter.collections.add(c).unwrap());
        filter.dids = dids.iter().map(|d| (*d).to_owned()).collect();
        filter
    }

    fn query(filter: &Filter, cursor: RequestedCursor) -> String {
        Subscription::new(filter, cursor, false).query
    }

    #[test]
    fn without_filters_the_live_tip_needs_no_query() {
        assert_eq!(query(&Filter::default(), RequestedCursor::Live), "");
    }

    #[test]
    fn filters_are_sent_in_a_stable_order() {
        let filter =
            filter(&["app.bsky.feed.post", "app.bsky.graph.*"], &["did:plc:b", "did:plc:a"]);
        assert_eq!(
            query(&filter, RequestedCursor::Live),
            "wantedCollections=app.bsky.feed.post&wantedCollections=app.bsky.graph.*\
             &wantedDids=did%3Aplc%3Aa&wantedDids=did%3Aplc%3Ab"
        );
    }

    #[test]
    fn instants_never_look_like_sequence_numbers() {
        let open = Filter::default();
        assert_eq!(query(&open, RequestedCursor::Oldest), "cursor=1000000000000000");
        assert_eq!(query(&open, RequestedCursor::Instant(TimeUs(5))), "cursor=1000000000000000");
        assert_eq!(
            query(&open, RequestedCursor::Instant(TimeUs(1_783_175_888_186_668))),
            "cursor=1783175888186668"
        );
        assert_eq!(query(&open, RequestedCursor::Seq(Seq(5))), "cursor=5");
    }

    #[test]
    fn without_commits_only_a_collection_without_records_is_requested() {
        let filter = Filter { kinds: vec![Kind::Identity], ..Filter::default() };
        assert_eq!(
            query(&filter, RequestedCursor::Live),
            "wantedCollections=invalid.skytail.nothing"
        );
    }

    #[test]
    fn a_filter_update_exists_only_if_the_server_filters() {
        let update_of = |filter: &Filter| {
            Subscription::new(filter, RequestedCursor::Oldest, false).filter_update
        };
        assert_eq!(update_of(&Filter::default()), None);
        let update = update_of(&filter(&["a.b.c"], &["did:plc:a"])).unwrap();
        let mut update: serde_json::Value = serde_json::from_str(&update).unwrap();
        assert_eq!(update["payload"]["wantedCollections"][0], "a.b.c");
        assert_eq!(update["payload"]["wantedDids"][0], "did:plc:a");
        let lists = &mut update["payload"];
        (lists["wantedCollections"], lists["wantedDids"]) = ([""; 0].into(), [""; 0].into());
        assert_eq!(update, serde_json::from_str::<serde_json::Value>(NO_FILTER_UPDATE).unwrap());
    }

    #[test]
    fn long_filters_are_sent_as_the_first_message() {
        let dids: Vec<String> = (0..10_000).map(|i| format!("did:plc:{i:024}")).collect();
        let dids: Vec<&str> = dids.iter().map(String::as_str).collect();
        let subscription =
            Subscription::new(&filter(&["a.b.c"], &dids), RequestedCursor::Seq(Seq(7)), true);
        assert_eq!(subscription.query, "cursor=7&compress=true&requireHello=true");
        let hello: serde_json::Value = serde_json::from_str(&subscription.hello.unwrap()).unwrap();
        assert_eq!(hello["type"], "options_update");
        assert_eq!(hello["payload"]["wantedDids"].as_array().unwrap().len(), 10_000);
        assert_eq!(hello["payload"]["wantedCollections"][0], "a.b.c");
        assert_eq!(hello["payload"]["maxMessageSizeBytes"], 0);
    }
}
