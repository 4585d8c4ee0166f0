//! `omit` and `blind`: events that a server does not have. Its cursors move past them, as those of a
//! server that missed a part of the network do. Pure.
//!
//! Which events are missing depends on the recording, not on a connection: no cursor brings them
//! back. `omit=N` with the seed S leaves out the events whose number in the recording has the
//! remainder S modulo N, so that two servers whose seeds differ modulo N have every event between
//! them.

use super::spec::ChaosSpec;
use crate::event::header;

/// What [`is_pattern`] accepts.
pub(super) const PATTERN: &str =
    "a collection like app.bsky.feed.post, or the beginning of some like app.bsky.graph.*";

/// Returns whether a text is a collection, or the beginning of collections with `.*` at its end.
pub(super) fn is_pattern(text: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let (parts, least) = match text.strip_suffix(".*") {
        Some(beginning) => (beginning, 2),
        None => (text, 3),
    };
    parts.split('.').all(is_name) && parts.split('.').count() >= least
}

/// Returns for each line of a recording whether the server does not have it; `None` if it has all.
pub(in crate::serve) fn missing_events<'a>(
    spec: &ChaosSpec,
    lines: impl Iterator<Item = &'a [u8]>,
) -> Option<Vec<bool>> {
    if spec.omit.is_none() && spec.blind.is_none() {
        return None;
    }
    let is_omitted =
        |event: u64| spec.omit.is_some_and(|n| event.checked_rem(n) == spec.seed.checked_rem(n));
    let is_blind = |line: &[u8]| spec.blind.as_ref().is_some_and(|blind| is_of(line, blind));
    Some((0..).zip(lines).map(|(event, line)| is_omitted(event) || is_blind(line)).collect())
}

/// Returns whether a line is a commit of a collection that the pattern covers.
fn is_of(line: &[u8], pattern: &str) -> bool {
    let commit = header::parse(line).ok().and_then(|header| header.commit);
    let Some(collection) = commit.map(|commit| commit.collection) else { return false };
    match pattern.strip_suffix('*') {
        Some(beginning) => collection.starts_with(beginning),
        None => collection == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(collection: &str) -> String {
        format!(
            r#"{{"did":"did:plc:a","time_us":7,"kind":"commit","commit":{{"rev":"3m","operation":"delete","collection":"{collection}","rkey":"a"}}}}"#
        )
    }

    fn missing(spec: &str, lines: &[String]) -> Vec<usize> {
        let spec: ChaosSpec = spec.parse().unwrap();
        let missing = missing_events(&spec, lines.iter().map(String::as_bytes)).unwrap();
        missing.iter().zip(0..).filter(|(missing, _)| **missing).map(|(_, at)| at).collect()
    }

    #[test]
    fn two_seeds_never_omit_the_same_event() {
        let lines = vec![line("app.bsky.feed.post"); 10];
        assert_eq!(missing("omit=4,seed=1", &lines), [1, 5, 9]);
        assert_eq!(missing("omit=4,seed=6", &lines), [2, 6]);
        assert!(missing_events(&ChaosSpec::default(), std::iter::empty()).is_none());
    }

    #[test]
    fn a_blind_server_lacks_commits_of_a_collection_and_nothing_else() {
        let identity = r#"{"did":"did:plc:a","time_us":7,"kind":"identity","identity":{"did":"did:plc:a","seq":1}}"#;
        let mut lines: Vec<String> =
            ["app.bsky.feed.post", "app.bsky.feed.postgate", "app.bsky.graph.list"]
                .map(line)
                .into();
        lines.push(identity.to_owned());
        assert_eq!(missing("blind=app.bsky.feed.post", &lines), [0]);
        assert_eq!(missing("blind=app.bsky.feed.*", &lines), [0, 1]);
        assert_eq!(missing("blind=app.bsky.feed.*,omit=4,seed=2", &lines), [0, 1, 2]);
    }

    #[test]
    fn patterns_are_collections_or_their_beginnings() {
        for text in ["app.bsky.feed.post", "app.bsky.*", "a-b.c.d"] {
            assert!(is_pattern(text), "{text}");
        }
        for text in ["", "post", "app.bsky", "app.*", "*", "app..post", "app.bsky.feed.po*"] {
            assert!(!is_pattern(text), "{text}");
        }
    }
}
