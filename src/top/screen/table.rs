//! Tables, truncated to the available columns.

use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Text;
use ratatui::widgets::{Cell, Row, Table};
use ratatui::{Frame, buffer::Buffer};

use super::theme::Theme;
use crate::display::printable::printable;

/// Space between two columns.
const GAP: u16 = 2;
/// Maximum length of a cell, in characters: longer than any NSID or DID.
const MAX_NAME: usize = 400;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// The title.
    pub title: &'a str,
    /// The width.
    pub width: Constraint,
    /// Whether cells are numbers, which are right-aligned.
    pub is_number: bool,
    /// Whether rows are sorted by this column.
    pub is_sorted: bool,
}

impl<'a> Column<'a> {
    /// Creates a text column.
    pub const fn text(title: &'a str, width: Constraint) -> Self {
        Self { title, width, is_number: false, is_sorted: false }
    }

    /// Creates a number column.
    pub const fn number(title: &'a str, columns: u16) -> Self {
        Self { title, width: Constraint::Length(columns), is_number: true, is_sorted: false }
    }

    /// Sets whether rows are sorted by this column.
    pub const fn sorted(self, is_sorted: bool) -> Self {
        Self { is_sorted, ..self }
    }
}

/// The content of a table.
pub struct TableView<'a> {
    /// The columns.
    pub columns: &'a [Column<'a>],
    /// Text after the first title.
    pub suffix: String,
    /// The rows, with one text per column.
    pub rows: Vec<Vec<String>>,
    /// Whether the table is selected.
    pub is_selected: bool,
}

/// Draws a table.
pub fn draw(frame: &mut Frame<'_>, area: Rect, theme: &Theme, shown: &TableView<'_>) {
    let cell = |text: String, column: &Column<'_>| {
        let text = Text::raw(text);
        Cell::from(if column.is_number { text.right_aligned() } else { text })
    };
    let titles = shown.columns.iter().enumerate().map(|(i, column)| {
        let suffix = if i == 0 { shown.suffix.as_str() } else { "" };
        let mut style = Style::new().add_modifier(Modifier::BOLD);
        if i == 0 && shown.is_selected {
            style = style.add_modifier(Modifier::REVERSED);
        }
        if column.is_sorted {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        cell(format!("{}{suffix}", column.title), column).style(style)
    });
    let rows = shown.rows.iter().map(|row| {
        Row::new(row.iter().zip(shown.columns).map(|(text, column)| {
            let cell = cell(printable(text.as_bytes(), MAX_NAME), column);
            if column.title.starts_with("LAST") { cell.style(theme.bars) } else { cell }
        }))
    });
    let widths = shown.columns.iter().map(|column| column.width);
    let table = Table::new(rows, widths).header(Row::new(titles)).column_spacing(GAP);
    frame.render_widget(table, area);
}

/// Writes text at a position, truncated to `columns`; returns the number of columns used.
pub fn write_text(
    buffer: &mut Buffer,
    at: (u16, u16),
    text: &str,
    columns: usize,
    style: Style,
) -> u16 {
    let (x, y) = at;
    if !buffer.area.contains((x, y).into()) {
        return 0;
    }
    let (end, _) = buffer.set_stringn(x, y, text, columns, style);
    end.saturating_sub(x)
}
