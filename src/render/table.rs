//! Writes tables: CSV with the quoting of RFC 4180, or TSV with the escapes of jq's `@tsv`. Lines
//! end with a line feed, like all output, and not with RFC 4180's CRLF.

use std::cell::{Cell, RefCell};

use jaq_json::Val;

use super::fields::Field;
use super::json::{self, Style, WriteError};
use crate::display::printable::escape_for_terminal;

/// The separator of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// A comma: CSV.
    Comma,
    /// A tab: TSV.
    Tab,
}

/// A table's columns and options, and which fields have occurred.
#[derive(Clone, Debug)]
pub struct Table {
    fields: Vec<Field>,
    delimiter: Delimiter,
    /// Whether cells that a spreadsheet could take for a formula are marked as text.
    is_safe: bool,
    /// Whether control characters are escaped.
    is_terminal: bool,
    /// The indexes of the fields that no row has had yet.
    missing: RefCell<Vec<usize>>,
    rows: Cell<u64>,
}

impl Table {
    /// Returns a table with these columns and without rows.
    pub fn new(fields: Vec<Field>, delimiter: Delimiter, is_safe: bool, is_terminal: bool) -> Self {
        let missing = RefCell::new((0..fields.len()).collect());
        Self { fields, delimiter, is_safe, is_terminal, missing, rows: Cell::new(0) }
    }

    /// Returns the number of rows, and the names of the fields that none of them had.
    pub fn missing_fields(&self) -> (u64, Vec<&str>) {
        let missing = self.missing.borrow();
        let fields = missing.iter().filter_map(|at| self.fields.get(*at));
        (self.rows.get(), fields.map(|field| field.name.as_str()).collect())
    }

    /// Fails unless `value` can be a row.
    fn check(&self, value: &Val) -> Result<(), WriteError> {
        match value {
            Val::Obj(_) => Ok(()),
            Val::Arr(_) if self.fields.iter().any(Field::is_index) => Ok(()),
            Val::Arr(_) => Err(WriteError::NoRow("an array")),
            Val::TStr(_) | Val::BStr(_) => Err(WriteError::NoRow("a string")),
            Val::Num(_) => Err(WriteError::NoRow("a number")),
            Val::Bool(_) => Err(WriteError::NoRow("a boolean")),
            Val::Null => Err(WriteError::NoRow("null")),
        }
    }

    /// Returns the header row: the names of the columns.
    pub fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_row(&mut out, self.fields.iter().map(|field| field.name.as_bytes()));
        out
    }

    /// Appends `value` as a row. The output of the current event begins at `from`.
    pub fn write(&self, value: &Val, out: &mut Vec<u8>, from: usize) -> Result<(), WriteError> {
        self.check(value)?;
        let (mut text, mut ends) = (Vec::new(), Vec::with_capacity(self.fields.len()));
        for field in &self.fields {
            let start = text.len();
            write_cell(&mut text, field.get(value))?;
            if self.is_safe && matches!(field.get(value), Some(Val::TStr(_) | Val::BStr(_))) {
                make_safe(&mut text, start);
            }
            ends.push(text.len());
            json::check_length(out.len() - from + text.len())?;
        }
        self.rows.set(self.rows.get() + 1);
        let mut missing = self.missing.borrow_mut();
        if !missing.is_empty() {
            let is_missing = |field: &Field| field.get(value).is_none();
            missing.retain(|at| self.fields.get(*at).is_some_and(is_missing));
        }
        let mut start = 0;
        let cells = ends.iter().map(|end| {
            let cell = text.get(start..*end).unwrap_or_default();
            start = *end;
            cell
        });
        self.write_row(out, cells);
        Ok(())
    }

    fn write_row<'c>(&self, out: &mut Vec<u8>, cells: impl Iterator<Item = &'c [u8]>) {
        if !self.is_terminal {
            return self.separate(out, cells);
        }
        // The delimiters don't act on a terminal; line feeds and tabs are not escaped.
        let mut row = Vec::new();
        self.separate(&mut row, cells);
        escape_for_terminal(out, &row);
    }

    fn separate<'c>(&self, out: &mut Vec<u8>, cells: impl Iterator<Item = &'c [u8]>) {
        if self.delimiter == Delimiter::Comma {
            let mut writer = csv::WriterBuilder::new().buffer_capacity(1024).from_writer(out);
            // Writing to memory can't fail, and one row can't have a wrong length.
            let _ = writer.write_record(cells);
            let _ = writer.flush();
            return;
        }
        for (i, cell) in cells.enumerate() {
            if i > 0 {
                out.push(b'\t');
            }
            escape_tab(out, cell);
        }
        out.push(b'\n');
    }
}

/// Puts a `'` before the text from `start` on if a spreadsheet could take it for a formula, as
/// spreadsheets do themselves. Some programs skip blanks before a formula, accept the full-width
/// forms of its signs, or end a cell at a NUL.
fn make_safe(text: &mut Vec<u8>, start: usize) {
    let cell = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
    let skipped = |c: char| c.is_whitespace() || matches!(c, '\0' | '\u{feff}' | '\u{200b}');
    let is_sign = |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    let begins_with_control = cell.starts_with(['\t', '\r', '\n', '\0']);
    if begins_with_control || cell.trim_start_matches(skipped).starts_with(is_sign) {
        text.insert(start, b'\'');
    }
    if let Some(at) = text.iter().skip(start).position(|byte| *byte == 0) {
        let rest = text.split_off(start + at);
        text.extend_from_slice(String::from_utf8_lossy(&rest).replace('\0', "\u{fffd}").as_bytes());
    }
}

/// Appends a cell: a string's text, nothing for a missing value or null, JSON for other values.
pub fn write_cell(cell: &mut Vec<u8>, value: Option<&Val>) -> Result<(), WriteError> {
    match value {
        None | Some(Val::Null) => Ok(()),
        Some(Val::TStr(text)) => {
            cell.extend_from_slice(text);
            Ok(())
        }
        Some(value) => {
            let from = cell.len();
            json::write(cell, value, Style::default(), from)
        }
    }
}

/// Appends `text` as jq's `@tsv` escapes it.
pub fn escape_tab(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            byte => out.push(*byte),
        }
    }
}
