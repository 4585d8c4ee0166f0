//! Rows of a table: CSV as RFC 4180 quotes it, or TSV as jq's `@tsv` escapes it. Lines end with
//! one line feed, as everything else that is printed.

use jaq_json::Val;

use super::fields::Field;
use super::json::{self, Style, WriteError};

/// The columns, and how they are told apart.
#[derive(Clone, Debug)]
pub struct Table {
    fields: Vec<Field>,
    is_csv: bool,
}

impl Table {
    /// With commas.
    pub fn csv(fields: Vec<Field>) -> Self {
        Self { fields, is_csv: true }
    }

    /// With tabs.
    pub fn tsv(fields: Vec<Field>) -> Self {
        Self { fields, is_csv: false }
    }

    /// The names of the columns.
    pub fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut row = Row::new(&mut out, self.is_csv);
        self.fields.iter().for_each(|field| row.add(field.name.as_bytes()));
        row.end();
        out
    }

    /// Appends one row.
    pub fn write(&self, value: &Val, out: &mut Vec<u8>, from: usize) -> Result<(), WriteError> {
        let mut cell = Vec::new();
        let used = out.len() - from;
        let mut row = Row::new(out, self.is_csv);
        for field in &self.fields {
            cell.clear();
            write_cell(&mut cell, field.of(value))?;
            row.bytes += cell.len();
            json::check_length(used + row.bytes)?;
            row.add(&cell);
        }
        row.end();
        Ok(())
    }
}

/// Appends the text of a cell: nothing for what is missing or null, JSON for what has parts.
pub fn write_cell(cell: &mut Vec<u8>, value: Option<&Val>) -> Result<(), WriteError> {
    match value {
        None | Some(Val::Null) => Ok(()),
        Some(Val::TStr(text)) => {
            cell.extend_from_slice(text);
            Ok(())
        }
        Some(value) => json::write(cell, value, Style::default(), 0),
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

/// A row that is being written.
struct Row<'o> {
    kind: Kind<'o>,
    bytes: usize,
}

enum Kind<'o> {
    Csv(csv::Writer<&'o mut Vec<u8>>),
    Tsv { out: &'o mut Vec<u8>, is_first: bool },
}

impl<'o> Row<'o> {
    fn new(out: &'o mut Vec<u8>, is_csv: bool) -> Self {
        let kind = match is_csv {
            true => Kind::Csv(csv::WriterBuilder::new().buffer_capacity(1024).from_writer(out)),
            false => Kind::Tsv { out, is_first: true },
        };
        Self { kind, bytes: 0 }
    }

    fn add(&mut self, cell: &[u8]) {
        match &mut self.kind {
            // Memory takes everything, and rows can't differ in length: one is all there is.
            Kind::Csv(writer) => drop(writer.write_field(cell)),
            Kind::Tsv { out, is_first } => {
                if !std::mem::take(is_first) {
                    out.push(b'\t');
                }
                escape_tab(out, cell);
            }
        }
    }

    fn end(self) {
        match self.kind {
            Kind::Csv(mut writer) => {
                let _ = writer.write_record(None::<&[u8]>);
                let _ = writer.flush();
            }
            Kind::Tsv { out, .. } => out.push(b'\n'),
        }
    }
}
