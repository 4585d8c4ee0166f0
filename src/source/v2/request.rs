//! Filters and a starting point as a v2 query. Pure.
//!
//! Source: protocol/jetstream-v2.md §2, §4.

use url::form_urlencoded;

use crate::event::header::Kind;
use crate::filter::Filter;
use crate::filter::syntax::is_nsid;
use crate::source::{Asked, OLDEST_US};

/// Longest query. The server takes more; the WebSocket library and many proxies take 64 KiB of
/// head, and v2 has no other way to say a filter.
const MAX_QUERY_BYTES: usize = 60 * 1024;

/// By how much a message may be longer than the line that is printed of it: its envelope, and
/// members that only later servers have. The exact limit is kept where lines are printed.
const ENVELOPE_BYTES: u32 = 4096;

/// Why v2 can't be asked for what a filter wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The lists are too long for a URL.
    #[error(
        "the filters make a request of {0} bytes, and v2 has no other place for them than the URL, of which proxies take 60 KiB"
    )]
    TooLong(usize),
    /// A pattern with one label.
    #[error("v2 takes no pattern as wide as {0:?}: it needs two labels in front of .*")]
    Pattern(String),
}

/// What stands in the way of asking v2 for this, if anything does.
#[must_use]
pub fn obstacle(filter: &Filter) -> Option<Obstacle> {
    if let Some(pattern) = filter.collections.patterns().into_iter().find(|p| is_too_wide(p)) {
        return Some(Obstacle::Pattern(pattern));
    }
    let bytes = query(filter, Asked::Live, None).len();
    (bytes > MAX_QUERY_BYTES).then_some(Obstacle::TooLong(bytes))
}

/// Returns whether a server of v2 refuses this pattern of collections, on the stream and for a
/// plan: "`PREFIX.*` where `PREFIX.x` must be a valid NSID".
#[must_use]
pub fn is_too_wide(pattern: &str) -> bool {
    pattern.strip_suffix('*').is_some_and(|prefix| !is_nsid(&format!("{prefix}x")))
}

/// Asks for what `filter` wants, as far as a server can filter it, from `asked` on; with the
/// ID of a dictionary, in zstd.
#[must_use]
pub fn query(filter: &Filter, asked: Asked, dictionary: Option<u32>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut add = |name: &str, value: &str| {
        query.append_pair(name, value);
    };
    match asked {
        Asked::Live => {}
        Asked::Oldest | Asked::Floor(_) | Asked::Past => add("cursor", &OLDEST_US.to_string()),
        Asked::Instant(instant) => add("cursor", &instant.0.max(OLDEST_US).to_string()),
        Asked::Seq(seq) => add("cursor", &seq.0.to_string()),
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
    let largest = filter.max_message_bytes.filter(|max| *max > 0);
    if let Some(largest) = largest.and_then(|max| max.checked_add(ENVELOPE_BYTES)) {
        add("maxMessageSizeBytes", &largest.to_string());
    }
    if let Some(id) = dictionary {
        add("zstdDictionary", &id.to_string());
    }
    query.finish()
}

/// The kinds to ask for; none for all. Where a collection or the absence of commits makes the
/// stream sparse, the kinds that nobody wants come too, and are left out here: there are few,
/// and they prove that the stream lives and keep the position young (§2: nothing may arrive
/// for hours otherwise, and a position older than the server's window is refused).
fn kinds(filter: &Filter) -> Vec<&'static str> {
    let wants = |kind| filter.kinds.contains(&kind);
    if filter.kinds.is_empty() || (wants(Kind::Commit) && !filter.collections.is_empty()) {
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
    use crate::position::{Seq, TimeUs};

    fn filter(collections: &[&str], dids: &[&str], kinds: &[Kind]) -> Filter {
        let mut filter = Filter { kinds: kinds.to_vec(), ..Filter::default() };
        collections.iter().for_each(|c| filter.collections.add(c).unwrap());
        filter.dids = dids.iter().map(|d| (*d).to_owned()).collect();
        filter
    }

    #[test]
    fn an_open_filter_at_the_tip_asks_for_nothing() {
        assert_eq!(query(&Filter::default(), Asked::Live, None), "");
    }

    #[test]
    fn filters_are_sent_in_a_stable_order() {
        let filter = filter(&["a.b.c", "a.b.*"], &["did:plc:b", "did:plc:a"], &[Kind::Commit]);
        assert_eq!(
            query(&filter, Asked::Seq(Seq(7)), Some(20_260_811)),
            "cursor=7&collections=a.b.*&collections=a.b.c&dids=did%3Aplc%3Aa\
             &dids=did%3Aplc%3Ab&zstdDictionary=20260811"
        );
    }

    #[test]
    fn kinds_are_asked_for_where_that_leaves_a_stream_that_moves() {
        let kinds = |collections: &[&str], kinds: &[Kind]| {
            query(&filter(collections, &[], kinds), Asked::Live, None)
        };
        assert_eq!(kinds(&[], &[Kind::Commit]), "kinds=commit");
        assert_eq!(kinds(&[], &[Kind::Sync, Kind::Commit]), "kinds=commit&kinds=sync");
        assert_eq!(kinds(&["a.b.c"], &[Kind::Commit]), "collections=a.b.c");
        assert_eq!(kinds(&[], &[Kind::Identity]), "kinds=identity&kinds=account&kinds=sync");
    }

    #[test]
    fn instants_never_look_like_sequence_numbers() {
        let open = Filter::default();
        assert_eq!(query(&open, Asked::Oldest, None), "cursor=1000000000000000");
        assert_eq!(query(&open, Asked::Floor(Seq(5)), None), "cursor=1000000000000000");
        assert_eq!(query(&open, Asked::Instant(TimeUs(5)), None), "cursor=1000000000000000");
        assert_eq!(query(&open, Asked::Seq(Seq(5)), None), "cursor=5");
    }

    #[test]
    fn the_largest_size_leaves_room_for_the_envelope() {
        let sized = |max| {
            let filter = Filter { max_message_bytes: Some(max), ..Filter::default() };
            query(&filter, Asked::Live, None)
        };
        assert_eq!(sized(1000), "maxMessageSizeBytes=5096");
        assert_eq!(sized(u32::MAX), "");
        assert_eq!(sized(0), "");
    }

    #[test]
    fn what_v2_cannot_be_asked_for_is_told() {
        assert_eq!(obstacle(&filter(&["app.bsky.*", "app.bsky.feed.post"], &[], &[])), None);
        let wide = obstacle(&filter(&["app.*"], &[], &[]));
        assert_eq!(wide, Some(Obstacle::Pattern("app.*".into())));
        let dids: Vec<String> = (0..10_000).map(|i| format!("did:plc:{i:024}")).collect();
        let dids: Vec<&str> = dids.iter().map(String::as_str).collect();
        assert!(matches!(obstacle(&filter(&[], &dids, &[])), Some(Obstacle::TooLong(400_000..))));
        assert_eq!(obstacle(&filter(&[], &dids[..1000], &[])), None);
    }
}
