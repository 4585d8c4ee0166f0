//! Draws the screen from the collected data and the view state. Reads no clock.

mod detail;
mod help;
mod tables;

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Clear;

use super::keys::ViewState;
use super::table::write_text;
use super::theme::Theme;
use crate::display::printable::printable;
use crate::display::units::{bytes, count, counted, duration, rate};
use crate::top::aggregate::Aggregate;
use crate::top::latest::LatestEvents;

/// Minimum width of the terminal, in columns.
pub const MIN_COLUMNS: u16 = 60;
/// Minimum height of the terminal, in lines.
pub const MIN_LINES: u16 = 20;
/// Width from which on a screen also names itself and all keys.
const USUAL_COLUMNS: u16 = 80;

/// Help text for the keys, in the last line: what fits, the most important first.
const KEYS: [&str; 8] =
    ["q quit", "? help", "Enter events", "Tab table", "s sort", "r reverse", "/ filter", "p pause"];
const MORE_KEYS: [&str; 3] = ["o operation", "z enlarge", "j k select a row"];
const KEYS_EDITING: [&str; 2] = ["Enter apply", "Esc cancel"];
const KEYS_DETAIL: [&str; 5] = ["Esc back", "q quit", "? help", "p pause", "j k scroll"];
const KEYS_HELP: [&str; 1] = ["any key closes the help"];

/// The data to draw.
#[derive(Debug)]
pub struct ScreenData<'a> {
    /// Counts of the stream.
    pub aggregate: &'a Aggregate,
    /// Its latest events.
    pub latest: &'a LatestEvents,
    /// Events that were received again and are not counted.
    pub duplicates: u64,
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
    let known = draw_view(frame, body, data, state, theme);
    draw_log_line(frame, log_line, data, state, theme);
    draw_keys(frame, keys, &known);
}

/// Draws the view that the user has chosen, and returns its keys.
fn draw_view(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    state: &mut ViewState,
    theme: &Theme,
) -> Vec<&'static str> {
    if state.is_help {
        help::draw(frame, area, data);
        return KEYS_HELP.to_vec();
    }
    if let Some(detail) = &mut state.detail {
        detail::draw(frame, area, data, detail, theme);
        return KEYS_DETAIL.to_vec();
    }
    tables::draw(frame, area, data, state, theme);
    if std::mem::take(&mut state.opens_detail) {
        state.open_detail();
        // Only if a table has no rows, its row has no name.
        state.opens_detail = false;
        if state.detail.is_some() {
            frame.render_widget(Clear, area);
            return draw_view(frame, area, data, state, theme);
        }
    }
    match state.editing {
        Some(_) => KEYS_EDITING.to_vec(),
        None => [&KEYS[..], &MORE_KEYS].concat(),
    }
}

/// Writes as many keys as fit the line.
fn draw_keys(frame: &mut Frame<'_>, area: Rect, keys: &[&str]) {
    let mut text = String::new();
    for key in keys {
        let gap = if text.is_empty() { "" } else { "  " };
        if text.len() + gap.len() + key.len() <= usize::from(area.width) {
            text += gap;
            text += key;
        }
    }
    write_text(frame.buffer_mut(), (area.x, area.y), &text, usize::from(area.width), Style::new());
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
    let name = if area.width < USUAL_COLUMNS { "" } else { "skytail top" };
    let others = [name, pause, data.status_text, data.alert];
    let others: usize = others.iter().map(|part| part.chars().count() + 2).sum();
    let has_room = others + numbered.chars().count() <= room;
    let server = if has_room { &*numbered } else { data.server };
    let parts = [
        (name, Style::new().add_modifier(Modifier::BOLD)),
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

/// Draws events and bytes per second, and duplicates if there are any.
fn draw_flow(frame: &mut Frame<'_>, area: Rect, data: &ScreenData<'_>, theme: &Theme) {
    let (events, size) = (data.aggregate.events(data.at), data.aggregate.bytes(data.at));
    let speed = format!("{}/s", bytes(size.per_second as u64));
    let duplicates = match data.duplicates {
        0 => String::new(),
        duplicates => format!(", {}", counted(duplicates, "duplicate")),
    };
    let lines = [
        (
            "events",
            rate(events.per_second),
            format!("{} in all{duplicates}", count(events.total)),
            &events,
        ),
        ("bytes", speed, format!("{} in all", bytes(size.total)), &size),
    ];
    let longest = lines.iter().map(|(_, _, total, _)| total.len()).max().unwrap_or(0);
    let bars = usize::from(area.width).saturating_sub(21 + 2 + longest.max(26)).clamp(8, 60);
    for ((name, speed, total, row), y) in lines.iter().zip(area.y..) {
        let buffer = frame.buffer_mut();
        write_text(buffer, (area.x, y), &format!("{name:<7}{speed:>12}  "), 21, Style::new());
        let shown = theme.characters.draw(&row.series, bars);
        write_text(buffer, (area.x + 21, y), &shown, bars, theme.bars);
        let x = 23 + bars as u16;
        let room = usize::from(area.width.saturating_sub(x));
        write_text(buffer, (area.x + x, y), total, room, Style::new());
    }
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
