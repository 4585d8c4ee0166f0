//! The name under which a cursor is saved: checked where a person chose it, derived from the
//! filters where nobody did, so that the same command finds the same cursor again.

use sha2::{Digest, Sha256};

use super::values::words::word;
use crate::event::header::Kind;
use crate::filter::Filter;
use crate::source::endpoint::Endpoint;

/// A derived name longer than this is shortened.
const MOST_DERIVED_BYTES: usize = 80;
/// The part of a shortened name that still shows filters.
const SHOWN_BYTES: usize = 56;
/// The longest name that a person may choose, in characters.
const MOST_CHOSEN_CHARS: usize = 200;

/// Why a chosen name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no consumer name: write 1 to 200 printable characters without spaces")]
pub struct BadName(String);

/// Checks a name that a person chose.
///
/// # Errors
/// [`BadName`] unless it has 1 to 200 characters, none of them white space or a control
/// character.
pub fn check(name: &str) -> Result<(), BadName> {
    let printable = |c: char| !c.is_whitespace() && !c.is_control() && !is_invisible(c);
    if (1..=MOST_CHOSEN_CHARS).contains(&name.chars().count()) && name.chars().all(printable) {
        Ok(())
    } else {
        Err(BadName(name.to_owned()))
    }
}

/// Characters that print as nothing or reorder the text around them: two names that look the
/// same must be the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// The name for these filters and servers. It depends on the set of filters, not on the order
/// in which they were given, and not on which public server is read. It is kept in state
/// files: changing this function orphans the cursors that people saved.
#[must_use]
pub fn derive(filter: &Filter, endpoints: &[Endpoint], demo: bool) -> String {
    let name = shorten(&parts(filter));
    if demo {
        return format!("demo:{name}");
    }
    if !endpoints.is_empty() && endpoints.iter().all(is_loopback) {
        return format!("{name}@localhost");
    }
    name
}

/// The filters as words, each sort in its own fixed order.
fn parts(filter: &Filter) -> Vec<String> {
    let mut parts = filter.collections.patterns();
    let mut dids: Vec<String> = filter.dids.iter().cloned().collect();
    dids.sort();
    parts.extend(dids);
    // Collections and operations imply commits; saying so would only make the name longer.
    let of_commits = !filter.collections.is_empty() || !filter.operations.is_empty();
    if !(of_commits && filter.kinds == [Kind::Commit]) {
        parts.extend(sorted("kind", filter.kinds.iter().map(word)));
    }
    parts.extend(sorted("operation", filter.operations.iter().map(word)));
    if let Some(bytes) = filter.max_message_bytes {
        parts.push(format!("max:{bytes}"));
    }
    parts
}

fn sorted(prefix: &str, words: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = words.map(|word| format!("{prefix}:{word}")).collect();
    words.sort();
    words.dedup();
    words
}

/// All parts joined, or the first ones with the number of the others and a hash of them all.
fn shorten(parts: &[String]) -> String {
    if parts.is_empty() {
        return "all".to_owned();
    }
    let full = parts.join("+");
    if full.len() <= MOST_DERIVED_BYTES {
        return full;
    }
    let mut shown = String::new();
    let mut count = 0;
    for part in parts {
        if shown.len() + part.len() > SHOWN_BYTES {
            break;
        }
        shown.push_str(part);
        shown.push('+');
        count += 1;
    }
    if count == 0
        && let Some(first) = parts.first()
    {
        // One part that is too long by itself. DIDs and NSIDs are ASCII.
        shown.extend(first.chars().take(SHOWN_BYTES));
        shown.push_str("...+");
        count = 1;
    }
    let digest = Sha256::digest(full.as_bytes());
    let hash: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("{shown}{}-more-{hash}", parts.len() - count)
}

fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<std::net::IpAddr> = host.parse().ok();
    host == "localhost" || host.ends_with(".localhost") || address.is_some_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header::Operation;
    use crate::source::endpoint;

    fn filter(collections: &[&str], dids: &[&str], kinds: &[Kind]) -> Filter {
        let mut filter = Filter { kinds: kinds.to_vec(), ..Filter::default() };
        for collection in collections {
            filter.collections.add(collection).unwrap();
        }
        filter.dids = dids.iter().map(|&did| did.to_owned()).collect();
        filter
    }

    fn name(filter: &Filter) -> String {
        derive(filter, &[], false)
    }

    #[test]
    fn is_readable() {
        assert_eq!(name(&filter(&[], &[], &[])), "all");
        assert_eq!(
            name(&filter(&["app.bsky.feed.post"], &[], &[Kind::Commit])),
            "app.bsky.feed.post"
        );
        assert_eq!(
            name(&filter(&["app.bsky.feed.*"], &["did:plc:abc"], &[Kind::Commit])),
            "app.bsky.feed.*+did:plc:abc"
        );
        assert_eq!(name(&filter(&[], &[], &[Kind::Identity])), "kind:identity");
        assert_eq!(name(&filter(&[], &[], &[Kind::Commit])), "kind:commit");
        let deletes = Filter {
            kinds: vec![Kind::Commit],
            operations: vec![Operation::Delete],
            max_message_bytes: Some(1000),
            ..Filter::default()
        };
        assert_eq!(name(&deletes), "operation:delete+max:1000");
    }

    #[test]
    fn does_not_depend_on_order() {
        let a = filter(&["app.bsky.feed.post", "app.bsky.feed.like"], &[], &[Kind::Commit]);
        let b = filter(&["app.bsky.feed.like", "app.bsky.feed.post"], &[], &[Kind::Commit]);
        assert_eq!(name(&a), "app.bsky.feed.like+app.bsky.feed.post");
        assert_eq!(name(&a), name(&b));
        let a = filter(&[], &[], &[Kind::Identity, Kind::Account]);
        let b = filter(&[], &[], &[Kind::Account, Kind::Identity]);
        assert_eq!(name(&a), "kind:account+kind:identity");
        assert_eq!(name(&a), name(&b));
    }

    #[test]
    fn long_combinations_are_shortened_and_still_differ() {
        let dids: Vec<String> = (0..1000).map(|n| format!("did:plc:{n:024}")).collect();
        let dids: Vec<&str> = dids.iter().map(String::as_str).collect();
        let all = name(&filter(&["app.bsky.feed.post"], &dids, &[]));
        let fewer = name(&filter(&["app.bsky.feed.post"], &dids[..999], &[]));
        assert_eq!(all, "app.bsky.feed.post+did:plc:000000000000000000000000+999-more-c6f2ad02");
        assert_ne!(all, fewer);
        assert!(fewer.contains("+998-more-"), "{fewer}");
        assert!(check(&all).is_ok());
    }

    #[test]
    fn one_endless_part_is_cut() {
        let did = format!("did:web:{}.example.com", "x".repeat(300));
        let name = name(&filter(&[], &[&did], &[]));
        assert!(name.len() <= MOST_DERIVED_BYTES, "{name}");
        assert!(name.contains("...+0-more-"), "{name}");
    }

    #[test]
    fn demo_and_local_servers_have_names_of_their_own() {
        let of = |hosts: &[&str], demo| {
            let hosts: Vec<Endpoint> = hosts.iter().map(|h| endpoint::parse(h).unwrap()).collect();
            derive(&Filter::default(), &hosts, demo)
        };
        assert_eq!(of(&["jetstream.example.com"], false), "all");
        assert_eq!(of(&["jetstream.example.com"], true), "demo:all");
        assert_eq!(
            of(&["127.0.0.1:6008", "localhost:6009", "ws://[::1]:7"], false),
            "all@localhost"
        );
        assert_eq!(of(&["localhost:6008", "jetstream.example.com"], false), "all");
    }

    #[test]
    fn chosen_names_are_printable() {
        for good in ["a", "my-consumer", "posts@localhost", "+1:*", "日本", &"x".repeat(200)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a\tb",
            "a\n",
            "\u{1b}[31m",
            "a\u{200b}b",
            "a\u{a0}b",
            &"x".repeat(201),
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
