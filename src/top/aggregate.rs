//! The counters behind `top`. Times are durations since the aggregate's creation; events are v1
//! lines.
//!
//! Memory is bounded: individual counts for 2,048 collections, 500 languages and, in each of seven
//! tables, 4,096 accounts. When there are more collections or languages, those without events in
//! the last sixty slices are evicted; if none can be evicted, new ones are counted as "(others)".
//! That is some 12 MB at worst.

mod ranking;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::heavy_hitters::HeavyHitters;
use super::time_series::{COMPLETE_SLICES, TimeSeries};
use crate::event::format::EventFormat;
use crate::event::header::{Header, Kind, Operation};
use crate::stats::languages::{LanguageParser, MAX_LANGUAGE_BYTES};
use crate::stats::name_counts::NameCounts;
use crate::stats::tally::{MAX_KIND_BYTES, MAX_KINDS, MAX_NSID_BYTES};

use ranking::{Candidate, ranked};
pub use ranking::{RowQuery, Sort};

const MAX_COLLECTIONS: usize = 2_048;
const MAX_LANGUAGES: usize = 500;
/// Account counters per period. No count is too low by more than two in 4,096 of its period's
/// events.
const MAX_ACCOUNTS: usize = 4_096;
/// Periods per window: accounts are too many to be counted by slice.
const PERIODS: u64 = 5;
/// Minimum length of a slice.
const MIN_SLICE: Duration = Duration::from_secs(1);
/// The name of the row for all names without their own count.
pub const OTHERS: &str = "(others)";

/// The distinguished operations; all arrays in this module use this order.
pub const OPERATIONS: [Operation; 4] =
    [Operation::Create, Operation::Update, Operation::Delete, Operation::Other];

/// Counts of a stream.
#[derive(Clone, Debug)]
pub struct Aggregate {
    slice: Duration,
    /// Complete slices per window.
    window_slices: u64,
    /// Time of the first event.
    first: Option<Duration>,
    /// Number of the newest slice.
    now: u64,
    events: TimeSeries,
    /// Bytes of the events' lines.
    bytes: TimeSeries,
    kinds: NameCounts<TimeSeries>,
    operations: [TimeSeries; 4],
    collections: NameCounts<ByOperation>,
    languages: NameCounts<TimeSeries>,
    /// Account counts of the latest periods, with the number of each period.
    periods: VecDeque<(u64, HeavyHitters)>,
    /// Account counts since the start.
    accounts: HeavyHitters,
}

/// Counts of a collection by operation.
pub type ByOperation = [TimeSeries; 4];

/// The figures of one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// A collection, language, account or other name.
    pub name: String,
    /// Events per second within the window.
    pub per_second: f64,
    /// Events since the start.
    pub total: u64,
    /// Events in each of the last sixty complete slices; empty for accounts.
    pub series: Vec<u64>,
}

/// Parses lines for an [`Aggregate`], which itself is cloned when the screen is paused.
#[derive(Debug, Default)]
pub struct LineReader(LanguageParser);

impl Aggregate {
    /// Creates an aggregate for a window between one second and one hour.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        let slice = (window / COMPLETE_SLICES as u32).max(MIN_SLICE);
        let window_slices = window.as_micros().div_ceil(slice.as_micros().max(1));
        Self {
            slice,
            window_slices: u64::try_from(window_slices)
                .unwrap_or(u64::MAX)
                .clamp(1, COMPLETE_SLICES as u64),
            first: None,
            now: 0,
            events: TimeSeries::default(),
            bytes: TimeSeries::default(),
            kinds: NameCounts::new(MAX_KINDS, MAX_KIND_BYTES),
            operations: Default::default(),
            collections: NameCounts::new(MAX_COLLECTIONS, MAX_NSID_BYTES),
            languages: NameCounts::new(MAX_LANGUAGES, MAX_LANGUAGE_BYTES),
            periods: VecDeque::new(),
            accounts: HeavyHitters::new(MAX_ACCOUNTS),
        }
    }

    /// Counts one line. A malformed line is ignored; the dedup stage has reported it.
    pub fn add(&mut self, reader: &LineReader, line: &[u8], at: Duration) {
        if let Ok(header) = EventFormat::V1.parse(line) {
            self.add_event(reader, &header, line, at);
        }
    }

    /// Counts one line whose header is parsed.
    pub fn add_event(
        &mut self,
        reader: &LineReader,
        header: &Header<'_>,
        line: &[u8],
        at: Duration,
    ) {
        self.first.get_or_insert(at);
        let now = self.slice_at(at);
        if now > self.now {
            self.start_slice(now);
        }
        self.events.add(now, 1);
        self.bytes.add(now, line.len() as u64);
        let kind = if header.kind_text.is_empty() { "none" } else { &*header.kind_text };
        self.kinds.entry(kind).add(now, 1);
        if let Some(commit) = &header.commit {
            let operation = operation_index(commit.operation);
            self.operations[operation].add(now, 1);
            self.collections.entry(&commit.collection)[operation].add(now, 1);
        }
        if header.kind == Kind::Commit {
            for language in reader.0.parse(line) {
                self.languages.entry(&language).add(now, 1);
            }
        }
        self.accounts.add(&header.did);
        if let Some((_, period)) = self.periods.back_mut() {
            period.add(&header.did);
        }
    }

    /// Starts a new slice: evicts inactive names if necessary, and rotates the account periods.
    fn start_slice(&mut self, now: u64) {
        self.now = now;
        let is_recent = |slices: &TimeSeries| slices.sum_of_last(now, COMPLETE_SLICES as u64) > 0;
        if self.collections.is_full() {
            self.collections.retain(|by_operation| by_operation.iter().any(is_recent));
        }
        if self.languages.is_full() {
            self.languages.retain(is_recent);
        }
        let number = self.period_at(now);
        if self.periods.back().is_none_or(|(last, _)| *last < number) {
            self.periods.push_back((number, HeavyHitters::new(MAX_ACCOUNTS)));
        }
        while self.periods.front().is_some_and(|(first, _)| first + PERIODS < number) {
            self.periods.pop_front();
        }
    }

    /// Returns the number of the slice at this time; numbers start at 1.
    fn slice_at(&self, at: Duration) -> u64 {
        let slices = at.as_micros() / self.slice.as_micros().max(1);
        u64::try_from(slices).unwrap_or(u64::MAX - 1) + 1
    }

    fn period_at(&self, slice: u64) -> u64 {
        slice / self.period_slices()
    }

    fn period_slices(&self) -> u64 {
        self.window_slices.div_ceil(PERIODS)
    }

    /// Returns the length of a slice.
    #[must_use]
    pub fn slice(&self) -> Duration {
        self.slice
    }

    /// Returns the number of seconds that rates at this time cover: at least one slice, and nothing
    /// before the first event.
    fn covered_s(&self, at: Duration, slices_back: u64) -> f64 {
        let from = u32::try_from(self.slice_at(at).saturating_sub(slices_back + 1));
        let from = self.slice * from.unwrap_or(u32::MAX);
        let from = from.max(self.first.unwrap_or(at));
        at.saturating_sub(from).max(self.slice).as_secs_f64()
    }

    fn row(&self, name: &str, slices: &TimeSeries, at: Duration) -> Row {
        let now = self.slice_at(at);
        Row {
            name: name.to_owned(),
            per_second: slices.sum_of_last(now, self.window_slices) as f64
                / self.covered_s(at, self.window_slices),
            total: slices.total(),
            series: slices.series(now),
        }
    }

    /// Returns the row of all events.
    #[must_use]
    pub fn events(&self, at: Duration) -> Row {
        self.row("events", &self.events, at)
    }

    /// Returns the row of all bytes.
    #[must_use]
    pub fn bytes(&self, at: Duration) -> Row {
        self.row("bytes", &self.bytes, at)
    }

    /// Returns the rows of kinds: known kinds first, the others by name.
    #[must_use]
    pub fn kinds(&self, at: Duration) -> Vec<Row> {
        let rank = |name: &str| {
            let known = ["commit", "identity", "account", "sync"];
            known.iter().position(|known| *known == name).unwrap_or(known.len())
        };
        let used = with_others(&self.kinds).filter(|(_, slices)| slices.total() > 0);
        let mut rows: Vec<Row> = used.map(|(name, slices)| self.row(name, slices, at)).collect();
        rows.sort_by(|a, b| rank(&a.name).cmp(&rank(&b.name)).then(a.name.cmp(&b.name)));
        rows
    }

    /// Returns the rows of operations.
    #[must_use]
    pub fn operations(&self, at: Duration) -> Vec<Row> {
        let rows = OPERATIONS.into_iter().zip(&self.operations);
        let selected =
            rows.filter(|(operation, slices)| *operation != Operation::Other || slices.total() > 0);
        selected.map(|(operation, slices)| self.row(operation.word(), slices, at)).collect()
    }

    /// Returns at most `limit` matching rows of collections, and the number of matching ones.
    #[must_use]
    pub fn collections(
        &self,
        at: Duration,
        query: RowQuery<'_>,
        limit: usize,
    ) -> (Vec<Row>, usize) {
        let now = self.slice_at(at);
        let selected = |all: &'_ ByOperation| -> Vec<usize> {
            let selected = query.operation.map(operation_index);
            (0..all.len()).filter(|i| selected.is_none_or(|selected| selected == *i)).collect()
        };
        let counts = with_others(&self.collections).map(|(name, all)| {
            let of = selected(all);
            let last: u64 = of.iter().map(|i| all[*i].sum_of_last(now, self.window_slices)).sum();
            let total: u64 = of.iter().map(|i| all[*i].total()).sum();
            Candidate { name, last, total, of: all }
        });
        let covered_s = self.covered_s(at, self.window_slices);
        ranked(counts, query, limit, covered_s, |all| {
            let mut series = vec![0; COMPLETE_SLICES];
            for i in selected(all) {
                let one = all[i].series(now);
                series.iter_mut().zip(one).for_each(|(sum, count)| *sum += count);
            }
            series
        })
    }

    /// As [`Self::collections`], for the languages of records.
    #[must_use]
    pub fn languages(&self, at: Duration, query: RowQuery<'_>, limit: usize) -> (Vec<Row>, usize) {
        let now = self.slice_at(at);
        let counts = with_others(&self.languages).map(|(name, slices)| Candidate {
            name,
            last: slices.sum_of_last(now, self.window_slices),
            total: slices.total(),
            of: slices,
        });
        ranked(counts, query, limit, self.covered_s(at, self.window_slices), |slices| {
            slices.series(now)
        })
    }

    /// As [`Self::collections`], for the most active accounts. With more than 4,096 accounts,
    /// counts may be slightly too low.
    #[must_use]
    pub fn accounts(&self, at: Duration, query: RowQuery<'_>, limit: usize) -> (Vec<Row>, usize) {
        let now = self.period_at(self.slice_at(at));
        let is_recent = |period: &&(u64, HeavyHitters)| period.0 + PERIODS >= now;
        let mut last: HashMap<&str, u64> = HashMap::new();
        for (_, period) in self.periods.iter().filter(is_recent) {
            for (name, count) in period.iter() {
                *last.entry(name).or_default() += count;
            }
        }
        let totals: HashMap<&str, u64> = self.accounts.iter().collect();
        let mut counts: Vec<Candidate<'_, ()>> = Vec::with_capacity(last.len());
        for (name, count) in &last {
            let total = totals.get(name).copied().unwrap_or(0).max(*count);
            counts.push(Candidate { name, last: *count, total, of: &() });
        }
        for (name, total) in totals.iter().filter(|(name, _)| !last.contains_key(*name)) {
            counts.push(Candidate { name, last: 0, total: *total, of: &() });
        }
        let from_slice = now.saturating_sub(PERIODS) * self.period_slices();
        let covered_s = self.covered_s(at, self.slice_at(at).saturating_sub(from_slice));
        ranked(counts.into_iter(), query, limit, covered_s, |_| Vec::new())
    }

    /// Returns the collections with their counts by operation since the start, in descending order.
    #[must_use]
    pub fn collection_totals(&self) -> Vec<(&str, [u64; 4])> {
        let totals = |all: &ByOperation| all.each_ref().map(TimeSeries::total);
        let with_others = with_others(&self.collections).map(|(name, all)| (name, totals(all)));
        let mut all: Vec<(&str, [u64; 4])> = with_others.collect();
        all.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.iter().sum::<u64>()), *name));
        all
    }

    /// Returns how much too low the total of an account may be at most.
    #[must_use]
    pub fn account_error_bound(&self) -> u64 {
        self.accounts.error_bound()
    }
}

/// Returns the names with individual counts, and the others.
fn with_others<T: Default>(names: &NameCounts<T>) -> impl Iterator<Item = (&str, &T)> {
    names.iter().chain([(OTHERS, &names.others)])
}

/// Returns the index of an operation in [`OPERATIONS`].
fn operation_index(operation: Operation) -> usize {
    match operation {
        Operation::Create => 0,
        Operation::Update => 1,
        Operation::Delete => 2,
        Operation::Other => 3,
    }
}

#[cfg(test)]
#[path = "aggregate/tests.rs"]
mod tests;
