//! Hints about filters that match nothing: at the start for collections that look misspelled, and
//! after some seconds of a connection on which nothing matched.

use std::time::Duration;

use crate::filter::{Filter, known};
use crate::metrics::Metrics;

/// How long a connection is watched for a match. `-c app.bsky.feed.post` matches dozens a second.
const WATCHED: Duration = Duration::from_secs(10);
/// How often [`NoMatch::look`] is to be called.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most values of a flag that a message names.
const MOST_NAMED: usize = 3;

/// Warns of each collection that looks misspelled, with the spelling that was probably meant.
pub fn warn_of_misspelled(filter: &Filter) {
    for pattern in filter.collections.patterns() {
        let Some(meant) = known::suggest(&pattern) else { continue };
        match meant.strip_suffix(".*") {
            Some(prefix) if prefix.eq_ignore_ascii_case(&pattern) => tracing::warn!(
                "-c {pattern} names a single collection, and {prefix} is a prefix of several; did you mean {meant}?"
            ),
            _ => tracing::warn!("-c {pattern} is no known collection; did you mean {meant}?"),
        }
    }
}

/// Watches the counters for a filter that matches nothing.
#[derive(Debug)]
pub struct NoMatch {
    /// The filter, as flags.
    flags: String,
    /// What was probably meant.
    meant: Vec<String>,
    /// Whether a program drops events after the filter let them pass.
    has_program: bool,
    connected_us: Option<u64>,
}

impl NoMatch {
    /// For a run with this filter; `None` when it names neither collections nor accounts.
    #[must_use]
    pub fn of(filter: &Filter, has_program: bool) -> Option<Self> {
        let patterns = filter.collections.patterns();
        let mut dids: Vec<String> = filter.dids.iter().cloned().collect();
        dids.sort();
        if patterns.is_empty() && dids.is_empty() {
            return None;
        }
        let meant = patterns.iter().filter_map(|pattern| known::suggest(pattern)).collect();
        let flags: Vec<String> = [named("-c", &patterns), named("-d", &dids)].concat();
        Some(Self { flags: flags.join(" "), meant, has_program, connected_us: None })
    }

    /// Looks at the counters; returns the hint, once it is due, or that no hint will come.
    pub fn look(&mut self, metrics: &Metrics, now_us: u64) -> Look {
        let passed = [&metrics.written, &metrics.duplicate, &metrics.failed, &metrics.early];
        let has_matched = passed.iter().any(|counter| counter.get() > 0)
            || (self.has_program && metrics.received.get() > 0)
            || metrics.history.is_on.get() > 0;
        if has_matched {
            return Look::Over;
        }
        if metrics.connected.get() == 0 {
            self.connected_us = None;
            return Look::Later;
        }
        let since_us = *self.connected_us.get_or_insert(now_us);
        if u128::from(now_us.saturating_sub(since_us)) < WATCHED.as_micros() {
            return Look::Later;
        }
        let question = match self.meant.as_slice() {
            [] => String::new(),
            meant => format!("; did you mean {}?", meant.join(", ")),
        };
        let seconds = WATCHED.as_secs();
        Look::Due(format!("connected, nothing matched {} in {seconds} s{question}", self.flags))
    }
}

/// What [`NoMatch::look`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Too early to say.
    Later,
    /// Something matched.
    Over,
    /// Nothing matched: the hint.
    Due(String),
}

fn named(flag: &str, values: &[String]) -> Vec<String> {
    let mut named: Vec<String> =
        values.iter().take(MOST_NAMED).map(|value| format!("{flag} {value}")).collect();
    if let more @ 1.. = values.len().saturating_sub(MOST_NAMED) {
        named.push(format!("({flag} {more} more)"));
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn filter(collections: &[&str]) -> Filter {
        let mut filter = Filter::default();
        collections.iter().for_each(|name| filter.collections.add(name).unwrap());
        filter
    }

    #[test]
    fn the_hint_is_due_ten_seconds_after_the_connection() {
        let metrics = Metrics::default();
        let mut watch = NoMatch::of(&filter(&["app.bsky.feed"]), false).unwrap();
        assert_eq!(watch.look(&metrics, 0), Look::Later);
        assert_eq!(watch.look(&metrics, 60 * SECOND), Look::Later);
        metrics.connected.set(1);
        metrics.received.add(5);
        metrics.filtered.add(5);
        assert_eq!(watch.look(&metrics, 61 * SECOND), Look::Later);
        assert_eq!(watch.look(&metrics, 70 * SECOND), Look::Later);
        metrics.connected.set(0);
        assert_eq!(watch.look(&metrics, 71 * SECOND), Look::Later);
        metrics.connected.set(1);
        assert_eq!(watch.look(&metrics, 72 * SECOND), Look::Later);
        let hint =
            "connected, nothing matched -c app.bsky.feed in 10 s; did you mean app.bsky.feed.*?";
        assert_eq!(watch.look(&metrics, 82 * SECOND), Look::Due(hint.into()));
        metrics.written.add(1);
        assert_eq!(watch.look(&metrics, 83 * SECOND), Look::Over);
    }

    #[test]
    fn only_filters_are_watched_and_long_ones_are_cut() {
        assert!(NoMatch::of(&Filter::default(), false).is_none());
        let metrics = Metrics::default();
        metrics.connected.set(1);
        let mut many =
            NoMatch::of(&filter(&["a.b.c", "a.b.d", "a.b.e", "a.b.f", "a.b.g"]), false).unwrap();
        many.look(&metrics, 0);
        let hint = "connected, nothing matched -c a.b.c -c a.b.d -c a.b.e (-c 2 more) in 10 s";
        assert_eq!(many.look(&metrics, 10 * SECOND), Look::Due(hint.into()));
        // What --jq drops did match.
        let mut program = NoMatch::of(&filter(&["a.b.c"]), true).unwrap();
        metrics.received.add(1);
        assert_eq!(program.look(&metrics, 0), Look::Over);
    }
}
