//! Collections that are in use on the network, to suggest corrections of misspelled ones.
//! Collections that are not listed here work equally well.

/// NSIDs of record types, sorted.
pub const COLLECTIONS: &[&str] = &[
    "app.bsky.actor.profile",
    "app.bsky.actor.status",
    "app.bsky.feed.generator",
    "app.bsky.feed.like",
    "app.bsky.feed.post",
    "app.bsky.feed.postgate",
    "app.bsky.feed.repost",
    "app.bsky.feed.threadgate",
    "app.bsky.graph.block",
    "app.bsky.graph.follow",
    "app.bsky.graph.list",
    "app.bsky.graph.listblock",
    "app.bsky.graph.listitem",
    "app.bsky.graph.starterpack",
    "app.bsky.graph.verification",
    "app.bsky.labeler.service",
    "app.bsky.notification.declaration",
    "blue.flashes.actor.profile",
    "blue.linkat.board",
    "chat.bsky.actor.declaration",
    "com.atproto.lexicon.schema",
    "com.whtwnd.blog.entry",
    "community.lexicon.calendar.event",
    "community.lexicon.calendar.rsvp",
    "events.smokesignal.calendar.event",
    "events.smokesignal.calendar.rsvp",
    "fm.teal.alpha.actor.status",
    "fm.teal.alpha.feed.play",
    "fyi.unravel.frontpage.comment",
    "fyi.unravel.frontpage.post",
    "fyi.unravel.frontpage.vote",
    "my.skylights.rel",
    "place.stream.chat.message",
    "place.stream.chat.profile",
    "place.stream.livestream",
    "pub.leaflet.document",
    "pub.leaflet.publication",
    "sh.tangled.actor.profile",
    "sh.tangled.feed.star",
    "sh.tangled.graph.follow",
    "sh.tangled.knot",
    "sh.tangled.knot.member",
    "sh.tangled.publicKey",
    "sh.tangled.repo",
    "sh.tangled.repo.issue",
    "sh.tangled.repo.issue.comment",
    "sh.tangled.repo.pull",
    "sh.tangled.repo.pull.comment",
    "site.standard.document",
    "site.standard.publication",
    "social.grain.actor.profile",
    "social.grain.favorite",
    "social.grain.gallery",
    "social.grain.gallery.item",
    "social.grain.photo",
    "social.pinksky.app.preference",
    "xyz.statusphere.status",
];

/// The shortest prefix that is compared letter by letter. Shorter ones are similar by chance.
const MIN_PREFIX: usize = 8;

/// Returns the known collection or pattern that `pattern` (an NSID, or a prefix with `.*`) probably
/// misspells; `None` if it is known, or not similar to a known one.
#[must_use]
pub fn suggest(pattern: &str) -> Option<String> {
    match pattern.strip_suffix(".*") {
        Some(prefix) => suggest_prefix(prefix),
        None => suggest_nsid(pattern),
    }
}

fn suggest_nsid(nsid: &str) -> Option<String> {
    if COLLECTIONS.contains(&nsid) {
        return None;
    }
    let lower = nsid.to_ascii_lowercase();
    let same_letters = COLLECTIONS.iter().find(|known| known.eq_ignore_ascii_case(nsid));
    if let Some(known) = same_letters {
        return Some((*known).to_owned());
    }
    if prefixes().any(|prefix| prefix == lower) {
        return Some(format!("{lower}.*"));
    }
    if let Some(known) = COLLECTIONS.iter().find(|known| is_a_letter_off(known, nsid)) {
        return Some((*known).to_owned());
    }
    let near = prefixes().find(|prefix| is_near_prefix(prefix, nsid));
    if let Some(prefix) = near {
        return Some(format!("{prefix}.*"));
    }
    let (authority, name) = nsid.rsplit_once('.')?;
    let proper = authority.to_ascii_lowercase();
    (proper != authority).then(|| format!("{proper}.{name}"))
}

fn suggest_prefix(prefix: &str) -> Option<String> {
    if prefixes().any(|known| known == prefix) {
        return None;
    }
    // No known collection has others below it, except those that are listed.
    if COLLECTIONS.contains(&prefix) {
        return Some(prefix.to_owned());
    }
    let lower = prefix.to_ascii_lowercase();
    if lower != prefix {
        return Some(format!("{lower}.*"));
    }
    let near = prefixes().find(|known| is_near_prefix(known, prefix));
    near.map(|known| format!("{known}.*"))
}

/// Returns the part before each dot of the known collections.
fn prefixes() -> impl Iterator<Item = &'static str> {
    COLLECTIONS.iter().flat_map(|nsid| nsid.match_indices('.').filter_map(|(at, _)| nsid.get(..at)))
}

fn is_near_prefix(known: &str, given: &str) -> bool {
    known.len() >= MIN_PREFIX && is_a_letter_off(known, given)
}

/// Returns whether `a` and `b` differ in one inserted, removed, replaced or transposed letter.
fn is_a_letter_off(a: &str, b: &str) -> bool {
    a.len().abs_diff(b.len()) <= 1 && strsim::osa_distance(a, b) == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Collections;

    #[test]
    fn a_misspelled_collection_gets_a_suggestion() {
        for (given, meant) in [
            ("app.bsky.feed", Some("app.bsky.feed.*")),
            ("App.Bsky.Feed", Some("app.bsky.feed.*")),
            ("sh.tangled.repo", None),
            ("app.bsky.feed.pots", Some("app.bsky.feed.post")),
            ("app.bsky.feed.psot", Some("app.bsky.feed.post")),
            ("app.bsky.feed.posts", Some("app.bsky.feed.post")),
            ("app.bksy.feed.post", Some("app.bsky.feed.post")),
            ("app.bsky.feed.Post", Some("app.bsky.feed.post")),
            ("APP.BSKY.FEED.POST", Some("app.bsky.feed.post")),
            ("app.bsky.fed", Some("app.bsky.feed.*")),
            ("Com.Example.thing", Some("com.example.thing")),
            ("com.example.myThing", None),
            ("com.example.things", None),
            ("app.bsky.feed.post", None),
            ("app.bsky.feed.*", None),
            ("app.*", None),
            ("app.bsky.fed.*", Some("app.bsky.feed.*")),
            ("app.bsky.feed.post.*", Some("app.bsky.feed.post")),
            ("App.bsky.*", Some("app.bsky.*")),
            ("com.example.*", None),
        ] {
            assert_eq!(suggest(given).as_deref(), meant, "{given}");
        }
    }

    #[test]
    fn known_collections_are_sorted_and_suggestions_are_valid() {
        assert!(COLLECTIONS.is_sorted());
        for known in COLLECTIONS {
            assert_eq!(suggest(known), None, "{known}");
            // A letter off in any place.
            for at in 0..known.len() {
                let mut other = (*known).to_owned();
                other.remove(at);
                if let Some(meant) = suggest(&other) {
                    assert!(Collections::default().add(&meant).is_ok(), "{other}: {meant}");
                    assert!(meant != other);
                }
            }
        }
    }
}
