//! Selects and orders the rows of a table.

use std::collections::HashSet;

use super::Row;
use crate::event::header::Operation;

/// The order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By events in the window, descending.
    #[default]
    Rate,
    /// By events since the start, descending.
    Total,
    /// By name.
    Name,
}

/// Selects and orders rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowQuery<'a> {
    /// The order of the rows.
    pub sort: Sort,
    /// Whether the order is turned around.
    pub is_reversed: bool,
    /// Only names that contain this text, ignoring case; empty for all names.
    pub filter: &'a str,
    /// Further names that match the filter, because they are known by another name.
    pub also: Option<&'a HashSet<String>>,
    /// Only commits with this operation.
    pub operation: Option<Operation>,
}

/// A name that may become a row.
pub struct Candidate<'a, T> {
    /// The name.
    pub name: &'a str,
    /// Events in the window.
    pub last: u64,
    /// Events since the start.
    pub total: u64,
    /// What the row's series is made of.
    pub of: &'a T,
}

/// Returns the first `limit` matching rows, and the number of matching ones.
pub fn ranked<'a, T: 'a>(
    counts: impl Iterator<Item = Candidate<'a, T>>,
    query: RowQuery<'_>,
    limit: usize,
    covered_s: f64,
    series: impl Fn(&T) -> Vec<u64>,
) -> (Vec<Row>, usize) {
    let filter = query.filter.to_lowercase();
    let is_wanted = |candidate: &Candidate<'_, T>| {
        candidate.total > 0
            && (filter.is_empty()
                || candidate.name.to_lowercase().contains(&filter)
                || query.also.is_some_and(|also| also.contains(candidate.name)))
    };
    let mut counts: Vec<Candidate<'_, T>> = counts.filter(is_wanted).collect();
    counts.sort_by(|a, b| {
        let by_name = a.name.cmp(b.name);
        let order = match query.sort {
            Sort::Rate => b.last.cmp(&a.last).then(b.total.cmp(&a.total)).then(by_name),
            Sort::Total => b.total.cmp(&a.total).then(by_name),
            Sort::Name => by_name,
        };
        if query.is_reversed { order.reverse() } else { order }
    });
    let all = counts.len();
    counts.truncate(limit);
    let rows = counts.into_iter().map(|candidate| Row {
        name: candidate.name.to_owned(),
        per_second: candidate.last as f64 / covered_s,
        total: candidate.total,
        series: series(candidate.of),
    });
    (rows.collect(), all)
}
