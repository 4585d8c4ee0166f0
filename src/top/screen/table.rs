//! Rows under titles, cut to the columns that there are. Knows no keys.

use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Text;
use ratatui::widgets::{Cell, Row, Table};
use ratatui::{Frame, buffer::Buffer};

use super::theme::Theme;
use crate::display::printable::printable;

/// Columns between two columns.
const GAP: u16 = 2;
/// Longest name, in characters: no NSID or DID is longer than that.
const LONGEST_NAME: usize = 400;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// Its title.
    pub title: &'a str,
    /// How wide.
    pub width: Constraint,
    /// Whether it holds numbers.
    pub is_number: bool,
    /// Whether the rows are in its order.
    pub is_sorted: bool,
}

impl<'a> Column<'a> {
    /// One of text.
    pub const fn text(title: &'a str, width: Constraint) -> Self {
        Self { title, width, is_number: false, is_sorted: false }
    }

    /// One of numbers.
    pub const fn number(title: &'a str, columns: u16) -> Self {
        Self { title, width: Constraint::Length(columns), is_number: true, is_sorted: false }
    }

    /// The same, in whose order the rows are or are not.
    pub const fn sorted(self, is_sorted: bool) -> Self {
        Self { is_sorted, ..self }
    }
}

/// A table in its place.
pub struct TableView<'a> {
    /// Its columns.
    pub columns: &'a [Column<'a>],
    /// What is said of it behind its first title.
    pub suffix: String,
    /// Its rows, a text for each column.
    pub rows: Vec<Vec<String>>,
    /// Whether the keys are for it.
    pub is_selected: bool,
}

/// Draws it.
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
            let cell = cell(printable(text.as_bytes(), LONGEST_NAME), column);
            if column.title.starts_with("LAST") { cell.style(theme.bars) } else { cell }
        }))
    });
    let widths = shown.columns.iter().map(|column| column.width);
    let table = Table::new(rows, widths).header(Row::new(titles)).column_spacing(GAP);
    frame.render_widget(table, area);
}

/// Writes a text at a place, cut to `columns`; gives the columns that it took.
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
