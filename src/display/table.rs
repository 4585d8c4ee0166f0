//! Text tables with aligned columns.

use std::fmt;

use super::printable::is_harmless;

/// The space between two columns.
const GAP: &str = "  ";

/// Rows below a line of titles.
#[derive(Clone, Debug)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// Creates a table with these titles.
    #[must_use]
    pub fn new(titles: [&str; COLUMNS]) -> Self {
        Self { rows: vec![titles.map(str::to_owned)] }
    }

    /// Adds a row. Characters that would break the line or control the terminal are escaped; an
    /// empty cell becomes `-`.
    pub fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(
            cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { escape_cell(&cell) }),
        );
    }
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// Returns the width of each column, in characters.
    #[must_use]
    pub fn widths(&self) -> [usize; COLUMNS] {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    /// Returns the width of the table, in characters.
    #[must_use]
    pub fn width(&self) -> usize {
        self.widths().iter().sum::<usize>() + GAP.len() * COLUMNS.saturating_sub(1)
    }
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// Returns the table for a screen of `columns`, `None` if any width will do. If it is too wide,
    /// it loses the first of the `dispensable` columns, then the next, until it fits or has lost
    /// all of them.
    #[must_use]
    pub fn fitted(&self, columns: Option<usize>, dispensable: &[usize]) -> String {
        let widths = self.widths();
        let mut width = self.width();
        let mut lost = 0;
        for &column in dispensable {
            if columns.is_none_or(|columns| width <= columns) {
                break;
            }
            width -= widths.get(column).map_or(0, |width| width + GAP.len());
            lost += 1;
        }
        let hidden = dispensable.get(..lost).unwrap_or_default();
        self.rows.iter().map(|row| line(row, &widths, hidden)).collect()
    }
}

/// Returns the line of a row, with a line break and without trailing blanks.
fn line(row: &[String], widths: &[usize], hidden: &[usize]) -> String {
    let shown = row.iter().zip(widths).enumerate().filter(|(i, _)| !hidden.contains(i));
    let padded = shown.map(|(_, (cell, &width))| format!("{cell:width$}"));
    let line = padded.collect::<Vec<_>>().join(GAP);
    format!("{}\n", line.trim_end())
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    /// Writes one line per row, with a line break and without trailing blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fitted(None, &[]))
    }
}

/// Shortens a text to at most `max` characters, with `…` in place of the middle: the end of an
/// NSID or of a host says more than its middle.
#[must_use]
pub fn shortened(text: &str, max: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= max {
        return text.to_owned();
    }
    let front = max.saturating_sub(1) / 2;
    let back = max.saturating_sub(1) - front;
    let end = characters.len() - back;
    characters.iter().take(front).chain(&['…']).chain(characters.iter().skip(end)).collect()
}

/// Escapes control characters and characters that reorder or hide text.
#[must_use]
pub fn escape_cell(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) { shown.push(c) } else { shown.extend(c.escape_default()) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_screen_loses_the_dispensable_columns_in_their_order() {
        let mut table = Table::new(["ONE", "TWO", "THREE"]);
        table.row(["1".to_owned(), "2".to_owned(), "3".to_owned()]);
        let all = "ONE  TWO  THREE\n1    2    3\n";
        assert_eq!(table.fitted(None, &[1]), all);
        assert_eq!(table.fitted(Some(15), &[1]), all);
        assert_eq!(table.fitted(Some(14), &[1, 2]), "ONE  THREE\n1    3\n");
        assert_eq!(table.fitted(Some(9), &[1, 2]), "ONE\n1\n");
        assert_eq!(table.fitted(Some(1), &[1]), "ONE  THREE\n1    3\n");
    }

    #[test]
    fn columns_line_up_for_any_content() {
        let mut table = Table::new(["NAME", "SERVER", "AGE"]);
        table.row(["posts".to_owned(), "example.com".to_owned(), "3m 12s".to_owned()]);
        table.row(["größe".to_owned(), String::new(), String::new()]);
        table.row(["a\nb\u{1b}[2J\u{202e}".to_owned(), "x".to_owned(), "1s".to_owned()]);
        insta::assert_snapshot!(table.to_string(), @r#"
        NAME                   SERVER       AGE
        posts                  example.com  3m 12s
        größe                  -            -
        a\nb\u{1b}[2J\u{202e}  x            1s
        "#);
    }
}
