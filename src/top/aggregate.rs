//! Everything that is counted while somebody watches. Times come in as what has passed since
//! the board was made; events come in as lines in the shape of v1.
//!
//! Bounded: 2,048 collections, 500 languages and 4,096 accounts in each of seven tables have
//! counts of their own. When there are more collections or languages, those that were silent
//! for the last sixty slices make room; what comes while none was, is counted with "(others)".
//! That is some 12 MB at worst.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::heavy_hitters::HeavyHitters;
use super::time_series::{COMPLETE_SLICES, TimeSeries};
use crate::event::header::{Kind, Operation};
use crate::event::shape::Shape;
use crate::stats::languages::{LONGEST_LANGUAGE_BYTES, LanguageParser};
use crate::stats::name_counts::NameCounts;
use crate::stats::tally::{LONGEST_KIND_BYTES, LONGEST_NSID_BYTES, MOST_KINDS};

const MOST_COLLECTIONS: usize = 2_048;
const MOST_LANGUAGES: usize = 500;
/// Counters for accounts in one period. No count is more than two in 4,096 of its period's
/// events too low.
const MOST_ACCOUNTS: usize = 4_096;
/// Periods that make a window: accounts can't be counted by slice, there are too many.
const PERIODS: u64 = 5;
/// The shortest slice.
const SHORTEST_SLICE: Duration = Duration::from_secs(1);
/// The name of all that have no count of their own.
pub const OTHERS: &str = "(others)";

/// The operations that are told apart, in the order of all arrays here.
pub const OPERATIONS: [Operation; 4] =
    [Operation::Create, Operation::Update, Operation::Delete, Operation::Other];

/// What is counted.
#[derive(Clone, Debug)]
pub struct Aggregate {
    slice: Duration,
    /// Whole slices in a window.
    window_slices: u64,
    /// When the first event came.
    first: Option<Duration>,
    /// The newest slice.
    now: u64,
    /// Events.
    events: TimeSeries,
    /// The bytes of their lines.
    bytes: TimeSeries,
    kinds: NameCounts<TimeSeries>,
    operations: [TimeSeries; 4],
    collections: NameCounts<ByOperation>,
    languages: NameCounts<TimeSeries>,
    /// The accounts of the latest periods, with the number of each.
    periods: VecDeque<(u64, HeavyHitters)>,
    /// Those since the beginning.
    accounts: HeavyHitters,
}

/// Counts of a collection by operation.
pub type ByOperation = [TimeSeries; 4];

/// In what order rows stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The most in the window first.
    #[default]
    Rate,
    /// The most since the beginning first.
    Total,
    /// By name.
    Name,
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowQuery<'a> {
    /// In which order.
    pub sort: Sort,
    /// Only names that hold this, whatever the case; empty for all.
    pub filter: &'a str,
    /// Only commits of this operation.
    pub operation: Option<Operation>,
}

/// Counts under a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The name.
    pub name: String,
    /// How many a second, in the window.
    pub per_second: f64,
    /// How many since the beginning.
    pub total: u64,
    /// How many in each of the last sixty whole slices; empty for accounts.
    pub series: Vec<u64>,
}

/// Finds languages in lines; apart from the board, which is cloned.
#[derive(Debug, Default)]
pub struct LineReader(LanguageParser);

impl Aggregate {
    /// A board whose window has this length, from one second to an hour.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        let slice = (window / COMPLETE_SLICES as u32).max(SHORTEST_SLICE);
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
            kinds: NameCounts::new(MOST_KINDS, LONGEST_KIND_BYTES),
            operations: Default::default(),
            collections: NameCounts::new(MOST_COLLECTIONS, LONGEST_NSID_BYTES),
            languages: NameCounts::new(MOST_LANGUAGES, LONGEST_LANGUAGE_BYTES),
            periods: VecDeque::new(),
            accounts: HeavyHitters::new(MOST_ACCOUNTS),
        }
    }

    /// Counts one line. One that is no event is not counted: whoever sifts lines told of it.
    pub fn add(&mut self, reader: &LineReader, line: &[u8], at: Duration) {
        let Ok(header) = Shape::V1.parse(line) else { return };
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

    /// A slice begins.
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
            self.periods.push_back((number, HeavyHitters::new(MOST_ACCOUNTS)));
        }
        while self.periods.front().is_some_and(|(first, _)| first + PERIODS < number) {
            self.periods.pop_front();
        }
    }

    /// The number of the slice of a moment; they begin with 1.
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

    /// How long a slice is.
    #[must_use]
    pub fn slice(&self) -> Duration {
        self.slice
    }

    /// The seconds that the rates of a moment are taken over: at least one slice, and not from
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

    /// All events.
    #[must_use]
    pub fn events(&self, at: Duration) -> Row {
        self.row("events", &self.events, at)
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self, at: Duration) -> Row {
        self.row("bytes", &self.bytes, at)
    }

    /// The kinds, commits first and unknown ones by name.
    #[must_use]
    pub fn kinds(&self, at: Duration) -> Vec<Row> {
        let rank = |name: &str| {
            let known = ["commit", "identity", "account", "sync"];
            known.iter().position(|known| *known == name).unwrap_or(known.len())
        };
        let seen = with_others(&self.kinds).filter(|(_, slices)| slices.total() > 0);
        let mut rows: Vec<Row> = seen.map(|(name, slices)| self.row(name, slices, at)).collect();
        rows.sort_by(|a, b| rank(&a.name).cmp(&rank(&b.name)).then(a.name.cmp(&b.name)));
        rows
    }

    /// The operations of commits.
    #[must_use]
    pub fn operations(&self, at: Duration) -> Vec<Row> {
        let rows = OPERATIONS.into_iter().zip(&self.operations);
        let wanted =
            rows.filter(|(operation, slices)| *operation != Operation::Other || slices.total() > 0);
        wanted.map(|(operation, slices)| self.row(operation.word(), slices, at)).collect()
    }

    /// The collections, at most `most` of those that are wanted, and how many are.
    #[must_use]
    pub fn collections(&self, at: Duration, query: RowQuery<'_>, most: usize) -> (Vec<Row>, usize) {
        let now = self.slice_at(at);
        let wanted = |all: &'_ ByOperation| -> Vec<usize> {
            let wanted = query.operation.map(operation_index);
            (0..all.len()).filter(|i| wanted.is_none_or(|wanted| wanted == *i)).collect()
        };
        let counts = with_others(&self.collections).map(|(name, all)| {
            let of = wanted(all);
            let last: u64 = of.iter().map(|i| all[*i].sum_of_last(now, self.window_slices)).sum();
            let total: u64 = of.iter().map(|i| all[*i].total()).sum();
            Candidate { name, last, total, of: all }
        });
        let covered_s = self.covered_s(at, self.window_slices);
        ranked(counts, query, most, covered_s, |all| {
            let mut series = vec![0; COMPLETE_SLICES];
            for i in wanted(all) {
                let one = all[i].series(now);
                series.iter_mut().zip(one).for_each(|(sum, count)| *sum += count);
            }
            series
        })
    }

    /// The languages of records.
    #[must_use]
    pub fn languages(&self, at: Duration, query: RowQuery<'_>, most: usize) -> (Vec<Row>, usize) {
        let now = self.slice_at(at);
        let counts = with_others(&self.languages).map(|(name, slices)| Candidate {
            name,
            last: slices.sum_of_last(now, self.window_slices),
            total: slices.total(),
            of: slices,
        });
        ranked(counts, query, most, self.covered_s(at, self.window_slices), |slices| {
            slices.series(now)
        })
    }

    /// The busiest accounts; of more than 4,096 their counts may be a little too low.
    #[must_use]
    pub fn accounts(&self, at: Duration, query: RowQuery<'_>, most: usize) -> (Vec<Row>, usize) {
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
        ranked(counts.into_iter(), query, most, covered_s, |_| Vec::new())
    }

    /// Collections with their counts by operation since the beginning, the most first.
    #[must_use]
    pub fn collection_totals(&self) -> Vec<(&str, [u64; 4])> {
        let totals = |all: &ByOperation| all.each_ref().map(TimeSeries::total);
        let with_others = with_others(&self.collections).map(|(name, all)| (name, totals(all)));
        let mut all: Vec<(&str, [u64; 4])> = with_others.collect();
        all.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.iter().sum::<u64>()), *name));
        all
    }

    /// By how much the total of an account may be too low at most.
    #[must_use]
    pub fn account_error_bound(&self) -> u64 {
        self.accounts.error_bound()
    }
}

/// The names with counts of their own, and the others.
fn with_others<T: Default>(names: &NameCounts<T>) -> impl Iterator<Item = (&str, &T)> {
    names.iter().chain([(OTHERS, &names.others)])
}

/// Where an operation stands among [`OPERATIONS`].
fn operation_index(operation: Operation) -> usize {
    match operation {
        Operation::Create => 0,
        Operation::Update => 1,
        Operation::Delete => 2,
        Operation::Other => 3,
    }
}

struct Candidate<'a, T> {
    name: &'a str,
    last: u64,
    total: u64,
    of: &'a T,
}

/// The first `most` of those that are wanted, and how many are.
fn ranked<'a, T: 'a>(
    counts: impl Iterator<Item = Candidate<'a, T>>,
    query: RowQuery<'_>,
    most: usize,
    covered_s: f64,
    series: impl Fn(&T) -> Vec<u64>,
) -> (Vec<Row>, usize) {
    let filter = query.filter.to_lowercase();
    let is_wanted = |candidate: &Candidate<'_, T>| {
        candidate.total > 0
            && (filter.is_empty() || candidate.name.to_lowercase().contains(&filter))
    };
    let mut counts: Vec<Candidate<'_, T>> = counts.filter(is_wanted).collect();
    counts.sort_by(|a, b| {
        let by_name = a.name.cmp(b.name);
        match query.sort {
            Sort::Rate => b.last.cmp(&a.last).then(b.total.cmp(&a.total)).then(by_name),
            Sort::Total => b.total.cmp(&a.total).then(by_name),
            Sort::Name => by_name,
        }
    });
    let all = counts.len();
    counts.truncate(most);
    let rows = counts.into_iter().map(|candidate| Row {
        name: candidate.name.to_owned(),
        per_second: candidate.last as f64 / covered_s,
        total: candidate.total,
        series: series(candidate.of),
    });
    (rows.collect(), all)
}

#[cfg(test)]
#[path = "aggregate/tests.rs"]
mod tests;
