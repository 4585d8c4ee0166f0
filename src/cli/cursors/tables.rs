//! Formats saved cursors as tables that fit the terminal.
//!
//! Programs get all columns. On a terminal, a table that is too wide loses what
//! `skytail cursors show` also has, but never a part of a name, because users type it again.

use super::view::{number, server, span, time_and_seq};
use crate::checkpoint::store::{EarlierCursor, Entry, SavedCursor};
use crate::display::table::{Table, escape_cell, shortened};
use crate::position::TimeUs;

/// Minimum number of columns of a server: enough to distinguish it from others.
const MIN_SERVER: usize = 12;

/// The cells of one saved cursor.
struct Cells {
    name: String,
    server: String,
    cursor: String,
    time: Option<TimeUs>,
    age: String,
    saved: String,
}

impl Cells {
    fn new(name: &str, cursor: Option<&SavedCursor>, saved_at: TimeUs, now: TimeUs) -> Self {
        let time = cursor.and_then(|cursor| time_and_seq(cursor).0);
        let set = match cursor {
            Some(SavedCursor::Position(_)) => "",
            Some(SavedCursor::Manual(_)) => "by hand, ",
            None => "reset, ",
        };
        Self {
            name: name.to_owned(),
            server: cursor.map_or("", |cursor| server(cursor).unwrap_or("any")).to_owned(),
            cursor: cursor.map(|cursor| number(cursor).to_string()).unwrap_or_default(),
            time,
            age: time.map(|time| span(time, now)).unwrap_or_default(),
            saved: format!("{set}{} ago", span(saved_at, now)),
        }
    }

    fn time(&self) -> String {
        self.time.map(|time| time.to_string()).unwrap_or_default()
    }

    /// Returns the age, or else the sequence number, for a table without the cursor.
    fn age_or_seq(&self) -> String {
        match self.time {
            None if !self.cursor.is_empty() => format!("seq {}", self.cursor),
            _ => self.age.clone(),
        }
    }

    fn seconds(&self) -> String {
        self.time.map(|time| time.to_seconds().to_string()).unwrap_or_default()
    }
}

/// Returns the table of `list`; `columns` is the width of the terminal, `None` for programs.
pub fn list(entries: &[Entry], now: TimeUs, columns: Option<usize>) -> String {
    let cells = |entry: &Entry| Cells::new(&entry.name, entry.cursor.as_ref(), entry.saved_at, now);
    let rows: Vec<Cells> = entries.iter().map(cells).collect();
    let mut all = Table::new(["NAME", "SERVER", "CURSOR", "EVENT TIME", "AGE", "SAVED"]);
    let mut without_time = Table::new(["NAME", "SERVER", "CURSOR", "AGE", "SAVED"]);
    for row in &rows {
        let Cells { name, server, cursor, age, saved, .. } = row;
        let short = [name, server, cursor, age, saved].map(String::clone);
        without_time.row(short.clone());
        let [name, server, cursor, age, saved] = short;
        all.row([name, server, cursor, row.time(), age, saved]);
    }
    match columns {
        None => all.to_string(),
        Some(columns) if all.width() <= columns => all.to_string(),
        Some(columns) if without_time.width() <= columns => without_time.to_string(),
        Some(columns) => narrow(&rows, columns),
    }
}

/// Returns a table of names, servers and ages. Servers are shortened; if that is not enough, each
/// name is on a line of its own.
fn narrow(rows: &[Cells], columns: usize) -> String {
    let table = |server: usize| {
        let mut table = Table::new(["NAME", "SERVER", "AGE", "SAVED"]);
        for row in rows {
            let host = shortened(&escape_cell(&row.server), server);
            table.row([row.name.clone(), host, row.age_or_seq(), row.saved.clone()]);
        }
        table
    };
    let whole = table(usize::MAX);
    let [_, server, ..] = whole.widths();
    let room = columns.saturating_sub(whole.width() - server);
    if room >= server.min(MIN_SERVER) {
        return table(room).to_string();
    }
    below_names(rows, columns)
}

/// Returns two lines for each cursor: its name, and the rest.
fn below_names(rows: &[Cells], columns: usize) -> String {
    let table = |server: usize| {
        let mut table = Table::new(["  SERVER", "AGE", "SAVED"]);
        for row in rows {
            let host = format!("  {}", shortened(&escape_cell(&row.server), server));
            table.row([host, row.age_or_seq(), row.saved.clone()]);
        }
        table
    };
    let whole = table(usize::MAX);
    let [server, ..] = whole.widths();
    let room = columns.saturating_sub(whole.width() - server + 2).max(MIN_SERVER);
    let text = table(room).to_string();
    let names = std::iter::once("NAME".to_owned());
    let names = names.chain(rows.iter().map(|row| escape_cell(&row.name)));
    names.zip(text.lines()).map(|(name, line)| format!("{name}\n{line}\n")).collect()
}

/// Returns the table of `restore`; `columns` as in [`list`].
pub fn earlier(earlier: &[EarlierCursor], now: TimeUs, columns: Option<usize>) -> String {
    let mut all = Table::new(["N", "SERVER", "CURSOR", "EVENT TIME", "SAVED", "REPLACED"]);
    let mut rows = Vec::with_capacity(earlier.len());
    for (index, earlier) in earlier.iter().enumerate() {
        let n = (index + 1).to_string();
        let row = Cells::new(&n, Some(&earlier.cursor), earlier.saved_at, now);
        let replaced = format!("{} ago", span(earlier.replaced_at, now));
        let (time, seconds) = (row.time(), row.seconds());
        let Cells { server, cursor, saved, .. } = row;
        rows.push([n.clone(), server.clone(), seconds, saved.clone(), replaced.clone()]);
        all.row([n, server, cursor, time, saved, replaced]);
    }
    let short = |server: usize| {
        let mut short = Table::new(["N", "SERVER", "EVENT TIME", "SAVED", "REPLACED"]);
        for [n, host, time, saved, replaced] in rows.clone() {
            short.row([n, shortened(&escape_cell(&host), server), time, saved, replaced]);
        }
        short
    };
    match columns {
        Some(columns) if all.width() > columns => {
            let whole = short(usize::MAX);
            let [_, server, ..] = whole.widths();
            let room = columns.saturating_sub(whole.width() - server).max(MIN_SERVER);
            short(room).to_string()
        }
        _ => all.to_string(),
    }
}

#[cfg(test)]
#[path = "tables/tests.rs"]
mod tests;
