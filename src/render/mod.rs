//! How an event looks: `--jq` transforms it, `--format` lays it out. One event in, the bytes
//! that come out. It knows neither where events come from nor where bytes go.
//!
//! Nothing of it is in the way of a run that uses none of it: then there is no [`Renderer`].

pub mod fields;
mod fit;
mod gist;
pub mod jq;
pub mod json;
mod read;
mod table;
mod text;

use std::sync::Arc;

use jaq_json::Val;

use crate::display::printable::escape_for_terminal;
use fields::Field;
use jq::Program;
use json::{Style, WriteError};
use table::{Kind, Table};

/// Most bytes that one event may become.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Most outputs that an expression may make of one event.
pub const MOST_OUTPUTS: u64 = 100_000;

/// What to make of events.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `--jq`.
    pub program: Option<Arc<Program>>,
    /// `--format`.
    pub form: Form,
    /// `--raw-output`.
    pub raw_strings: bool,
    /// `--csv-safe`.
    pub safe_cells: bool,
}

/// `--format`, with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON, one value a line.
    Ndjson,
    /// JSON with line breaks.
    Pretty,
    /// One line for eyes.
    Text,
    /// A table with these columns, as RFC 4180 writes it.
    Csv(Vec<Field>),
    /// The same with tabs.
    Tsv(Vec<Field>),
}

/// What the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// Whether to colour.
    pub colour: bool,
    /// Whether a terminal shows it: then nothing in it may act on that, and lines are fitted.
    pub is_terminal: bool,
}

/// Why an event was not rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// It is no JSON, or more nested than anything that was meant seriously.
    #[error("the event can't be read: {0}")]
    Unreadable(String),
    /// The expression raised an error.
    #[error("{0}")]
    Failed(String),
    /// The expression took too many steps.
    #[error("more than {} steps on one event", jq::MOST_STEPS)]
    TooManySteps,
    /// The expression called itself too deeply.
    #[error("calls within calls, without an end")]
    TooDeep,
    /// The expression said `halt`.
    #[error("halt can't end a run: use --limit, --until or error")]
    Halt,
    /// Too much came out.
    #[error("more than {MOST_OUTPUTS} outputs of one event")]
    TooManyOutputs,
    /// What came out can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Makes bytes of events.
#[derive(Debug)]
pub struct Renderer {
    program: Option<Arc<Program>>,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    /// Events as they came, for a terminal.
    Lines,
    Json {
        style: Style,
        raw_strings: bool,
    },
    Text(text::Layout),
    Table(Table),
}

impl Renderer {
    /// For an output of this kind.
    #[must_use]
    pub fn new(plan: &Plan, surface: Surface) -> Self {
        let json = |indent| Layout::Json {
            style: Style { indent, colour: surface.colour, printable: surface.is_terminal },
            raw_strings: plan.raw_strings,
        };
        let table = |fields: &Vec<Field>, kind| {
            Layout::Table(Table::new(fields.clone(), kind, plan.safe_cells, surface.is_terminal))
        };
        let layout = match &plan.form {
            // Without colour, as any JSON that goes through a pipe; for eyes there is `pretty`.
            Form::Ndjson => Layout::Json {
                style: Style { printable: surface.is_terminal, ..Style::default() },
                raw_strings: plan.raw_strings,
            },
            Form::Pretty => json(true),
            Form::Text => Layout::Text(text::Layout::new(surface)),
            Form::Csv(fields) => table(fields, Kind::Csv),
            Form::Tsv(fields) => table(fields, Kind::Tsv),
        };
        Self { program: plan.program.clone(), layout }
    }

    /// A renderer that leaves events as they came, but for what could act on a terminal.
    #[must_use]
    pub fn of_lines() -> Self {
        Self { program: None, layout: Layout::Lines }
    }

    /// Whether errors are those of an expression.
    #[must_use]
    pub fn has_program(&self) -> bool {
        self.program.is_some()
    }

    /// Returns the number of rows of a table so far, and the names of the fields that no row had.
    #[must_use]
    pub fn absent_fields(&self) -> (u64, Vec<&str>) {
        match &self.layout {
            Layout::Table(table) => table.absent(),
            Layout::Lines | Layout::Json { .. } | Layout::Text(_) => (0, Vec::new()),
        }
    }

    /// What stands at the head of the output.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        match &self.layout {
            Layout::Table(table) => table.header(),
            Layout::Lines | Layout::Json { .. } | Layout::Text(_) => Vec::new(),
        }
    }

    /// Looks at the terminal again, which may have another width by now.
    pub fn look_around(&mut self) {
        if let Layout::Text(layout) = &mut self.layout {
            layout.measure();
        }
    }

    /// Appends what one event becomes, lines with their line feeds, to `out`; returns the
    /// number of outputs. After an error `out` is as it was.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn render(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<u64, RenderError> {
        let from = out.len();
        let rendered = self.try_render(event, out);
        if rendered.is_err() {
            out.truncate(from);
        }
        rendered
    }

    fn try_render(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<u64, RenderError> {
        if matches!(self.layout, Layout::Lines) {
            escape_for_terminal(out, event);
            out.push(b'\n');
            return Ok(1);
        }
        let event = read::read(event)?;
        let Some(program) = &self.program else {
            self.layout.write(&event, out, out.len())?;
            return Ok(1);
        };
        let (from, layout) = (out.len(), &self.layout);
        let mut outputs = 0;
        program.run(event, |output| {
            outputs += 1;
            if outputs > MOST_OUTPUTS {
                return Err(RenderError::TooManyOutputs);
            }
            layout.write(&output, out, from).map_err(RenderError::from)
        })?;
        Ok(outputs)
    }
}

impl Layout {
    /// Appends one value. What one event becomes begins at `from`.
    fn write(&self, value: &Val, out: &mut Vec<u8>, from: usize) -> Result<(), WriteError> {
        match (self, value) {
            (Self::Json { raw_strings: true, style }, Val::TStr(text)) => {
                json::check_length(out.len() + text.len() - from)?;
                match style.printable {
                    true => escape_for_terminal(out, text),
                    false => out.extend_from_slice(text),
                }
                out.push(b'\n');
            }
            // Written by `try_render` without being read.
            (Self::Lines, _) => {}
            (Self::Json { style, .. }, value) => {
                json::write(out, value, *style, from)?;
                out.push(b'\n');
            }
            (Self::Text(layout), value) => layout.write(value, out, from)?,
            (Self::Table(table), value) => table.write(value, out, from)?,
        }
        json::check_length(out.len() - from)
    }
}

#[cfg(test)]
mod tests;
