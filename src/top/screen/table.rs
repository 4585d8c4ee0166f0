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
    /// The mark of the direction, if rows are sorted by this column.
    pub sorted: Option<char>,
}

impl<'a> Column<'a> {
    /// Creates a text column.
    pub const fn text(title: &'a str, width: Constraint) -> Self {
        Self { title, width, is_number: false, sorted: None }
    }

    /// Creates a number column.
    pub const fn number(title: &'a str, columns: u16) -> Self {
        Self { title, width: Constraint::Length(columns), is_number: true, sorted: None }
    }

    /// Sets the mark of the direction.
    pub const fn sorted(self, sorted: Option<char>) -> Self {
        Self { sorted, ..self }
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
    /// The number of the selected row.
    pub selected_row: Option<usize>,
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
        let mark = column.sorted.map(String::from).unwrap_or_default();
        cell(format!("{}{mark}{suffix}", column.title), column).style(style)
    });
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let rows = shown.rows.iter().enumerate().map(|(i, row)| {
        let style = if shown.selected_row == Some(i) { reversed } else { Style::new() };
        Row::new(row.iter().zip(shown.columns).map(|(text, column)| {
            let cell = cell(printable(text.as_bytes(), MAX_NAME), column);
            let is_bars = column.title.starts_with("LAST") && column.title != "LATEST EVENT";
            if is_bars { cell.style(theme.bars) } else { cell }
        }))
        .style(style)
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
