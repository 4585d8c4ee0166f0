//! The languages that a record says it is written in. Reads one line; counts nothing.

use memchr::memmem::Finder;
use serde::Deserialize;

/// Longest language tag that is believed, in bytes (RFC 5646 §4.4.1 asks for 35).
pub const LONGEST_LANGUAGE_BYTES: usize = 35;

/// Finds languages.
#[derive(Debug)]
pub struct Spoken {
    langs: Finder<'static>,
}

impl Default for Spoken {
    fn default() -> Self {
        Self { langs: Finder::new(b"\"langs\"") }
    }
}

impl Spoken {
    /// The languages of a commit's record (`langs`), in either shape, each once. A line whose
    /// bytes don't even hold the word is not parsed.
    #[must_use]
    pub fn in_line(&self, line: &[u8]) -> Vec<String> {
        if self.langs.find(line).is_none() {
            return Vec::new();
        }
        let Ok(event) = serde_json::from_slice::<Event>(line) else { return Vec::new() };
        let record = event.record.or_else(|| event.commit.and_then(|commit| commit.record));
        let mut langs = record.and_then(|record| record.langs).unwrap_or_default();
        langs.sort_unstable();
        langs.dedup();
        langs
    }
}

/// The way to `langs` in either shape.
#[derive(Deserialize)]
struct Event {
    commit: Option<Commit>,
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Commit {
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Record {
    langs: Option<Vec<String>>,
}
