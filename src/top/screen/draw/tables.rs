//! The tables: kinds, operations, collections, accounts and languages.

use std::collections::{HashMap, HashSet};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::{ScreenData, USUAL_COLUMNS};
use crate::display::units::{count, duration, rate};
use crate::event::format::EventFormat;
use crate::event::header::Kind;
use crate::top::aggregate::{Row, RowQuery, Sort};
use crate::top::latest::KeptEvent;
use crate::top::screen::keys::{TableKind, ViewState};
use crate::top::screen::table::{Column, TableView, draw as draw_table};
use crate::top::screen::theme::Theme;
use crate::top::time_series::COMPLETE_SLICES;

/// Width from which on there are columns for operations, handles and latest events.
const WIDE: u16 = 160;
/// Lines of the tables of kinds and operations, including titles.
const KINDS_LINES: u16 = 4;
/// Columns that the account table needs: a DID of 32, and numbers.
const ACCOUNTS_COLUMNS: u16 = 50;
/// Maximum width of short names, so that the numbers are next to them.
const SHORT_NAME: Constraint = Constraint::Max(16);
/// Maximum width of accounts.
const ACCOUNT_NAME: Constraint = Constraint::Max(40);

/// Title of the column that [`Sort::Rate`] orders by.
const RATE: &str = "RATE";
/// Title of the column that [`Sort::Total`] orders by.
const TOTAL: &str = "TOTAL";

/// Draws all tables, or the selected one if it is enlarged.
pub fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    if state.is_zoomed {
        return draw_one(frame, below(area), data, state, theme);
    }
    // An empty line between two tables, if the terminal is high enough.
    let gap = u16::from(area.height >= 19);
    let [_, kinds, _, upper, _, lower] = Layout::vertical([
        Constraint::Length(gap),
        Constraint::Length(KINDS_LINES),
        Constraint::Length(gap),
        Constraint::Fill(1),
        Constraint::Length(gap),
        Constraint::Fill(1),
    ])
    .areas(area);
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [left, right] = Layout::horizontal(halves).spacing(2).areas(kinds);
    small(frame, left, theme, "KIND", data.aggregate.kinds(data.at));
    small(frame, right, theme, "OPERATION", data.aggregate.operations(data.at));
    collections(frame, upper, data, state, theme);
    if area.width < USUAL_COLUMNS {
        return match state.selected {
            TableKind::Languages => languages(frame, lower, data, state, theme),
            _ => accounts(frame, lower, data, state, theme),
        };
    }
    let languages_columns = if area.width < WIDE { area.width / 3 } else { 50 };
    let parts = [Constraint::Min(ACCOUNTS_COLUMNS), Constraint::Length(languages_columns)];
    let [left, right] = Layout::horizontal(parts).spacing(2).areas(lower);
    accounts(frame, left, data, state, theme);
    languages(frame, right, data, state, theme);
}

fn draw_one(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    match state.selected {
        TableKind::Collections => collections(frame, area, data, state, theme),
        TableKind::Accounts => accounts(frame, area, data, state, theme),
        TableKind::Languages => languages(frame, area, data, state, theme),
    }
}

fn below(area: Rect) -> Rect {
    let [_, rest] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    rest
}

/// Returns the columns of the bars in an area with `others` columns of other content.
fn series_columns(area: Rect, others: u16, min: u16) -> u16 {
    area.width.saturating_sub(others).clamp(min, 60)
}

fn small(frame: &mut Frame<'_>, area: Rect, theme: &Theme, title: &str, rows: Vec<Row>) {
    let series = series_columns(area, 9 + 2 + 8 + 2, 6);
    let columns = [
        Column::text(title, SHORT_NAME),
        Column::number(RATE, 8),
        Column::text("LAST", Constraint::Length(series)),
    ];
    let texts = |row: Row| {
        vec![
            row.name,
            rate(row.per_second),
            theme.characters.draw(&row.series, usize::from(series)),
        ]
    };
    let rows = rows.into_iter().map(texts).collect();
    let suffix = String::new();
    let view =
        TableView { columns: &columns, suffix, rows, selected_row: None, is_selected: false };
    draw_table(frame, area, theme, &view);
}

/// Returns the text after the title of a table.
fn suffix(state: &ViewState, kind: TableKind) -> String {
    let operation = state.operation.filter(|_| kind == TableKind::Collections);
    let mut suffix = operation.map_or(String::new(), |operation| format!(" {}", operation.word()));
    let filter = &state.tables[kind as usize].filter;
    if !filter.is_empty() {
        suffix += &format!(" /{filter}");
    }
    suffix
}

/// Returns the accounts whose handles contain the filter.
fn with_handles(data: &ScreenData<'_>, filter: &str) -> HashSet<String> {
    let filter = filter.to_lowercase();
    let handles = data.latest.handles().filter(|_| !filter.is_empty());
    let found = handles.filter(|(_, handle)| handle.to_lowercase().contains(&filter));
    found.map(|(did, _)| did.to_owned()).collect()
}

fn share(row: &Row, of: f64) -> String {
    format!("{:.1}%", if of > 0.0 { row.per_second * 100.0 / of } else { 0.0 })
}

/// A table of the screen that is not drawn yet.
struct BoundTable<'a> {
    kind: TableKind,
    /// The columns, that of the name first.
    columns: Vec<Column<'a>>,
    texts: &'a dyn Fn(Row) -> Vec<String>,
}

impl BoundTable<'_> {
    fn draw(
        mut self,
        frame: &mut Frame<'_>,
        area: Rect,
        data: &ScreenData<'_>,
        state: &mut ViewState,
        theme: &Theme,
    ) {
        let kind = self.kind;
        let suffix = suffix(state, kind);
        let (is_selected, operation) = (state.selected == kind, state.operation);
        let table = &mut state.tables[kind as usize];
        let fit = usize::from(area.height.saturating_sub(1));
        let also = with_handles(data, &table.filter);
        let query = RowQuery {
            sort: table.sort,
            is_reversed: table.is_reversed,
            filter: &table.filter,
            also: (kind == TableKind::Accounts).then_some(&also),
            operation: operation.filter(|_| kind == TableKind::Collections),
        };
        let limit = table.needed_rows(fit);
        let (rows, all) = match kind {
            TableKind::Collections => data.aggregate.collections(data.at, query, limit),
            TableKind::Accounts => data.aggregate.accounts(data.at, query, limit),
            TableKind::Languages => data.aggregate.languages(data.at, query, limit),
        };
        for (i, column) in self.columns.iter_mut().enumerate() {
            let is_sorted = match query.sort {
                Sort::Name => i == 0,
                Sort::Rate => column.title == RATE,
                Sort::Total => column.title == TOTAL,
            };
            // Names ascend, and numbers descend.
            let ascends = query.is_reversed != (query.sort == Sort::Name);
            *column = column.sorted(is_sorted.then(|| theme.direction(ascends)));
        }
        table.place(&rows, all, fit);
        let shown = rows.into_iter().skip(table.scroll).take(fit).map(self.texts).collect();
        let selected_row = is_selected.then(|| table.row.saturating_sub(table.scroll));
        let view =
            TableView { columns: &self.columns, suffix, rows: shown, selected_row, is_selected };
        draw_table(frame, area, theme, &view);
    }
}

fn collections(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    let is_wide = area.width >= WIDE;
    let has_share = area.width >= USUAL_COLUMNS;
    let all = data.aggregate.events(data.at).per_second;
    let others = match (is_wide, has_share) {
        (true, _) => 2 * 7 + 8 + 6 + 4 * 12 + 60,
        (_, true) => 60,
        (_, false) => 48,
    };
    let series = series_columns(area, others, if has_share { 20 } else { 12 });
    // Only this table shows the time span of the bars.
    let last = format!("LAST {}", duration(data.aggregate.slice() * COMPLETE_SLICES as u32));
    let name = if is_wide { Constraint::Fill(1) } else { Constraint::Max(area.width * 2 / 5) };
    let mut columns = vec![Column::text("COLLECTION", name), Column::number(RATE, 8)];
    if has_share {
        columns.push(Column::number("SHARE", 6));
    }
    columns.push(Column::number(TOTAL, if is_wide { 12 } else { 10 }));
    if is_wide {
        columns.extend(["CREATES", "UPDATES", "DELETES"].map(|title| Column::number(title, 12)));
    }
    columns.push(Column::text(&last, Constraint::Length(series)));
    let totals = if is_wide { data.aggregate.collection_totals() } else { Vec::new() };
    let totals: HashMap<&str, [u64; 4]> = totals.into_iter().collect();
    let texts = |row: Row| {
        let mut texts = vec![row.name.clone(), rate(row.per_second)];
        if has_share {
            texts.push(share(&row, all));
        }
        texts.push(count(row.total));
        if is_wide {
            let counts = totals.get(row.name.as_str()).copied().unwrap_or_default();
            texts.extend(counts.iter().take(3).map(|n| count(*n)));
        }
        texts.push(theme.characters.draw(&row.series, usize::from(series)));
        texts
    };
    let bound = BoundTable { kind: TableKind::Collections, columns, texts: &texts };
    bound.draw(frame, area, data, state, theme);
}

fn accounts(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    let is_wide = area.width >= WIDE - 2 - 50;
    let handle = |did: &str| data.latest.handle(did).map(str::to_owned);
    let mut columns = vec![Column::text("ACCOUNT", ACCOUNT_NAME)];
    if is_wide {
        columns.push(Column::text("HANDLE", Constraint::Length(26)));
    }
    columns.extend([Column::number(RATE, 7), Column::number(TOTAL, 7)]);
    if is_wide {
        columns.push(Column::text("LATEST EVENT", Constraint::Fill(1)));
    }
    let texts = |row: Row| {
        let (rate, total) = (rate(row.per_second), count(row.total));
        match is_wide {
            true => {
                let latest = data.latest.of_account(&row.name).next_back();
                let latest = latest.map(latest_event).unwrap_or_default();
                let handle = handle(&row.name).unwrap_or_default();
                vec![row.name, handle, rate, total, latest]
            }
            false => vec![handle(&row.name).unwrap_or(row.name), rate, total],
        }
    };
    let bound = BoundTable { kind: TableKind::Accounts, columns, texts: &texts };
    bound.draw(frame, area, data, state, theme);
}

/// Returns what an event is: its operation and collection, or its kind.
fn latest_event(event: &KeptEvent) -> String {
    let KeptEvent::Line(line) = event else { return String::new() };
    let Ok(header) = EventFormat::V1.parse(line) else { return String::new() };
    match &header.commit {
        Some(commit) => format!("{} {}", commit.operation_text, commit.collection),
        None if header.kind == Kind::Other && header.kind_text.is_empty() => String::new(),
        None => header.kind_text.into_owned(),
    }
}

fn languages(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    let series = series_columns(area, 8 + 2 + 7 + 2 + 7 + 2, 10);
    let mut columns = vec![
        Column::text("LANGUAGE", SHORT_NAME),
        Column::number(RATE, 7),
        Column::number(TOTAL, 7),
    ];
    if area.width >= 40 {
        columns.push(Column::text("LAST", Constraint::Length(series)));
    }
    let texts = |row: Row| {
        let bars = theme.characters.draw(&row.series, usize::from(series));
        vec![row.name, rate(row.per_second), count(row.total), bars]
    };
    let bound = BoundTable { kind: TableKind::Languages, columns, texts: &texts };
    bound.draw(frame, area, data, state, theme);
}
