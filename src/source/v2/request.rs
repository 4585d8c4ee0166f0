//! Builds the query of a v2 request. No I/O.
//!
//! Source: protocol/jetstream-v2.md §2, §4.

use url::form_urlencoded;

use crate::event::header::Kind;
use crate::filter::Filter;
use crate::filter::syntax::is_nsid;
use crate::source::{OLDEST_US, RequestedCursor};

/// The longest query, in bytes. The server accepts more, but the WebSocket library and many
/// proxies accept a request head of 64 KiB, and v2 has no other place for a filter.
const MAX_QUERY_BYTES: usize = 60 * 1024;

/// By how much a message may be longer than its printed line: the envelope, and members that
/// only later servers send. The exact limit is applied to the printed line.
const ENVELOPE_BYTES: u32 = 4096;

/// Why a v2 request cannot express a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The lists are too long for a URL.
    #[error(
        "the filters need a URL of {0} bytes, and proxies accept 60 KiB; v2 takes filters only in the URL"
    )]
    TooLong(usize),
    /// A pattern with one label.
    #[error("v2 does not accept a pattern as wide as {0:?}: it needs two labels before .*")]
    Pattern(String),
}

/// Returns why a v2 request cannot express `filter`, if it cannot.
#[must_use]
pub fn obstacle(filter: &Filter) -> Option<Obstacle> {
    if let Some(pattern) = filter.collections.patterns().into_iter().find(|p| is_too_wide(p)) {
        return Some(Obstacle::Pattern(pattern));
    }
    let bytes = query(filter, RequestedCursor::Live, None).len();
    (bytes > MAX_QUERY_BYTES).then_some(Obstacle::TooLong(bytes))
}

/// Returns whether a v2 server refuses this pattern of collections, in a stream request and in an
/// archive plan: "`PREFIX.*` where `PREFIX.x` must be a valid NSID".
#[must_use]
pub fn is_too_wide(pattern: &str) -> bool {
    pattern.strip_suffix('*').is_some_and(|prefix| !is_nsid(&format!("{prefix}x")))
}

/// Returns the query for the events from `cursor` on, filtered as far as a server can. With the
/// ID of a dictionary, it requests zstd.
#[must_use]
pub fn query(filter: &Filter, cursor: RequestedCursor, dictionary: Option<u32>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut add = |name: &str, value: &str| {
        query.append_pair(name, value);
    };
    match cursor {
        RequestedCursor::Live => {}
        RequestedCursor::Oldest
        | RequestedCursor::OldestInsteadOf(_)
        | RequestedCursor::Archive => add("cursor", &OLDEST_US.to_string()),
        RequestedCursor::Instant(instant) => add("cursor", &instant.0.max(OLDEST_US).to_string()),
        RequestedCursor::Seq(seq) => add("cursor", &seq.0.to_string()),
    }
    for kind in kinds(filter) {
        add("kinds", kind);
    }
    for collection in filter.collections.patterns() {
        add("collections", &collection);
    }
    let mut dids: Vec<&String> = filter.dids.iter().collect();
    dids.sort_unstable();
    dids.iter().for_each(|did| add("dids", did));
    let largest = filter.requested_message_bytes().filter(|max| *max > 0);
    if let Some(largest) = largest.and_then(|max| max.checked_add(ENVELOPE_BYTES)) {
        add("maxMessageSizeBytes", &largest.to_string());
    }
    if let Some(id) = dictionary {
        add("zstdDictionary", &id.to_string());
    }
    query.finish()
}

/// Returns the kinds to request; empty for all.
///
/// If a collection, or a filter without commits, makes the stream sparse, the request includes
/// unwanted kinds, which the client drops. They are few. They prove that the stream is alive, and
/// they keep the position recent: without them nothing may arrive for hours (§2), and the server
/// refuses a position that is older than its window.
fn kinds(filter: &Filter) -> Vec<&'static str> {
    let kinds = filter.requested_kinds();
    let wants = |kind| kinds.contains(&kind);
    if kinds.is_empty() || (wants(Kind::Commit) && !filter.collections.is_empty()) {
        return Vec::new();
    }
    if !wants(Kind::Commit) {
        return vec!["identity", "account", "sync"];
    }
    let words = [
        (Kind::Commit, "commit"),
        (Kind::Identity, "identity"),
        (Kind::Account, "account"),
        (Kind::Sync, "sync"),
    ];
    words.into_iter().filter(|(kind, _)| wants(*kind)).map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Markers;
    use crate::position::{Seq, TimeUs};

    fn filter(collections: &[&str], dids: &[&str], kinds: &[Kind]) -> Filter {
        let mut filter = Filter { kinds: kinds.to_vec(), ..Filter::default() };
        collections.iter().for_each(|c| filter.collections.add(c).unwrap());
        filter.dids = dids.iter().map(|d| (*d).to_owned()).collect();
        filter
    }

    #[test]
    fn without_filters_the_live_tip_needs_no_query() {
        assert_eq!(query(&Filter::default(), RequestedCursor::Live, None), "");
    }

    #[test]
    fn filters_are_sent_in_a_stable_order() {
        let filter = filter(&["a.b.c", "a.b.*"], &["did:plc:b", "did:plc:a"], &[Kind::Commit]);
        assert_eq!(
            query(&filter, RequestedCursor::Seq(Seq(7)), Some(20_260_811)),
            "cursor=7&collections=a.b.*&collections=a.b.c&dids=did%3Aplc%3Aa\
             &dids=did%3Aplc%3Ab&zstdDictionary=20260811"
        );
    }

    #[test]
    fn kinds_are_requested_only_if_the_stream_still_moves() {
        let kinds = |collections: &[&str], kinds: &[Kind]| {
            query(&filter(collections, &[], kinds), RequestedCursor::Live, None)
        };
        assert_eq!(kinds(&[], &[Kind::Commit]), "kinds=commit");
        assert_eq!(kinds(&[], &[Kind::Sync, Kind::Commit]), "kinds=commit&kinds=sync");
        assert_eq!(kinds(&["a.b.c"], &[Kind::Commit]), "collections=a.b.c");
        assert_eq!(kinds(&[], &[Kind::Identity]), "kinds=identity&kinds=account&kinds=sync");
    }

    #[test]
    fn markers_are_requested_beside_commits() {
        let markers = |collections: &[&str], kinds: &[Kind]| {
            let filter = Filter {
                markers: Markers::Asked,
                max_message_bytes: Some(1),
                ..filter(collections, &[], kinds)
            };
            query(&filter, RequestedCursor::Live, None)
        };
        let three = "kinds=commit&kinds=account&kinds=sync";
        assert_eq!(markers(&[], &[Kind::Commit]), three);
        assert_eq!(markers(&["a.b.c"], &[Kind::Commit]), "collections=a.b.c");
        assert_eq!(markers(&[], &[]), "");
    }

    #[test]
    fn instants_never_look_like_sequence_numbers() {
        let open = Filter::default();
        assert_eq!(query(&open, RequestedCursor::Oldest, None), "cursor=1000000000000000");
        assert_eq!(
            query(&open, RequestedCursor::OldestInsteadOf(Seq(5)), None),
            "cursor=1000000000000000"
        );
        assert_eq!(
            query(&open, RequestedCursor::Instant(TimeUs(5)), None),
            "cursor=1000000000000000"
        );
        assert_eq!(query(&open, RequestedCursor::Seq(Seq(5)), None), "cursor=5");
    }

    #[test]
    fn the_largest_size_leaves_room_for_the_envelope() {
        let sized = |max| {
            let filter = Filter { max_message_bytes: Some(max), ..Filter::default() };
            query(&filter, RequestedCursor::Live, None)
        };
        assert_eq!(sized(1000), "maxMessageSizeBytes=5096");
        assert_eq!(sized(u32::MAX), "");
        assert_eq!(sized(0), "");
    }

    #[test]
    fn filters_that_v2_cannot_express_are_obstacles() {
        assert_eq!(obstacle(&filter(&["app.bsky.*", "app.bsky.feed.post"], &[], &[])), None);
        let wide = obstacle(&filter(&["app.*"], &[], &[]));
        assert_eq!(wide, Some(Obstacle::Pattern("app.*".into())));
        let dids: Vec<String> = (0..10_000).map(|i| format!("did:plc:{i:024}")).collect();
        let dids: Vec<&str> = dids.iter().map(String::as_str).collect();
        assert!(matches!(obstacle(&filter(&[], &dids, &[])), Some(Obstacle::TooLong(400_000..))));
        assert_eq!(obstacle(&filter(&[], &dids[..1000], &[])), None);
    }
}
