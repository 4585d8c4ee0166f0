//! Hints about filters that match nothing: at the start for collections that look misspelled, and
//! after some seconds of a connection on which nothing matched.

use std::time::Duration;

use crate::display::printable::printable;
use crate::filter::{Filter, known_collections};
use crate::metrics::Metrics;

/// How long a connection may bring no match. `-c app.bsky.feed.post` matches dozens a second.
const WATCH_TIME: Duration = Duration::from_secs(10);
/// How often to call [`NoMatchHint::check`].
pub const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Most values of a flag that a message names.
const MAX_NAMED: usize = 3;
/// Most characters of a regular expression that a message shows.
const MAX_REGEX_CHARS: usize = 60;

/// Warns of each collection that looks misspelled, and suggests the likely spelling.
pub fn warn_of_misspelled(filter: &Filter) {
    let wanted = filter.collections.patterns().into_iter().map(|pattern| ("-c", pattern));
    let excluded = filter.excluded.patterns().into_iter().map(|pattern| ("--exclude", pattern));
    for (flag, pattern) in wanted.chain(excluded) {
        let Some(suggestion) = known_collections::suggest(&pattern) else { continue };
        match suggestion.strip_suffix(".*") {
            Some(prefix) if prefix.eq_ignore_ascii_case(&pattern) => tracing::warn!(
                "{flag} {pattern} names a single collection, and {prefix} is a prefix of several; did you mean {suggestion}?"
            ),
            _ => tracing::warn!(
                "{flag} {pattern} is no known collection; did you mean {suggestion}?"
            ),
        }
    }
}

/// Watches the counters for a filter that matches nothing.
#[derive(Debug)]
pub struct NoMatchHint {
    /// The filter, as flags.
    flags: String,
    suggestions: Vec<String>,
    /// Whether a `--jq` program may drop events that match the filter.
    has_program: bool,
    connected_us: Option<u64>,
}

impl NoMatchHint {
    /// Watches for this filter; `None` if it has neither collections nor accounts, nor a rule that
    /// no server knows.
    pub fn new(filter: &Filter, has_program: bool) -> Option<Self> {
        let patterns = filter.collections.patterns();
        let mut dids: Vec<String> = filter.dids.iter().cloned().collect();
        dids.sort();
        if patterns.is_empty() && dids.is_empty() && !filter.has_rules_of_its_own() {
            return None;
        }
        let suggestions =
            patterns.iter().filter_map(|pattern| known_collections::suggest(pattern)).collect();
        let grep = filter.grep.as_ref().map(|grep| quoted(grep.text()));
        let sample = filter.sample.map(|sample| format!("1/{}", sample.one_in()));
        let flags: Vec<String> = [
            as_flags("-c", &patterns),
            as_flags("-d", &dids),
            as_flags("--exclude", &filter.excluded.patterns()),
            as_flags("--lang", filter.languages.ranges()),
            as_flags("--grep", grep.as_slice()),
            as_flags("--sample", sample.as_slice()),
        ]
        .concat();
        Some(Self { flags: flags.join(" "), suggestions, has_program, connected_us: None })
    }

    /// Reads the counters, and returns the hint when it is due.
    pub fn check(&mut self, metrics: &Metrics, now_us: u64) -> HintState {
        let passed = [&metrics.written, &metrics.duplicate, &metrics.failed, &metrics.early];
        let has_matched = passed.iter().any(|counter| counter.get() > 0)
            || (self.has_program && metrics.received.get() > 0)
            || metrics.backfill.is_on.get() > 0;
        if has_matched {
            return HintState::Cancelled;
        }
        if metrics.connected.get() == 0 {
            self.connected_us = None;
            return HintState::Waiting;
        }
        let since_us = *self.connected_us.get_or_insert(now_us);
        if u128::from(now_us.saturating_sub(since_us)) < WATCH_TIME.as_micros() {
            return HintState::Waiting;
        }
        let question = match self.suggestions.as_slice() {
            [] => String::new(),
            suggestions => format!("; did you mean {}?", suggestions.join(", ")),
        };
        let seconds = WATCH_TIME.as_secs();
        HintState::Due(format!(
            "connected, nothing matched {} in {seconds} s{question}",
            self.flags
        ))
    }
}

/// The state of a [`NoMatchHint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HintState {
    /// It is too early for the hint.
    Waiting,
    /// An event matched: there will be no hint.
    Cancelled,
    /// No event matched: holds the hint.
    Due(String),
}

/// Returns the start of a regular expression, in quotes and printable.
fn quoted(text: &str) -> String {
    format!("'{}'", printable(text.as_bytes(), MAX_REGEX_CHARS))
}

fn as_flags(flag: &str, values: &[String]) -> Vec<String> {
    let mut flags: Vec<String> =
        values.iter().take(MAX_NAMED).map(|value| format!("{flag} {value}")).collect();
    if let more @ 1.. = values.len().saturating_sub(MAX_NAMED) {
        flags.push(format!("({flag} {more} more)"));
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Grep, Sample, SampleBy};

    const SECOND: u64 = 1_000_000;

    fn filter(collections: &[&str]) -> Filter {
        let mut filter = Filter::default();
        collections.iter().for_each(|name| filter.collections.add(name).unwrap());
        filter
    }

    #[test]
    fn the_hint_is_due_ten_seconds_after_the_connection() {
        let metrics = Metrics::default();
        let mut hint = NoMatchHint::new(&filter(&["app.bsky.feed"]), false).unwrap();
        assert_eq!(hint.check(&metrics, 0), HintState::Waiting);
        assert_eq!(hint.check(&metrics, 60 * SECOND), HintState::Waiting);
        metrics.connected.set(1);
        metrics.received.add(5);
        metrics.filtered.add(5);
        assert_eq!(hint.check(&metrics, 61 * SECOND), HintState::Waiting);
        assert_eq!(hint.check(&metrics, 70 * SECOND), HintState::Waiting);
        metrics.connected.set(0);
        assert_eq!(hint.check(&metrics, 71 * SECOND), HintState::Waiting);
        metrics.connected.set(1);
        assert_eq!(hint.check(&metrics, 72 * SECOND), HintState::Waiting);
        let text =
            "connected, nothing matched -c app.bsky.feed in 10 s; did you mean app.bsky.feed.*?";
        assert_eq!(hint.check(&metrics, 82 * SECOND), HintState::Due(text.into()));
        metrics.written.add(1);
        assert_eq!(hint.check(&metrics, 83 * SECOND), HintState::Cancelled);
    }

    #[test]
    fn only_filters_are_watched_and_long_ones_are_cut() {
        assert!(NoMatchHint::new(&Filter::default(), false).is_none());
        let metrics = Metrics::default();
        metrics.connected.set(1);
        let mut many =
            NoMatchHint::new(&filter(&["a.b.c", "a.b.d", "a.b.e", "a.b.f", "a.b.g"]), false)
                .unwrap();
        many.check(&metrics, 0);
        let text = "connected, nothing matched -c a.b.c -c a.b.d -c a.b.e (-c 2 more) in 10 s";
        assert_eq!(many.check(&metrics, 10 * SECOND), HintState::Due(text.into()));
        // An event that --jq drops matched the filter.
        let mut program = NoMatchHint::new(&filter(&["a.b.c"]), true).unwrap();
        metrics.received.add(1);
        assert_eq!(program.check(&metrics, 0), HintState::Cancelled);
    }

    #[test]
    fn the_hint_names_the_rules_that_no_server_knows() {
        let mut rules = Filter {
            grep: Some(Grep::new("a.*b").unwrap()),
            sample: Sample::new(100, SampleBy::Record),
            ..Filter::default()
        };
        rules.languages.add("de").unwrap();
        rules.excluded.add("a.b.c").unwrap();
        let metrics = Metrics::default();
        metrics.connected.set(1);
        let mut hint = NoMatchHint::new(&rules, false).unwrap();
        hint.check(&metrics, 0);
        let text = "connected, nothing matched --exclude a.b.c --lang de --grep 'a.*b' --sample 1/100 in 10 s";
        assert_eq!(hint.check(&metrics, 10 * SECOND), HintState::Due(text.into()));
    }
}
