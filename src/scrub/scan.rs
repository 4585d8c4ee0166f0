//! Reads events, and keeps of each what the decision needs.

use std::borrow::Cow;
use std::hash::Hasher as _;
use std::io::{self, BufRead};

use serde::Deserialize;
use siphasher::sip::SipHasher13;

use super::entry::{Entry, Fact, Fields, Place};
use super::order::{rev_number, rev_of_time};
use super::sorter::Sorter;
use crate::event::format::EventFormat;
use crate::event::header::{Header, Kind, Operation};
use crate::event::lines::{Piece, try_each_piece};

/// The byte order mark in UTF-8, which some editors write.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Sorts what is kept of events.
#[derive(Debug)]
pub struct Scanner {
    entries: Sorter<5>,
    /// Hashes with a secret key, so that an author can't choose a URI with the hash of another.
    hasher: SipHasher13,
    scratch: Vec<u8>,
    /// This machine's clock. Later times are absurd.
    now_us: u64,
}

/// What the lines of a recording are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The number of events.
    pub events: u64,
    /// The lines that are no events, and the first of them, counted from 1.
    pub malformed: Option<(u64, u64)>,
    /// Whether the last line is one of them and has no line feed.
    pub is_torn: bool,
}

/// The members of account and sync events that a header does not have, in either format.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    account: Option<Account<'a>>,
    #[serde(borrow)]
    sync: Option<Sync<'a>>,
}

#[derive(Deserialize)]
struct Account<'a> {
    active: Option<bool>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Sync<'a> {
    #[serde(borrow)]
    rev: Option<Cow<'a, str>>,
}

impl Scanner {
    /// Returns a scanner that gives its entries to `entries`. `now_us` is this machine's clock.
    #[must_use]
    pub fn new(entries: Sorter<5>, now_us: u64) -> Self {
        let hasher = SipHasher13::new_with_keys(fastrand::u64(..), fastrand::u64(..));
        Self { entries, hasher, scratch: Vec::new(), now_us }
    }

    /// Reads the events of a recording. `file` is its number.
    ///
    /// # Errors
    /// [`ScanError`]; the events before it are kept.
    pub fn scan(&mut self, input: impl BufRead, file: u32) -> (Scanned, Result<(), ScanError>) {
        let (mut scanned, mut line, mut failure) = (Scanned::default(), 0, None);
        let mut format = EventFormat::V1;
        let read = try_each_piece(input, |piece| {
            let text = match piece {
                Piece::Line(text) => text,
                Piece::Part { is_last, .. } => {
                    if is_last {
                        scanned.add_malformed(line);
                        line += 1;
                    }
                    return Ok(());
                }
            };
            let is_terminated = text.ends_with(b"\n");
            let text = match line {
                0 => text.strip_prefix(&BOM).unwrap_or(text),
                _ => text,
            };
            let text = text.trim_ascii();
            let kept = self.add(text, &mut format, file, line);
            match kept.inspect_err(|_| failure = Some(()))? {
                true => scanned.events += 1,
                false if text.is_empty() => {}
                false => {
                    scanned.add_malformed(line);
                    scanned.is_torn = !is_terminated;
                }
            }
            line += 1;
            Ok(())
        });
        let is_ours = failure.is_some();
        let outcome = read.map_err(|cause| match is_ours {
            true => ScanError::Temporary(cause),
            false => ScanError::Input(cause),
        });
        (scanned, outcome)
    }

    /// Keeps one event. Returns `false` if the line is not an event.
    ///
    /// # Errors
    /// If the temporary file can't be written.
    pub fn add(
        &mut self,
        line: &[u8],
        format: &mut EventFormat,
        file: u32,
        number: u64,
    ) -> io::Result<bool> {
        let Some(place) = Place::new(file, number) else { return Ok(false) };
        let other = match format {
            EventFormat::V1 => EventFormat::Native,
            EventFormat::Native => EventFormat::V1,
        };
        let spans = match format.parse_spans(line) {
            Ok(spans) => spans,
            Err(_) => match other.parse_spans(line) {
                Ok(spans) => {
                    *format = other;
                    spans
                }
                Err(_) => return Ok(false),
            },
        };
        match self.entry(&spans.header(line), line, place) {
            Some(entry) => self.entries.push(entry).map(|()| true),
            None => Ok(false),
        }
    }

    /// Ends the scan. Returns all entries, to be sorted.
    #[must_use]
    pub fn into_entries(self) -> Sorter<5> {
        self.entries
    }

    /// Returns what is kept of an event; `None` if it contradicts its own kind.
    fn entry(&mut self, header: &Header<'_>, line: &[u8], place: Place) -> Option<Entry> {
        let time_us = if header.time_us > self.now_us { 0 } else { header.time_us };
        let did = self.hash(&[header.did.as_bytes()]);
        let (mut record, mut rev) = (0, 0);
        let fact = match (&header.commit, header.kind) {
            (Some(commit), _) => {
                rev = rev_number(commit.rev.as_bytes()).unwrap_or_else(|| rev_of_time(time_us));
                let (collection, rkey) = (commit.collection.as_bytes(), commit.rkey.as_bytes());
                record = self.hash(&[header.did.as_bytes(), collection, rkey]);
                match commit.operation {
                    Operation::Create | Operation::Update => Fact::Put,
                    Operation::Delete => Fact::Delete,
                    Operation::Other => Fact::Other,
                }
            }
            (None, Kind::Account) => {
                rev = header.relay_seq.unwrap_or(0);
                status(line)?
            }
            (None, Kind::Sync) => {
                let body: Body<'_> = serde_json::from_slice(line).ok()?;
                let found = body.sync.and_then(|sync| sync.rev);
                match found.and_then(|found| rev_number(found.as_bytes())) {
                    Some(found) => {
                        rev = found;
                        Fact::Sync
                    }
                    None => Fact::SyncWithoutRev,
                }
            }
            _ => Fact::Other,
        };
        Some(Fields { did, record, rev, fact, place, time_us }.pack())
    }

    fn hash(&mut self, parts: &[&[u8]]) -> u64 {
        self.scratch.clear();
        for part in parts {
            self.scratch.extend_from_slice(part);
            self.scratch.push(0);
        }
        let mut hasher = self.hasher;
        hasher.write(&self.scratch);
        hasher.finish()
    }
}

/// Returns what an account event says; `None` if it has no status.
fn status(line: &[u8]) -> Option<Fact> {
    let body: Body<'_> = serde_json::from_slice(line).ok()?;
    let account = body.account?;
    Some(match (account.active?, account.status.as_deref()) {
        (true, _) => Fact::AccountActive,
        (false, Some("deleted")) => Fact::AccountDeleted,
        (false, _) => Fact::AccountInactive,
    })
}

/// Why a scan ended early.
#[derive(Debug)]
pub enum ScanError {
    /// The recording can't be read any further.
    Input(io::Error),
    /// The temporary file can't be written.
    Temporary(io::Error),
}

impl Scanned {
    fn add_malformed(&mut self, line: u64) {
        let (count, first) = self.malformed.unwrap_or((0, line + 1));
        self.malformed = Some((count + 1, first));
    }
}
