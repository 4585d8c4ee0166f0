//! Formats the report of `skytail stats` as a page for people and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::display::printable::printable;
use crate::display::table::{Table, shortened};
use crate::display::units::{bytes, count, duration, rate};
use crate::position::TimeUs;
use crate::stats::buckets::Grid;
use crate::stats::duplicates::WINDOW_EVENTS;
use crate::stats::tally::{CollectionCounts, OperationCounts, Tally};

/// Width of the page in columns, unless a terminal has fewer.
const MAX_WIDTH: usize = 80;
/// Width of the labels and the space after them.
const LABEL_WIDTH: usize = 13;
/// Most gaps on the page.
const LISTED_GAPS: usize = 10;
/// A recording that is shorter than this has seconds in the title of its picture.
const SHORT_US: u64 = 600_000_000;
/// A longer name is never cut below this, in characters.
const SHORTEST_NAME: usize = 20;

/// Returns the page; `columns` is the width of the terminal, `None` for programs.
pub fn text(tally: &Tally, name: &str, top: usize, columns: Option<usize>) -> String {
    let width = columns.unwrap_or(MAX_WIDTH).min(MAX_WIDTH);
    let mut page = String::new();
    for (label, value) in facts(tally, name, width) {
        // Writing to a String can't fail.
        let _ = writeln!(page, "{label:<12} {}", wrapped(&value, width));
    }
    page.push('\n');
    page.push_str(&kinds(tally).to_string());
    if tally.operations.sum() > 0 {
        let _ = write!(page, "\n{}", collections(tally, top, width));
    }
    if let Some(table) = languages(tally, top) {
        let _ = write!(page, "\n{table}");
    }
    if tally.gaps.count > 0 {
        let _ = write!(page, "\n{}", gaps(tally, width));
    }
    page
}

/// Breaks a value after commas, so that its lines fit beside the labels.
fn wrapped(value: &str, width: usize) -> String {
    let room = width.saturating_sub(LABEL_WIDTH);
    let (mut text, mut used) = (String::new(), 0);
    for part in value.split_inclusive(", ") {
        let length = part.trim_end().chars().count();
        if used > 0 && used + length > room {
            text.truncate(text.trim_end().len());
            text += &format!("\n{:LABEL_WIDTH$}", "");
            used = 0;
        }
        text += part;
        used += part.chars().count();
    }
    text
}

fn facts(tally: &Tally, name: &str, width: usize) -> Vec<(&'static str, String)> {
    let sizes = &tally.sizes;
    let mut facts = vec![
        (
            "recording",
            shortened(&printable(name.as_bytes(), 1000), width.saturating_sub(LABEL_WIDTH)),
        ),
        ("events", format!("{} ({})", count(sizes.count), bytes(sizes.sum_bytes))),
        (
            "size",
            format!(
                "mean {}, half up to {}, 99% up to {}, largest {}",
                bytes(sizes.mean_bytes()),
                bytes(sizes.quantile_bytes(50)),
                bytes(sizes.quantile_bytes(99)),
                bytes(sizes.max_bytes)
            ),
        ),
    ];
    if let Some((from, to)) = tally.times {
        let span = Duration::from_micros(to.0 - from.0);
        facts.push(("from", from.to_seconds()));
        facts.push((
            "to",
            format!("{} ({} later, {})", to.to_seconds(), duration(span), mean_rate(tally, span)),
        ));
    }
    if let Some((from, to)) = tally.cursors {
        facts.push(("cursors", format!("{from} to {to}")));
    }
    let over = duration(Duration::from_micros(tally.gaps.over_us));
    facts.push((
        "gaps",
        match tally.gaps.count {
            0 => format!("none over {over}"),
            n => {
                let sum = duration(Duration::from_micros(tally.gaps.sum_us));
                format!("{} over {over}, together {sum}", count(n))
            }
        },
    ));
    facts.push(("duplicates", duplicates(tally)));
    facts.push((
        "malformed",
        match &tally.first_malformed {
            None => "none".to_owned(),
            Some((line, reason)) => {
                let text = format!("{}; first line {line}: {reason}", count(tally.malformed));
                shortened(&text, width.saturating_sub(LABEL_WIDTH))
            }
        },
    ));
    facts
}

fn duplicates(tally: &Tally) -> String {
    let duplicates = match tally.duplicates {
        0 => "none".to_owned(),
        n => count(n),
    };
    match tally.duplicates_are_exact() {
        true => duplicates,
        false => {
            let window = count(WINDOW_EVENTS as u64);
            format!("{duplicates} (each event compared with {window} before it at least)")
        }
    }
}

fn mean_rate(tally: &Tally, span: Duration) -> String {
    let seconds = span.as_secs_f64();
    rate(if seconds > 0.0 { tally.sizes.count as f64 / seconds } else { 0.0 })
}

fn kinds(tally: &Tally) -> Table<3> {
    let mut table = Table::new(["KIND", "EVENTS", "SHARE"]);
    let all = tally.sizes.count;
    for (kind, events) in tally.kinds.sorted(|n| *n) {
        table.row([kind.to_owned(), count(*events), share(*events, all)]);
    }
    if tally.kinds.others > 0 {
        let others = tally.kinds.others;
        table.row(["(others)".to_owned(), count(others), share(others, all)]);
    }
    table
}

fn collections(tally: &Tally, top: usize, page: usize) -> String {
    let all = tally.operations.sum();
    let row = |name: String, operations: &OperationCounts| {
        let sum = operations.sum();
        [
            name,
            count(sum),
            share(sum, all),
            count(operations.create),
            count(operations.update),
            count(operations.delete),
        ]
    };
    let sorted = tally.collections.sorted(|collection| collection.operations.sum());
    let (shown, rest) = sorted.split_at(top.min(sorted.len()));
    let mut rows: Vec<[String; 6]> =
        shown.iter().map(|(name, c)| row((*name).to_owned(), &c.operations)).collect();
    let others = rest.iter().map(|(_, c)| *c).chain([&tally.collections.others]);
    let others = others.fold(OperationCounts::default(), |sum, c| added(sum, c.operations));
    if others.sum() > 0 {
        rows.push(row(format!("({} others)", count(rest.len() as u64)), &others));
    }
    if shown.len() > 1 {
        rows.push(row("(all)".to_owned(), &tally.operations));
    }
    let titles = ["COLLECTION", "EVENTS", "SHARE", "CREATE", "UPDATE", "DELETE"];
    let width = |i: usize| {
        let cells = rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.len());
        cells.chain([titles.get(i).map_or(0, |title| title.len())]).max().unwrap_or(0)
    };
    let taken: usize = (1..titles.len()).map(|i| width(i) + 2).sum();
    let most = page.saturating_sub(taken).max(SHORTEST_NAME);
    let mut table = Table::new(titles);
    for mut row in rows {
        row[0] = shortened(&printable(row[0].as_bytes(), 1000), most);
        table.row(row);
    }
    // UPDATE, SHARE and DELETE go first. A program gets all columns.
    let columns = (page < MAX_WIDTH).then_some(page);
    table.fitted(columns, &[4, 2, 5])
}

fn added(a: OperationCounts, b: OperationCounts) -> OperationCounts {
    OperationCounts {
        create: a.create + b.create,
        update: a.update + b.update,
        delete: a.delete + b.delete,
        other: a.other + b.other,
    }
}

fn languages(tally: &Tally, top: usize) -> Option<Table<2>> {
    let sorted = tally.languages.sorted(|n| *n);
    if sorted.is_empty() && tally.languages.others == 0 {
        return None;
    }
    let mut table = Table::new(["LANGUAGE", "RECORDS"]);
    let (shown, rest) = sorted.split_at(top.min(sorted.len()));
    for (language, records) in shown {
        table.row([(*language).to_owned(), count(**records)]);
    }
    let others = rest.iter().map(|(_, n)| **n).sum::<u64>() + tally.languages.others;
    if others > 0 {
        table.row([format!("({} others)", count(rest.len() as u64)), count(others)]);
    }
    Some(table)
}

fn gaps(tally: &Tally, width: usize) -> Table<3> {
    let time = |time: TimeUs| match width < MAX_WIDTH {
        true => time.to_seconds(),
        false => time.to_string(),
    };
    let mut table = Table::new(["GAP FROM", "TO", "LENGTH"]);
    for gap in tally.gaps.longest(LISTED_GAPS) {
        let length = duration(Duration::from_micros(gap.us()));
        table.row([time(gap.from), time(gap.to), length]);
    }
    table
}

/// Formats a share in per cent.
fn share(part: u64, all: u64) -> String {
    match part as f64 * 100.0 / all.max(1) as f64 {
        share if share > 0.0 && share < 0.05 => "<0.1%".to_owned(),
        share => format!("{share:.1}%"),
    }
}

/// Returns the title of the picture and the line below it.
pub fn title(grid: &Grid, name: &str) -> (String, String) {
    let each = match grid.minutes {
        1 => String::new(),
        n => format!(", in steps of {n} minutes"),
    };
    let is_short = grid.to.0.saturating_sub(grid.from.0) < SHORT_US;
    // YYYY-MM-DDTHH:MM, and :SS.
    let length = if is_short { 19 } else { 16 };
    let (from, to) = (start_of(grid.from, length), start_of(grid.to, length));
    let to = match (from.split_once(' '), to.split_once(' ')) {
        (Some((day, _)), Some((same, time))) if day == same => time.to_owned(),
        _ => to,
    };
    let subtitle = format!("events a minute by collection, {from} to {to} UTC{each}");
    (printable(name.as_bytes(), 1000), subtitle)
}

/// Returns the first characters of a time, with a space before the time of day.
fn start_of(time: TimeUs, length: usize) -> String {
    let text = time.to_string();
    text.get(..length).unwrap_or(&text).replace('T', " ")
}

/// Returns one JSON object and a line feed.
pub fn json(tally: &Tally, name: &str) -> serde_json::Result<String> {
    let sizes = &tally.sizes;
    let times = tally.times.map(|(from, to)| json!({"min_us": from.0, "max_us": to.0}));
    let cursors = tally.cursors.map(|(from, to)| json!({"min": from, "max": to}));
    let first = tally.first_malformed.as_ref();
    let gaps = &tally.gaps;
    let longest = gaps.longest(usize::MAX);
    let longest = longest.iter().map(|gap| json!({"from_us": gap.from.0, "to_us": gap.to.0}));
    let report = json!({
        "recording": name,
        "lines": tally.lines,
        "events": sizes.count,
        "bytes": sizes.sum_bytes,
        "size": {
            "mean_bytes": sizes.mean_bytes(),
            "p50_bytes": sizes.quantile_bytes(50),
            "p90_bytes": sizes.quantile_bytes(90),
            "p99_bytes": sizes.quantile_bytes(99),
            "max_bytes": sizes.max_bytes,
        },
        "time": times,
        "cursor": cursors,
        "gaps": {
            "over_us": gaps.over_us,
            "count": gaps.count,
            "sum_us": gaps.sum_us,
            "longest": longest.collect::<Vec<_>>(),
        },
        "duplicates": {"count": tally.duplicates, "exact": tally.duplicates_are_exact()},
        "malformed": {
            "count": tally.malformed,
            "first_line": first.map(|(line, _)| line),
            "first_reason": first.map(|(_, reason)| reason),
        },
        "kinds": counts(&tally.kinds.sorted(|n| *n), tally.kinds.others, "kind"),
        "operations": operations(&tally.operations),
        "collections": collections_json(tally),
        "languages": counts(&tally.languages.sorted(|n| *n), tally.languages.others, "language"),
    });
    serde_json::to_string(&report).map(|text| text + "\n")
}

fn counts(sorted: &[(&str, &u64)], others: u64, what: &str) -> Vec<Value> {
    let named = sorted.iter().map(|(name, n)| json!({what: name, "events": n}));
    let others = (others > 0).then(|| json!({what: null, "events": others}));
    named.chain(others).collect()
}

fn operations(operations: &OperationCounts) -> Value {
    json!({
        "create": operations.create,
        "update": operations.update,
        "delete": operations.delete,
        "other": operations.other,
    })
}

fn collections_json(tally: &Tally) -> Vec<Value> {
    let of = |name: Option<&str>, collection: &CollectionCounts| {
        json!({
            "collection": name,
            "events": collection.operations.sum(),
            "bytes": collection.bytes,
            "operations": operations(&collection.operations),
        })
    };
    let sorted = tally.collections.sorted(|collection| collection.operations.sum());
    let named = sorted.into_iter().map(|(name, collection)| of(Some(name), collection));
    let others = &tally.collections.others;
    let others = (others.operations.sum() > 0).then(|| of(None, others));
    named.chain(others).collect()
}
