//! One screen out of figures and wishes. Draws; decides nothing else, and reads no clock.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};

use super::keys::{Place, Wishes};
use super::table::{Column, Shown, draw as draw_table, put};
use super::theme::Theme;
use crate::display::printable::printable;
use crate::display::units::{bytes, count, duration, rate};
use crate::top::board::{Board, Look, Row, Sort};
use crate::top::slices::WHOLE;

/// The least that is needed.
pub const LEAST_COLUMNS: u16 = 80;
/// The same in lines.
pub const LEAST_LINES: u16 = 20;
/// Lines for kinds and operations, with their titles.
const KINDS_LINES: u16 = 4;
/// Columns that the accounts need: a DID of 32, and numbers.
const ACCOUNTS_COLUMNS: u16 = 50;
/// The widest that short names get, so that their numbers stand beside them.
const SHORT_NAME: Constraint = Constraint::Max(16);
/// The same for accounts.
const ACCOUNT_NAME: Constraint = Constraint::Max(40);

/// Titles by whose columns rows can be sorted.
const RATE: &str = "RATE";
/// The other one.
const TOTAL: &str = "TOTAL";

/// The keys, in words.
const KEYS: &str =
    "q quit  p pause  Tab table  s sort  o operation  / filter  z enlarge  j k scroll";
const KEYS_WRITING: &str = "Enter keep  Esc take back";

/// What is shown.
#[derive(Debug)]
pub struct View<'a> {
    /// The counts.
    pub board: &'a Board,
    /// The moment that they are looked at, since the board was made.
    pub at: Duration,
    /// Where events come from.
    pub source: &'a str,
    /// Which of several servers that is, left out where there is no room for it.
    pub number: &'a str,
    /// How the stream stands, in words; those of trouble apart.
    pub standing: &'a str,
    /// What is wrong, if anything.
    pub trouble: &'a str,
    /// The latest log line.
    pub told: Option<&'a str>,
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, view: &View<'_>, wishes: &mut Wishes, theme: &Theme) {
    let area = frame.area();
    if area.width < LEAST_COLUMNS || area.height < LEAST_LINES {
        return too_small(frame, area);
    }
    let [title, flow, body, told, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(frame, title, view, wishes, theme);
    draw_flow(frame, flow, view, theme);
    draw_body(frame, body, view, wishes, theme);
    draw_told(frame, told, view, wishes, theme);
    let words = if wishes.writing.is_some() { KEYS_WRITING } else { KEYS };
    put(frame.buffer_mut(), (keys.x, keys.y), words, usize::from(keys.width), Style::new());
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let lines = [
        format!("skytail top needs {LEAST_COLUMNS} columns and {LEAST_LINES} lines,"),
        format!("and has {} and {}: enlarge it, or", area.width, area.height),
        "use skytail top --once. q quits.".to_owned(),
    ];
    for (line, y) in lines.iter().zip(area.y..) {
        put(frame.buffer_mut(), (area.x, y), line, usize::from(area.width), Style::new());
    }
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, wishes: &Wishes, theme: &Theme) {
    let since = duration(view.at);
    let room = usize::from(area.width).saturating_sub(since.len() + 1);
    let mut used = 0;
    let pause = if wishes.is_paused { "PAUSED" } else { "" };
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let numbered = format!("{}{}", view.source, view.number);
    let others = ["skytail top", pause, view.standing, view.trouble];
    let others: usize = others.iter().map(|part| part.chars().count() + 2).sum();
    let has_room = others + numbered.chars().count() <= room;
    let source = if has_room { &*numbered } else { view.source };
    let parts = [
        ("skytail top", Style::new().add_modifier(Modifier::BOLD)),
        (pause, reversed),
        (source, Style::new()),
        (view.standing, Style::new()),
        (view.trouble, theme.trouble),
    ];
    for (part, style) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
        let at = (area.x + used as u16, area.y);
        let part = printable(part.as_bytes(), room);
        let columns = put(frame.buffer_mut(), at, &part, room.saturating_sub(used), style);
        used = (used + usize::from(columns) + 2).min(room);
    }
    let x = area.right().saturating_sub(since.len() as u16);
    put(frame.buffer_mut(), (x, area.y), &since, since.len(), Style::new());
}

/// Events and bytes a second.
fn draw_flow(frame: &mut Frame<'_>, area: Rect, view: &View<'_>, theme: &Theme) {
    let (events, size) = (view.board.events(view.at), view.board.bytes(view.at));
    let speed = format!("{}/s", bytes(size.per_second as u64));
    let lines = [
        ("events", rate(events.per_second), format!("{} in all", count(events.total)), &events),
        ("bytes", speed, format!("{} in all", bytes(size.total)), &size),
    ];
    for ((name, speed, total, row), y) in lines.iter().zip(area.y..) {
        let buffer = frame.buffer_mut();
        put(buffer, (area.x, y), &format!("{name:<7}{speed:>12}  "), 21, Style::new());
        let end = usize::from(area.width).saturating_sub(21 + 28).clamp(20, 60);
        let bars = theme.characters.draw(&row.series, end);
        put(buffer, (area.x + 21, y), &bars, end, theme.bars);
        put(buffer, (area.x + 23 + end as u16, y), total, 26, Style::new());
    }
}

fn draw_body(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View<'_>,
    wishes: &mut Wishes,
    theme: &Theme,
) {
    if wishes.is_large {
        return match wishes.place {
            Place::Collections => collections(frame, below(area), view, wishes, theme),
            Place::Accounts => accounts(frame, below(area), view, wishes, theme),
            Place::Languages => languages(frame, below(area), view, wishes, theme),
        };
    }
    // A line between two parts, where there is room for it.
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
    small(frame, left, theme, "KIND", view.board.kinds(view.at));
    small(frame, right, theme, "OPERATION", view.board.operations(view.at));
    collections(frame, upper, view, wishes, theme);
    let parts = [Constraint::Min(ACCOUNTS_COLUMNS), Constraint::Length((area.width / 3).min(60))];
    let [left, right] = Layout::horizontal(parts).spacing(2).areas(lower);
    accounts(frame, left, view, wishes, theme);
    languages(frame, right, view, wishes, theme);
}

fn below(area: Rect) -> Rect {
    let [_, rest] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    rest
}

/// Columns for series in a part of a screen, next to `others` columns of other things.
fn series_columns(area: Rect, others: u16, least: u16) -> u16 {
    area.width.saturating_sub(others).clamp(least, 60)
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
    let shown = Shown { columns: &columns, remark: String::new(), rows, is_chosen: false };
    draw_table(frame, area, theme, &shown);
}

/// What is wanted of a table, and what is said of it.
fn look(wishes: &Wishes, place: Place) -> (Look<'_>, String) {
    let aspect = &wishes.aspects[place as usize];
    let operation = wishes.operation.filter(|_| place == Place::Collections);
    let mut remark = operation.map_or(String::new(), |operation| format!(" {}", operation.word()));
    if !aspect.filter.is_empty() {
        remark += &format!(" /{}", aspect.filter);
    }
    (Look { sort: aspect.sort, filter: &aspect.filter, operation }, remark)
}

/// The rows that fit behind those that were scrolled away.
fn fitting(
    area: Rect,
    wishes: &mut Wishes,
    place: Place,
    rows: (Vec<Row>, usize),
) -> impl Iterator<Item = Row> {
    let (rows, all) = rows;
    let fit = usize::from(area.height.saturating_sub(1));
    let aspect = &mut wishes.aspects[place as usize];
    aspect.rows = (all, fit);
    aspect.scroll = aspect.scroll.min(all.saturating_sub(fit));
    rows.into_iter().skip(aspect.scroll).take(fit)
}

fn share(row: &Row, of: f64) -> String {
    format!("{:.1}%", if of > 0.0 { row.per_second * 100.0 / of } else { 0.0 })
}

/// A table of the board: its columns, and what stands in them.
struct Listing<'a> {
    place: Place,
    /// The name's column first.
    columns: Vec<Column<'a>>,
    texts: &'a dyn Fn(Row) -> Vec<String>,
}

impl Listing<'_> {
    fn draw(
        mut self,
        frame: &mut Frame<'_>,
        area: Rect,
        view: &View<'_>,
        wishes: &mut Wishes,
        theme: &Theme,
    ) {
        let place = self.place;
        let (look, remark) = look(wishes, place);
        let most = wishes.aspects[place as usize].scroll + usize::from(area.height);
        let found = match place {
            Place::Collections => view.board.collections(view.at, look, most),
            Place::Accounts => view.board.accounts(view.at, look, most),
            Place::Languages => view.board.languages(view.at, look, most),
        };
        for (i, column) in self.columns.iter_mut().enumerate() {
            *column = column.sorted(match look.sort {
                Sort::Name => i == 0,
                Sort::Rate => column.title == RATE,
                Sort::Total => column.title == TOTAL,
            });
        }
        let rows = fitting(area, wishes, place, found).map(self.texts).collect();
        let is_chosen = wishes.place == place;
        draw_table(frame, area, theme, &Shown { columns: &self.columns, remark, rows, is_chosen });
    }
}

fn collections(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View<'_>,
    wishes: &mut Wishes,
    theme: &Theme,
) {
    let all = view.board.events(view.at).per_second;
    let series = series_columns(area, 60, 20);
    // How long a series is, is said once on a screen.
    let last = format!("LAST {}", duration(view.board.slice() * WHOLE as u32));
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
    let listing = Listing { place: Place::Collections, columns, texts: &texts };
    listing.draw(frame, area, view, wishes, theme);
}

fn accounts(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View<'_>,
    wishes: &mut Wishes,
    theme: &Theme,
) {
    let columns = vec![
        Column::text("ACCOUNT", ACCOUNT_NAME),
        Column::number(RATE, 7),
        Column::number(TOTAL, 7),
    ];
    let texts = |row: Row| vec![row.name, rate(row.per_second), count(row.total)];
    let listing = Listing { place: Place::Accounts, columns, texts: &texts };
    listing.draw(frame, area, view, wishes, theme);
}

fn languages(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View<'_>,
    wishes: &mut Wishes,
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
    let listing = Listing { place: Place::Languages, columns, texts: &texts };
    listing.draw(frame, area, view, wishes, theme);
}

/// The filter that is being written, or the latest log line.
fn draw_told(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View<'_>,
    wishes: &mut Wishes,
    theme: &Theme,
) {
    let columns = usize::from(area.width);
    let at = (area.x, area.y);
    if wishes.writing.is_some() {
        let text = format!("filter: {}_", wishes.aspect().filter);
        put(frame.buffer_mut(), at, &text, columns, Style::new().add_modifier(Modifier::BOLD));
    } else if let Some(told) = view.told {
        put(frame.buffer_mut(), at, &printable(told.as_bytes(), columns), columns, theme.trouble);
    }
}

#[cfg(test)]
#[path = "draw/tests.rs"]
mod tests;
