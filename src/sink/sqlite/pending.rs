//! Events that wait for the next commit, in memory: a commit that fails is rolled back and tried
//! again with them.

use std::borrow::Cow;
use std::ops::Range;

use crate::event::header_spans::HeaderSpans;

/// Most bytes of events that wait, with what is known of each. A commit is due then, so that the
/// memory of a run does not depend on the speed of the disk. The more events wait, the fewer pages
/// of the unique index each of them changes: with 5 million rows, 220,000 events change half as many
/// for each as 55,000 do.
pub const MAX_BYTES: usize = 128 * 1024 * 1024;

/// What becomes of a commit's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordText {
    /// The record of the event.
    Own,
    /// No row: a filter or `--jq` leaves the record out.
    None,
    /// What `--jq` made of it, at this place of the buffer.
    Rendered {
        /// The offset of its first byte.
        start: usize,
        /// The offset after it.
        end: usize,
    },
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    start: usize,
    end: usize,
    /// The header fields of its line.
    pub header: HeaderSpans,
    /// What becomes of its record.
    pub record: RecordText,
    /// The time of the stream when it came, in microseconds.
    pub clock_us: u64,
}

/// Events in the order in which they came.
#[derive(Debug, Default)]
pub struct Pending {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Pending {
    /// Adds an event.
    pub fn push(&mut self, line: &[u8], header: HeaderSpans, record: Option<&[u8]>, clock_us: u64) {
        let start = self.append(line);
        let end = self.bytes.len();
        let record = match record {
            None => RecordText::Own,
            Some(b"") => RecordText::None,
            Some(text) => {
                let start = self.append(text);
                RecordText::Rendered { start, end: self.bytes.len() }
            }
        };
        self.entries.push(Entry { start, end, header, record, clock_us });
    }

    fn append(&mut self, bytes: &[u8]) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start
    }

    /// Returns the events.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the place of one of the events in their order.
    pub fn index(&self, entry: &Entry) -> usize {
        self.entries.partition_point(|other| other.start < entry.start)
    }

    /// Returns the line of an event.
    pub fn line(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.start..entry.end).unwrap_or_default()
    }

    /// Returns the text that `--jq` made, if it made one.
    pub fn rendered(&self, entry: &Entry) -> Option<&str> {
        let RecordText::Rendered { start, end } = entry.record else { return None };
        std::str::from_utf8(self.bytes.get(start..end)?).ok()
    }

    /// Returns whether a commit is due.
    pub fn is_full(&self) -> bool {
        self.bytes.len() + self.entries.len() * size_of::<Entry>() >= MAX_BYTES
    }

    /// Removes all events, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Returns the events at these places by account. Those of one account stay in order, and an index is then
    /// read from its beginning to its end.
    pub fn by_account(&self, places: Range<usize>) -> Vec<(Cow<'_, str>, &Entry)> {
        let entries = self.entries.get(places).unwrap_or_default();
        let mut sorted: Vec<(u64, Cow<'_, str>, &Entry)> = entries
            .iter()
            .map(|entry| {
                let did = entry.header.did(self.line(entry));
                (prefix(&did), did, entry)
            })
            .collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        sorted.into_iter().map(|(_, did, entry)| (did, entry)).collect()
    }
}

/// Returns the first eight bytes after `did:plc:` as a number, so that most pairs are compared
/// without a look at the text. It orders other DIDs, too, as long as the text decides among equals.
fn prefix(did: &str) -> u64 {
    let Some(rest) = did.strip_prefix("did:plc:") else {
        return if did < "did:plc:" { 0 } else { u64::MAX };
    };
    let mut first = [0; 8];
    first.iter_mut().zip(rest.bytes()).for_each(|(to, from)| *to = from);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::header::parse_spans;

    #[test]
    fn events_are_sorted_by_account_and_stay_in_order_within_one() {
        let mut pending = Pending::default();
        let dids = ["did:web:a", "did:plc:bb", "did:abc:x", "did:plc:b", "did:plc:bb", "did:plc:"];
        for (i, did) in dids.iter().enumerate() {
            let line = format!(r#"{{"did":"{did}","time_us":{},"kind":"x"}}"#, i + 1);
            pending.push(line.as_bytes(), parse_spans(line.as_bytes()).unwrap(), None, 0);
        }
        let found: Vec<(String, u64)> = pending
            .by_account(0..dids.len())
            .iter()
            .map(|(did, entry)| (did.to_string(), entry.header.time_us))
            .collect();
        let mut expected: Vec<(String, u64)> =
            dids.iter().zip(1..).map(|(did, i)| ((*did).to_owned(), i)).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
}
