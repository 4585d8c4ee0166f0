//! Draws the screen from the collected data and the view state. Reads no clock.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};

use super::keys::{TableKind, ViewState};
use super::table::{Column, TableView, draw as draw_table, write_text};
use super::theme::Theme;
use crate::display::printable::printable;
use crate::display::units::{bytes, count, duration, rate};
use crate::top::aggregate::{Aggregate, Row, RowQuery, Sort};
use crate::top::time_series::COMPLETE_SLICES;

/// Minimum width of the terminal, in columns.
pub const MIN_COLUMNS: u16 = 80;
/// Minimum height of the terminal, in lines.
pub const MIN_LINES: u16 = 20;
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

/// Help text for the keys, in the last line.
const KEYS: &str =
    "q quit  p pause  Tab table  s sort  o operation  / filter  z enlarge  j k scroll";
const KEYS_EDITING: &str = "Enter apply  Esc cancel";

/// The data to draw.
#[derive(Debug)]
pub struct ScreenData<'a> {
    /// Counts of the stream.
    pub aggregate: &'a Aggregate,
    /// The time to show, as a duration since the aggregate's creation.
    pub at: Duration,
    /// The name of the server.
    pub server: &'a str,
    /// The server's number among several; omitted if the title has no room.
    pub server_ordinal: &'a str,
    /// The status of the stream, without problems.
    pub status_text: &'a str,
    /// Problems, if there are any.
    pub alert: &'a str,
    /// The latest log line.
    pub log_line: Option<&'a str>,
}

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, data: &ScreenData<'_>, state: &mut ViewState, theme: &Theme) {
    let area = frame.area();
    if area.width < MIN_COLUMNS || area.height < MIN_LINES {
        return too_small(frame, area);
    }
    let [title, flow, body, log_line, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(frame, title, data, state, theme);
    draw_flow(frame, flow, data, theme);
    draw_body(frame, body, data, state, theme);
    draw_log_line(frame, log_line, data, state, theme);
    let help = if state.editing.is_some() { KEYS_EDITING } else { KEYS };
    write_text(frame.buffer_mut(), (keys.x, keys.y), help, usize::from(keys.width), Style::new());
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let lines = [
        format!("skytail top needs {MIN_COLUMNS} columns and {MIN_LINES} lines,"),
        format!("and has {} and {}: enlarge it, or", area.width, area.height),
        "use skytail top --once. q quits.".to_owned(),
    ];
    for (line, y) in lines.iter().zip(area.y..) {
        write_text(frame.buffer_mut(), (area.x, y), line, usize::from(area.width), Style::new());
    }
}

fn draw_title(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &ViewState,
    theme: &Theme,
) {
    let since = duration(data.at);
    let room = usize::from(area.width).saturating_sub(since.len() + 1);
    let mut used = 0;
    let pause = if state.is_paused { "PAUSED" } else { "" };
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let numbered = format!("{}{}", data.server, data.server_ordinal);
    let others = ["skytail top", pause, data.status_text, data.alert];
    let others: usize = others.iter().map(|part| part.chars().count() + 2).sum();
    let has_room = others + numbered.chars().count() <= room;
    let server = if has_room { &*numbered } else { data.server };
    let parts = [
        ("skytail top", Style::new().add_modifier(Modifier::BOLD)),
        (pause, reversed),
        (server, Style::new()),
        (data.status_text, Style::new()),
        (data.alert, theme.alert),
    ];
    for (part, style) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
        let at = (area.x + used as u16, area.y);
        let part = printable(part.as_bytes(), room);
        let columns = write_text(frame.buffer_mut(), at, &part, room.saturating_sub(used), style);
        used = (used + usize::from(columns) + 2).min(room);
    }
    let x = area.right().saturating_sub(since.len() as u16);
    write_text(frame.buffer_mut(), (x, area.y), &since, since.len(), Style::new());
}

/// Draws events and bytes per second.
fn draw_flow(frame: &mut Frame<'_>, area: Rect, data: &ScreenData<'_>, theme: &Theme) {
    let (events, size) = (data.aggregate.events(data.at), data.aggregate.bytes(data.at));
    let speed = format!("{}/s", bytes(size.per_second as u64));
    let lines = [
        ("events", rate(events.per_second), format!("{} in all", count(events.total)), &events),
        ("bytes", speed, format!("{} in all", bytes(size.total)), &size),
    ];
    for ((name, speed, total, row), y) in lines.iter().zip(area.y..) {
        let buffer = frame.buffer_mut();
        write_text(buffer, (area.x, y), &format!("{name:<7}{speed:>12}  "), 21, Style::new());
        let end = usize::from(area.width).saturating_sub(21 + 28).clamp(20, 60);
        let bars = theme.characters.draw(&row.series, end);
        write_text(buffer, (area.x + 21, y), &bars, end, theme.bars);
        write_text(buffer, (area.x + 23 + end as u16, y), total, 26, Style::new());
    }
}

fn draw_body(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    if state.is_zoomed {
        return match state.selected {
            TableKind::Collections => collections(frame, below(area), data, state, theme),
            TableKind::Accounts => accounts(frame, below(area), data, state, theme),
            TableKind::Languages => languages(frame, below(area), data, state, theme),
        };
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
    let parts = [Constraint::Min(ACCOUNTS_COLUMNS), Constraint::Length((area.width / 3).min(60))];
    let [left, right] = Layout::horizontal(parts).spacing(2).areas(lower);
    accounts(frame, left, data, state, theme);
    languages(frame, right, data, state, theme);
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
    let series = series_columns(area, 9 + 2 + 8 + 2, 10);
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
    let shown = TableView { columns: &columns, suffix: String::new(), rows, is_selected: false };
    draw_table(frame, area, theme, &shown);
}

/// Returns the query of a table, and the text after its title.
fn row_query(state: &ViewState, kind: TableKind) -> (RowQuery<'_>, String) {
    let table = &state.tables[kind as usize];
    let operation = state.operation.filter(|_| kind == TableKind::Collections);
    let mut suffix = operation.map_or(String::new(), |operation| format!(" {}", operation.word()));
    if !table.filter.is_empty() {
        suffix += &format!(" /{}", table.filter);
    }
    let query =
        RowQuery { sort: table.sort, filter: &table.filter, operation, ..RowQuery::default() };
    (query, suffix)
}

/// Returns the visible rows after the scroll offset, and clamps the offset.
fn visible_rows(
    area: Rect,
    state: &mut ViewState,
    kind: TableKind,
    rows: (Vec<Row>, usize),
) -> impl Iterator<Item = Row> {
    let (rows, all) = rows;
    let fit = usize::from(area.height.saturating_sub(1));
    let table = &mut state.tables[kind as usize];
    table.rows = (all, fit);
    table.scroll = table.scroll.min(all.saturating_sub(fit));
    rows.into_iter().skip(table.scroll).take(fit)
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
        let (query, suffix) = row_query(state, kind);
        let limit = state.tables[kind as usize].scroll + usize::from(area.height);
        let found = match kind {
            TableKind::Collections => data.aggregate.collections(data.at, query, limit),
            TableKind::Accounts => data.aggregate.accounts(data.at, query, limit),
            TableKind::Languages => data.aggregate.languages(data.at, query, limit),
        };
        for (i, column) in self.columns.iter_mut().enumerate() {
            *column = column.sorted(match query.sort {
                Sort::Name => i == 0,
                Sort::Rate => column.title == RATE,
                Sort::Total => column.title == TOTAL,
            });
        }
        let rows = visible_rows(area, state, kind, found).map(self.texts).collect();
        let is_selected = state.selected == kind;
        draw_table(
            frame,
            area,
            theme,
            &TableView { columns: &self.columns, suffix, rows, is_selected },
        );
    }
}

fn collections(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    let all = data.aggregate.events(data.at).per_second;
    let series = series_columns(area, 60, 20);
    // Only this table shows the time span of the bars.
    let last = format!("LAST {}", duration(data.aggregate.slice() * COMPLETE_SLICES as u32));
    let columns = vec![
        Column::text("COLLECTION", Constraint::Max(area.width * 2 / 5)),
        Column::number(RATE, 8),
        Column::number("SHARE", 6),
        Column::number(TOTAL, 10),
        Column::text(&last, Constraint::Length(series)),
    ];
    let texts = |row: Row| {
        let bars = theme.characters.draw(&row.series, usize::from(series));
        let share = share(&row, all);
        vec![row.name, rate(row.per_second), share, count(row.total), bars]
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
    let columns = vec![
        Column::text("ACCOUNT", ACCOUNT_NAME),
        Column::number(RATE, 7),
        Column::number(TOTAL, 7),
    ];
    let texts = |row: Row| vec![row.name, rate(row.per_second), count(row.total)];
    let bound = BoundTable { kind: TableKind::Accounts, columns, texts: &texts };
    bound.draw(frame, area, data, state, theme);
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

/// Draws the filter input or the latest log line.
fn draw_log_line(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) {
    let columns = usize::from(area.width);
    let at = (area.x, area.y);
    if state.editing.is_some() {
        let text = format!("filter: {}_", state.table().filter);
        write_text(
            frame.buffer_mut(),
            at,
            &text,
            columns,
            Style::new().add_modifier(Modifier::BOLD),
        );
    } else if let Some(log_line) = data.log_line {
        write_text(
            frame.buffer_mut(),
            at,
            &printable(log_line.as_bytes(), columns),
            columns,
            theme.alert,
        );
    }
}

#[cfg(test)]
#[path = "draw/tests.rs"]
mod tests;
