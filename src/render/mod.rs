//! Renders events: `--jq` transforms each one, and `--format` writes the results. One event in,
//! its output bytes out, without any I/O.
//!
//! A run that uses neither option and does not print to a terminal has no [`Renderer`], so that its
//! events are not parsed here.

pub mod fields;
pub mod jq;
pub mod json;
pub mod palette;
mod parse;
pub mod summary;
mod table;
mod text;
mod text_width;

use std::sync::Arc;

use jaq_json::Val;

use crate::display::printable::escape_for_terminal;
use fields::Field;
use jq::Program;
use json::{Style, WriteError};
use palette::Palette;
use table::{Delimiter, Table};

/// The most output bytes per event.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The most outputs per event of a `--jq` expression.
pub const MOST_OUTPUTS: u64 = 100_000;

/// How to render events.
#[derive(Clone, Debug)]
pub struct RenderConfig {
    /// The expression of `--jq`.
    pub program: Option<Arc<Program>>,
    /// The format of `--format`.
    pub format: OutputFormat,
    /// Whether to write strings without quotes and escapes (`--raw-output`).
    pub raw_strings: bool,
    /// Whether to mark cells that a spreadsheet could take for a formula (`--csv-safe`).
    pub safe_cells: bool,
}

/// An output format, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// JSON, one value per line.
    Ndjson,
    /// JSON with line breaks and indentation.
    Pretty,
    /// One line for people.
    Text,
    /// Comma-separated values as in RFC 4180, with these columns.
    Csv(Vec<Field>),
    /// Tab-separated values, with these columns.
    Tsv(Vec<Field>),
}

/// The properties of the output that rendering depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputDevice {
    /// Whether to use colours.
    pub colour: bool,
    /// Whether the output is a terminal. If so, control characters are escaped, and lines of text
    /// format are cut to its width.
    pub is_terminal: bool,
}

/// Why an event was not rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The event is not JSON, or is nested too deeply.
    #[error("the event can't be parsed: {0}")]
    Unreadable(String),
    /// The expression failed with this error.
    #[error("{0}")]
    Failed(String),
    /// The expression exceeded its step limit.
    #[error("more than {} steps on one event", jq::MOST_STEPS)]
    TooManySteps,
    /// The expression exceeded its stack limit.
    #[error("the expression calls itself too deeply")]
    TooDeep,
    /// The expression called `halt`.
    #[error("halt can't end a run: use --limit, --until or error")]
    Halt,
    /// The expression had too many outputs.
    #[error("more than {MOST_OUTPUTS} outputs of one event")]
    TooManyOutputs,
    /// A database takes one object per record.
    #[error("a database takes one object or none for each record, and this is {0}")]
    NoRecord(&'static str),
    /// An output can't be written in the format.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Renders events.
#[derive(Debug)]
pub struct Renderer {
    program: Option<Arc<Program>>,
    layout: Layout,
    /// The colours of JSON; `None` for none.
    palette: Option<Palette>,
}

#[derive(Debug)]
enum Layout {
    /// Unparsed events.
    Lines {
        /// Whether to escape characters that could act on a terminal.
        printable: bool,
    },
    Json {
        style: Style,
        raw_strings: bool,
    },
    Text(text::TextLayout),
    Table(Table),
}

impl Renderer {
    /// Returns a renderer for an output with these properties.
    #[must_use]
    pub fn new(config: &RenderConfig, device: OutputDevice) -> Self {
        let json = |indent| Layout::Json {
            style: Style { indent, printable: device.is_terminal },
            raw_strings: config.raw_strings,
        };
        let table = |fields: &Vec<Field>, delimiter| {
            Layout::Table(Table::new(
                fields.clone(),
                delimiter,
                config.safe_cells,
                device.is_terminal,
            ))
        };
        let layout = match &config.format {
            OutputFormat::Ndjson => json(false),
            OutputFormat::Pretty => json(true),
            OutputFormat::Text => Layout::Text(text::TextLayout::new(device)),
            OutputFormat::Csv(fields) => table(fields, Delimiter::Comma),
            OutputFormat::Tsv(fields) => table(fields, Delimiter::Tab),
        };
        let palette = device.colour.then(Palette::default);
        Self { program: config.program.clone(), layout, palette }
    }

    /// Returns a renderer that leaves events as they came, except that it escapes characters that
    /// could act on a terminal, and adds colours.
    #[must_use]
    pub fn passthrough(device: OutputDevice) -> Self {
        let layout = Layout::Lines { printable: device.is_terminal };
        Self { program: None, layout, palette: device.colour.then(Palette::default) }
    }

    /// Sets the colours of JSON, if colours are used.
    #[must_use]
    pub fn with_palette(mut self, palette: Palette) -> Self {
        self.palette = self.palette.map(|_| palette);
        self
    }

    /// Returns whether there is a `--jq` expression, so that errors are its errors.
    #[must_use]
    pub fn has_program(&self) -> bool {
        self.program.is_some()
    }

    /// Returns the number of table rows so far, and the names of the fields that no row had.
    #[must_use]
    pub fn missing_fields(&self) -> (u64, Vec<&str>) {
        match &self.layout {
            Layout::Table(table) => table.missing_fields(),
            Layout::Lines { .. } | Layout::Json { .. } | Layout::Text(_) => (0, Vec::new()),
        }
    }

    /// Returns the table's header row; empty for other formats.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        match &self.layout {
            Layout::Table(table) => table.header(),
            Layout::Lines { .. } | Layout::Json { .. } | Layout::Text(_) => Vec::new(),
        }
    }

    /// Reads the terminal's width again, because the user may have resized it.
    pub fn refresh_width(&mut self) {
        if let Layout::Text(layout) = &mut self.layout {
            layout.refresh_width();
        }
    }

    /// Appends the rendered event, with line feeds, to `out`, and returns the number of outputs.
    ///
    /// # Errors
    /// [`RenderError`]; `out` is then unchanged.
    pub fn render(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<u64, RenderError> {
        let from = out.len();
        let rendered = self.try_render(event, out);
        if rendered.is_err() {
            out.truncate(from);
        }
        rendered
    }

    fn try_render(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<u64, RenderError> {
        let (from, layout, palette) = (out.len(), &self.layout, self.palette.as_ref());
        if let Layout::Lines { printable } = layout {
            match printable {
                true => escape_for_terminal(out, event),
                false => out.extend_from_slice(event),
            }
            paint(palette, out, from);
            out.push(b'\n');
            return Ok(1);
        }
        if let Some(member) = self.program.as_ref().and_then(|program| program.member(event)) {
            if palette.is_none() && layout.write_plain_string(member, out) {
                json::check_length(out.len() - from)?;
                return Ok(1);
            }
            layout.write(&parse::parse(member.as_bytes())?, out, from, palette)?;
            return Ok(1);
        }
        let event = parse::parse(event)?;
        let Some(program) = &self.program else {
            layout.write(&event, out, from, palette)?;
            return Ok(1);
        };
        let mut outputs = 0;
        program.run(event, |output| {
            outputs += 1;
            if outputs > MOST_OUTPUTS {
                return Err(RenderError::TooManyOutputs);
            }
            layout.write(&output, out, from, palette).map_err(RenderError::from)
        })?;
        Ok(outputs)
    }
}

impl Layout {
    /// Appends the JSON text of a string as it is, if it is one that is written without a change: of
    /// printable ASCII without escapes. Returns whether it was.
    fn write_plain_string(&self, json: &str, out: &mut Vec<u8>) -> bool {
        let Self::Json { raw_strings, .. } = self else { return false };
        let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'\\';
        // A loop without an early end uses vectors.
        let Some(inner) =
            inner.filter(|inner| inner.bytes().fold(true, |plain, byte| plain & is_plain(byte)))
        else {
            return false;
        };
        out.extend_from_slice(if *raw_strings { inner } else { json }.as_bytes());
        out.push(b'\n');
        true
    }

    /// Appends one value. The output of the current event begins at `from`.
    fn write(
        &self,
        value: &Val,
        out: &mut Vec<u8>,
        from: usize,
        palette: Option<&Palette>,
    ) -> Result<(), WriteError> {
        match (self, value) {
            (Self::Json { raw_strings: true, style }, Val::TStr(text)) => {
                json::check_length(out.len() + text.len() - from)?;
                match style.printable {
                    true => escape_for_terminal(out, text),
                    false => out.extend_from_slice(text),
                }
                out.push(b'\n');
            }
            // `try_render` writes these without parsing them.
            (Self::Lines { .. }, _) => {}
            (Self::Json { style, .. }, value) => {
                let start = out.len();
                json::write(out, value, *style, from)?;
                paint(palette, out, start);
                out.push(b'\n');
            }
            (Self::Text(layout), value) => layout.write(value, out, from)?,
            (Self::Table(table), value) => table.write(value, out, from)?,
        }
        json::check_length(out.len() - from)
    }
}

/// Colours the JSON from `start` on.
fn paint(palette: Option<&Palette>, out: &mut Vec<u8>, start: usize) {
    if let Some(palette) = palette {
        let plain = out.split_off(start);
        palette.paint(out, &plain);
    }
}

#[cfg(test)]
mod tests;
