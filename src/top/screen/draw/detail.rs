//! The latest events of one collection or account.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};

use super::ScreenData;
use crate::display::printable::{one_line, printable};
use crate::display::units::{bytes, count, rate};
use crate::event::header::Operation;
use crate::render::summary::EventSummary;
use crate::top::aggregate::{OPERATIONS, Row, RowQuery};
use crate::top::latest::KeptEvent;
use crate::top::screen::keys::{DetailState, TableKind};
use crate::top::screen::table::{Column, TableView, draw as draw_table, write_text};
use crate::top::screen::theme::Theme;

/// Width from which on DIDs and collections are shown whole.
const WIDE: u16 = 120;
/// The most characters of an event's text.
const MAX_TEXT: usize = 400;
/// The most characters of a name.
const MAX_NAME: usize = 400;

/// Draws the view, and records its size in `detail`.
pub fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    detail: &mut DetailState,
    theme: &Theme,
) {
    let [title, figures, _, events] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
    ])
    .areas(area);
    draw_title(frame, title, data, detail);
    draw_figures(frame, figures, data, detail, theme);
    draw_events(frame, events, data, detail, theme);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, data: &ScreenData<'_>, detail: &DetailState) {
    let (word, handle) = match detail.kind {
        TableKind::Accounts => ("ACCOUNT", data.latest.handle(&detail.name)),
        _ => ("COLLECTION", None),
    };
    let bold = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
    let room = usize::from(area.width);
    let buffer = frame.buffer_mut();
    let used = write_text(buffer, (area.x, area.y), word, room, bold) + 1;
    let mut name = printable(detail.name.as_bytes(), MAX_NAME);
    if let Some(handle) = handle {
        name += &format!("  @{}", printable(handle.as_bytes(), MAX_NAME));
    }
    let room = room.saturating_sub(usize::from(used));
    write_text(buffer, (area.x + used, area.y), &name, room, Style::new());
}

/// Draws the rate, the total, the operations and the bars.
fn draw_figures(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    detail: &DetailState,
    theme: &Theme,
) {
    let query = RowQuery { filter: &detail.name, ..RowQuery::default() };
    let of_table = match detail.kind {
        TableKind::Accounts => data.aggregate.accounts(data.at, query, usize::MAX),
        _ => data.aggregate.collections(data.at, query, usize::MAX),
    };
    let row = of_table.0.into_iter().find(|row| row.name == detail.name);
    let Row { per_second, total, series, .. } = row.unwrap_or_default();
    let mut text = format!("{}  {} in all", rate(per_second), count(total));
    let totals = data.aggregate.collection_totals();
    if detail.kind == TableKind::Collections
        && let Some((_, counts)) = totals.iter().find(|(name, _)| *name == detail.name)
    {
        let counts = OPERATIONS.map(Operation::word).into_iter().zip(counts);
        for (word, n) in counts.filter(|(_, n)| **n > 0) {
            text += &format!("  {} {word}", count(*n));
        }
    }
    let room = usize::from(area.width);
    let buffer = frame.buffer_mut();
    let used = write_text(buffer, (area.x, area.y), &text, room, Style::new()) + 2;
    let bars = room.saturating_sub(usize::from(used)).min(60);
    let bars = theme.characters.draw(&series, bars);
    write_text(buffer, (area.x + used, area.y), &bars, room, theme.bars);
}

fn draw_events(
    frame: &mut Frame<'_>,
    area: Rect,
    data: &ScreenData<'_>,
    detail: &mut DetailState,
    theme: &Theme,
) {
    let is_account = detail.kind == TableKind::Accounts;
    let name = detail.name.clone();
    let events: Vec<&KeptEvent> = match is_account {
        true => data.latest.of_account(&name).rev().collect(),
        false => data.latest.of_collection(&name).rev().collect(),
    };
    let fit = usize::from(area.height.saturating_sub(1));
    detail.rows = (events.len(), fit);
    detail.scroll = detail.scroll.min(events.len().saturating_sub(fit));
    let is_wide = area.width >= WIDE;
    let other = match (is_account, is_wide) {
        (true, true) => 40,
        (true, false) => 22,
        (false, true) => 32,
        (false, false) => 20,
    };
    let columns = [
        Column::text("TIME UTC", Constraint::Length(8)),
        Column::text("ACTION", Constraint::Length(8)),
        Column::text(if is_account { "COLLECTION" } else { "ACCOUNT" }, Constraint::Length(other)),
        Column::text("EVENT", Constraint::Fill(1)),
    ];
    let shown = events.into_iter().skip(detail.scroll).take(fit);
    let rows = shown.map(|event| cells(event, data, is_account)).collect();
    let suffix = String::new();
    let view =
        TableView { columns: &columns, suffix, rows, selected_row: None, is_selected: false };
    draw_table(frame, area, theme, &view);
}

fn cells(event: &KeptEvent, data: &ScreenData<'_>, is_account: bool) -> Vec<String> {
    let line = match event {
        KeptEvent::Line(line) => line,
        KeptEvent::TooLong(length) => {
            let text = format!("(an event of {}, too long to be kept)", bytes(*length as u64));
            return vec![String::new(), String::new(), String::new(), text];
        }
    };
    let Some(summary) = EventSummary::of_line(line) else {
        let text = "(an event that can't be parsed)".to_owned();
        return vec![String::new(), String::new(), String::new(), text];
    };
    let EventSummary { time, action, collection, did, text } = summary;
    let other = match is_account {
        true => collection,
        false => data.latest.handle(&did).map_or(did, str::to_owned),
    };
    vec![time, action, other, one_line(text.as_bytes(), MAX_TEXT)]
}
