//! Counts every line of a recording, in one pass.

use super::buckets::Buckets;
use super::duplicates::DuplicateDetector;
use super::gaps::TimeGaps;
use super::languages::{LanguageParser, MAX_LANGUAGE_BYTES};
use super::name_counts::NameCounts;
use super::sizes::Sizes;
use crate::event::event_id::{EventIdHasher, EventIdKey};
use crate::event::format::EventFormat;
use crate::event::header::{Header, Kind, Operation};
use crate::event::lines::{Line, MAX_LINE_BYTES};
use crate::event::whitespace;
use crate::position::TimeUs;

/// Maximum number of collections with individual counts: more than there are NSIDs on the network.
const MAX_COLLECTIONS: usize = 20_000;
/// Maximum number of languages with individual counts.
const MAX_LANGUAGES: usize = 2_000;
/// Maximum number of kinds with individual counts.
pub const MAX_KINDS: usize = 50;
/// Maximum length of an NSID in bytes (NSID syntax of the AT Protocol).
pub const MAX_NSID_BYTES: usize = 317;
/// Maximum length of a counted kind, in bytes.
pub const MAX_KIND_BYTES: usize = 32;

/// Counts of one or more recordings.
#[derive(Debug)]
pub struct Tally {
    /// Number of lines that are not blank.
    pub lines: u64,
    /// Number of lines that are not events.
    pub malformed: u64,
    /// The first malformed line: its number, counted from 1 including blank lines, and the error.
    pub first_malformed: Option<(u64, String)>,
    /// Number of unterminated last lines that are not events; they are not counted as lines.
    pub torn: u64,
    /// Sizes of the events' lines, without line breaks.
    pub sizes: Sizes,
    /// Events by kind.
    pub kinds: NameCounts<u64>,
    /// Commits by operation.
    pub operations: OperationCounts,
    /// Commits by collection.
    pub collections: NameCounts<CollectionCounts>,
    /// Records by language (`langs`); a record with several languages counts for each.
    pub languages: NameCounts<u64>,
    /// Events that repeat an earlier event.
    pub duplicates: u64,
    /// The earliest and the latest event time.
    pub times: Option<(TimeUs, TimeUs)>,
    /// The lowest and the highest `cursor`.
    pub cursors: Option<(u64, u64)>,
    /// Times without events.
    pub gaps: TimeGaps,
    /// Events by minute, if a plot was requested.
    pub buckets: Option<Buckets>,
    detector: DuplicateDetector,
    identities: EventIdHasher,
    shape: EventFormat,
    language_parser: LanguageParser,
    line_number: u64,
}

/// Numbers of commits by operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationCounts {
    /// New records.
    pub create: u64,
    /// Changed records.
    pub update: u64,
    /// Removed records.
    pub delete: u64,
    /// Operations that only later servers define.
    pub other: u64,
}

impl OperationCounts {
    fn add(&mut self, operation: Operation) {
        *match operation {
            Operation::Create => &mut self.create,
            Operation::Update => &mut self.update,
            Operation::Delete => &mut self.delete,
            Operation::Other => &mut self.other,
        } += 1;
    }

    /// Returns the sum of all operations.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.create + self.update + self.delete + self.other
    }
}

/// Counts of one collection.
#[derive(Clone, Copy, Debug, Default)]
pub struct CollectionCounts {
    /// Commits of the collection.
    pub operations: OperationCounts,
    /// Bytes of their lines.
    pub bytes: u64,
}

impl Tally {
    /// Creates an empty tally. Times without events longer than `gap_over_us` count as gaps. `key`
    /// must be unknown to the recording's author, so that nothing in it can be crafted to have
    /// colliding event ids.
    #[must_use]
    pub fn new(gap_over_us: u64, buckets: Option<Buckets>, key: EventIdKey) -> Self {
        Self {
            lines: 0,
            malformed: 0,
            first_malformed: None,
            torn: 0,
            sizes: Sizes::default(),
            kinds: NameCounts::new(MAX_KINDS, MAX_KIND_BYTES),
            operations: OperationCounts::default(),
            collections: NameCounts::new(MAX_COLLECTIONS, MAX_NSID_BYTES),
            languages: NameCounts::new(MAX_LANGUAGES, MAX_LANGUAGE_BYTES),
            duplicates: 0,
            times: None,
            cursors: None,
            gaps: TimeGaps::new(gap_over_us),
            buckets,
            detector: DuplicateDetector::default(),
            identities: EventIdHasher::new(key),
            shape: EventFormat::V1,
            language_parser: LanguageParser::default(),
            line_number: 0,
        }
    }

    /// Returns whether each event was compared with all events before it, and not only with the
    /// last [`super::duplicates::WINDOW_EVENTS`].
    #[must_use]
    pub fn duplicates_are_exact(&self) -> bool {
        self.detector.is_exact()
    }

    /// Starts another recording: line numbers start at 1 again.
    pub fn start_recording(&mut self) {
        self.line_number = 0;
    }

    /// Counts one line. A blank line only advances the line number.
    pub fn add(&mut self, line: Line<'_>) {
        self.line_number += 1;
        let (line, is_unterminated) = match line {
            Line::Whole(line) => (whitespace::trimmed(line), false),
            Line::Unterminated(line) => (whitespace::trimmed(line), true),
            Line::TooLong => {
                self.lines += 1;
                return self.reject(|| format!("longer than {} MiB", MAX_LINE_BYTES >> 20));
            }
        };
        if line.is_empty() {
            return;
        }
        self.lines += 1;
        if simdutf8::basic::from_utf8(line).is_err() {
            return self.reject_perhaps_torn(is_unterminated, || "not UTF-8".to_owned());
        }
        let other = match self.shape {
            EventFormat::V1 => EventFormat::Native,
            EventFormat::Native => EventFormat::V1,
        };
        match self.shape.parse(line) {
            Ok(header) => self.count_event(line, &header),
            // The format of the last event is tried first, and its error is the one to report.
            Err(error) => match other.parse(line) {
                Ok(header) => {
                    self.shape = other;
                    self.count_event(line, &header);
                }
                Err(_) => self.reject_perhaps_torn(is_unterminated, || error.to_string()),
            },
        }
    }

    fn reject_perhaps_torn(&mut self, is_unterminated: bool, reason: impl FnOnce() -> String) {
        if is_unterminated {
            self.lines -= 1;
            self.torn += 1;
        } else {
            self.reject(reason);
        }
    }

    fn reject(&mut self, reason: impl FnOnce() -> String) {
        self.malformed += 1;
        if self.first_malformed.is_none() {
            self.first_malformed = Some((self.line_number, reason()));
        }
    }

    fn count_event(&mut self, line: &[u8], header: &Header<'_>) {
        let bytes = line.len() as u64;
        self.sizes.add(bytes);
        let event_id = self.identities.of(header);
        self.duplicates += u64::from(self.detector.check_and_insert(event_id));
        let time = TimeUs(header.time_us);
        self.gaps.add(time);
        self.times = Some(self.times.map_or((time, time), |(a, b)| (a.min(time), b.max(time))));
        if let Some(seq) = header.cursor {
            self.cursors = Some(self.cursors.map_or((seq, seq), |(a, b)| (a.min(seq), b.max(seq))));
        }
        let kind = if header.kind_text.is_empty() { "none" } else { &*header.kind_text };
        *self.kinds.entry(kind) += 1;
        let series = match &header.commit {
            Some(commit) => {
                self.operations.add(commit.operation);
                let collection = self.collections.entry(&commit.collection);
                collection.operations.add(commit.operation);
                collection.bytes += bytes;
                if header.kind == Kind::Commit {
                    for language in self.language_parser.parse(line) {
                        *self.languages.entry(&language) += 1;
                    }
                }
                &*commit.collection
            }
            None => kind,
        };
        if let Some(buckets) = &mut self.buckets {
            buckets.add(time, series);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::new(1_000_000, None, EventIdKey::new(1));
        lines.iter().for_each(|line| tally.add(Line::Whole(line.as_bytes())));
        tally
    }

    fn post(rkey: u32, rest: &str) -> String {
        format!(
            r#"{{"did":"did:plc:a","time_us":{rkey},"kind":"commit","commit":{{"rev":"r","operation":"create","collection":"app.bsky.feed.post","rkey":"{rkey}","record":{{"text":"\"langs\""{rest}}}}}}}"#
        )
    }

    #[test]
    fn each_language_of_a_record_is_counted_once() {
        let lines = [
            post(1, r#","langs":["en","pt-BR","en"]"#),
            post(2, r#","langs":["en"]"#),
            post(3, r#","langs":"en""#),
            post(4, r#","embed":{"langs":["xx"]}"#),
            post(5, ""),
        ];
        let tally = tally(&lines.each_ref().map(String::as_str));
        assert_eq!(tally.languages.sorted(|n| *n), [("en", &2), ("pt-BR", &1)]);
        assert_eq!((tally.lines, tally.malformed), (5, 0));
    }

    #[test]
    fn both_formats_are_parsed_and_other_lines_counted() {
        let native = r#"{"$type":"network.bsky.jetstream.subscribeEvents#commit","did":"did:plc:b","time":"2026-07-04T14:38:08.085434Z","seq":7,"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"k","record":{"langs":["de"]},"cid":"bafyreib"}"#;
        let first = post(1, "");
        let tally = tally(&[&first, "", "nonsense", native, "{}", &first]);
        assert_eq!((tally.lines, tally.malformed, tally.sizes.count), (5, 2, 3));
        let (line, reason) = tally.first_malformed.unwrap();
        assert_eq!(line, 3);
        assert!(reason.contains("at byte 0"), "{reason}");
        assert_eq!(tally.duplicates, 1);
        assert_eq!(tally.languages.sorted(|n| *n), [("de", &1)]);
        assert_eq!(tally.cursors, Some((7, 7)));
    }
}
