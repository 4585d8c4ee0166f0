//! Formats the figures of one window as a page for people and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::display::printable::printable;
use crate::display::table::Table;
use crate::display::units::{bytes, count, counted, duration, rate};
use crate::event::header::Operation;
use crate::metrics::Metrics;
use crate::top::aggregate::{Aggregate, OPERATIONS, OTHERS, Row, RowQuery, Sort};
use crate::top::current_server::CurrentServer;

/// Longest name on the page, in characters, so that the page fits 80 columns.
const MAX_NAME_CHARS: usize = 36;

/// The figures to format.
#[derive(Debug)]
pub struct Figures<'a> {
    /// The counts of the window.
    pub aggregate: &'a Aggregate,
    /// The present, as the time since the aggregate was created.
    pub at: Duration,
    /// The length of the window.
    pub window: Duration,
    pub server: &'a CurrentServer,
    /// The counters of the whole run.
    pub metrics: &'a Metrics,
    /// Whether a server was connected.
    pub is_connected: bool,
    /// The present in Unix microseconds.
    pub now_us: u64,
}

impl Figures<'_> {
    fn per_second(&self, n: u64) -> f64 {
        n as f64 / self.window.as_secs_f64().max(0.001)
    }

    /// Returns the age of the newest event when it was processed, in microseconds.
    fn lag_us(&self) -> Option<u64> {
        let event_us = self.metrics.last_event_us.get();
        let until_us = match self.metrics.last_event_at_us.get() {
            0 => self.now_us,
            at_us => at_us,
        };
        (event_us > 0).then(|| until_us.saturating_sub(event_us))
    }

    fn languages(&self, max: usize) -> Vec<Row> {
        self.aggregate.languages(self.at, BY_TOTAL, max).0
    }

    fn accounts(&self, max: usize) -> Vec<Row> {
        self.aggregate.accounts(self.at, BY_TOTAL, max).0
    }
}

const BY_TOTAL: RowQuery<'_> =
    RowQuery { sort: Sort::Total, is_reversed: false, filter: "", also: None, operation: None };

/// Returns the page.
pub fn text(figures: &Figures<'_>, max: usize) -> String {
    let events = figures.aggregate.events(figures.at).total;
    let size = figures.aggregate.bytes(figures.at).total;
    let lag = figures.lag_us().map(|us| duration(Duration::from_micros(us)));
    let lag = lag.map(|lag| format!(", {lag} behind")).unwrap_or_default();
    let mut page = format!(
        "{}{}: {} in {} ({}), {}/s{lag}",
        printable(figures.server.name().as_bytes(), MAX_NAME_CHARS),
        figures.server.ordinal(),
        counted(events, "event"),
        duration(figures.window),
        rate(figures.per_second(events)),
        bytes(figures.per_second(size) as u64),
    );
    for (n, noun) in problems(figures.metrics) {
        // Writing to a String can't fail.
        let _ = write!(page, ", {}", counted(n, noun));
    }
    page.push('\n');
    if events == 0 {
        return page;
    }
    let mut kinds = Table::new(["KIND", "EVENTS", "RATE", "SHARE"]);
    for row in figures.aggregate.kinds(figures.at) {
        kinds.row(cells(figures, &row, events));
    }
    let mut collections =
        Table::new(["COLLECTION", "EVENTS", "RATE", "SHARE", "CREATE", "UPDATE", "DELETE"]);
    for (name, counts) in figures.aggregate.collection_totals().into_iter().take(max) {
        let total = counts.iter().sum();
        if total > 0 {
            let [name, sum, rate, share] = named_cells(figures, name, total, events);
            let [create, update, delete, _] = counts.map(count);
            collections.row([name, sum, rate, share, create, update, delete]);
        }
    }
    let mut accounts = Table::new(["ACCOUNT", "EVENTS", "RATE", "SHARE"]);
    for row in figures.accounts(max) {
        accounts.row(cells(figures, &row, events));
    }
    let mut languages = Table::new(["LANGUAGE", "RECORDS", "RATE"]);
    for row in figures.languages(max) {
        let [name, sum, rate, _] = cells(figures, &row, events);
        languages.row([name, sum, rate]);
    }
    let tables = [kinds.to_string(), collections.to_string(), accounts.to_string()];
    for table in tables.into_iter().chain([languages.to_string()]) {
        // Skip a table without rows.
        if table.lines().count() > 1 {
            let _ = write!(page, "\n{table}");
        }
    }
    page
}

fn problems(metrics: &Metrics) -> impl Iterator<Item = (u64, &'static str)> {
    let all = [
        (metrics.reconnects.get(), "reconnect"),
        (metrics.gaps.get(), "gap"),
        (metrics.witness.missing.total(), "missing event"),
        (metrics.malformed.get(), "malformed event"),
    ];
    all.into_iter().filter(|(n, _)| *n > 0)
}

fn cells(figures: &Figures<'_>, row: &Row, events: u64) -> [String; 4] {
    named_cells(figures, &row.name, row.total, events)
}

fn named_cells(figures: &Figures<'_>, name: &str, total: u64, events: u64) -> [String; 4] {
    [
        printable(name.as_bytes(), MAX_NAME_CHARS),
        count(total),
        rate(figures.per_second(total)),
        format!("{:.1}%", total as f64 * 100.0 / events.max(1) as f64),
    ]
}

/// Returns one JSON object and a line feed, with at most `accounts` accounts.
pub fn json(figures: &Figures<'_>, accounts: usize) -> String {
    let metrics = figures.metrics;
    let events = figures.aggregate.events(figures.at).total;
    let size = figures.aggregate.bytes(figures.at).total;
    let operations = figures.aggregate.operations(figures.at);
    let operations: serde_json::Map<String, Value> =
        operations.into_iter().map(|row| (row.name, row.total.into())).collect();
    let report = json!({
        "source": figures.server.name(),
        "window_s": figures.window.as_secs_f64(),
        "events": events,
        "events_per_second": figures.per_second(events),
        "bytes": size,
        "bytes_per_second": figures.per_second(size),
        "lag_s": figures.lag_us().map(|us| us as f64 / 1e6),
        "time_us": match metrics.last_event_us.get() {
            0 => None,
            us => Some(us),
        },
        "connected": figures.is_connected,
        "protocol": match metrics.protocol.get() {
            1 => Some("v1"),
            2 => Some("v2"),
            _ => None,
        },
        "reconnects": metrics.reconnects.get(),
        "gaps": metrics.gaps.get(),
        "missing": metrics.witness.missing.total(),
        "duplicates": metrics.duplicate.get(),
        "malformed": metrics.malformed.get(),
        "kinds": named(figures.aggregate.kinds(figures.at), "kind"),
        "operations": operations,
        "collections": collections(figures.aggregate),
        "languages": named(figures.languages(usize::MAX), "language"),
        "accounts": {
            "busiest": named(figures.accounts(accounts), "did"),
            "too_low_by_at_most": figures.aggregate.account_error_bound(),
        },
    });
    report.to_string() + "\n"
}

/// Returns the name, or null for the sum of the others.
fn name(name: &str) -> Value {
    if name == OTHERS { Value::Null } else { name.into() }
}

fn named(rows: Vec<Row>, what: &str) -> Vec<Value> {
    let one = |row: Row| json!({what: name(&row.name), "events": row.total});
    rows.into_iter().map(one).collect()
}

fn collections(aggregate: &Aggregate) -> Vec<Value> {
    let all = aggregate.collection_totals().into_iter();
    let one = |(collection, counts): (&str, [u64; 4])| {
        let words = OPERATIONS.map(Operation::word).into_iter().zip(counts);
        let operations: serde_json::Map<String, Value> =
            words.map(|(word, n)| (word.to_owned(), n.into())).collect();
        json!({
            "collection": name(collection),
            "events": counts.iter().sum::<u64>(),
            "operations": operations,
        })
    };
    all.filter(|(_, counts)| counts.iter().any(|n| *n > 0)).map(one).collect()
}
