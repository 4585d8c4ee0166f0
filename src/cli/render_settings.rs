//! `--jq`, `--format` and the flags that belong to them: what they are, and what they mean
//! together. An expression is compiled here, so that a bad one is told before anything is
//! dialled.

use std::sync::Arc;

use clap::ArgAction;

use super::exit::UsageError;
use super::origin::Origins;
use crate::render::jq::Program;
use crate::render::{Form, Plan, fields};
use crate::settings::{Render, RenderErrors};

/// The group "Transform".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Transform")]
pub struct RenderArgs {
    /// Print what EXPR, in jq's language, makes of each event
    #[arg(long, value_name = "EXPR")]
    pub jq: Option<String>,

    /// Print the strings that --jq makes without their quotes
    #[arg(short, long)]
    pub raw_output: bool,

    /// Where --jq raises an error: skip the event, or fail
    /// (in front of it, with exit code 1)
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "WHAT",
        default_value = "skip"
    )]
    pub jq_errors: RenderErrors,

    /// Print ndjson, pretty (indented JSON), text (for eyes),
    /// csv or tsv
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "FORM",
        default_value = "ndjson"
    )]
    pub format: Format,

    /// Columns of csv and tsv: did,commit.record.text,…
    #[arg(long, value_name = "FIELD", action = ArgAction::Append, value_delimiter = ',')]
    pub fields: Vec<String>,

    /// Put ' in front of cells that a spreadsheet could take for
    /// a formula
    #[arg(long)]
    pub csv_safe: bool,
}

/// The words of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One value a line.
    Ndjson,
    /// Indented JSON.
    Pretty,
    /// One line for eyes.
    Text,
    /// A table with commas.
    Csv,
    /// A table with tabs.
    Tsv,
}

/// What to make of events; `None` to write them as they are.
///
/// # Errors
/// [`UsageError`], naming the flag, the value and the remedy.
pub fn render_settings(args: &RenderArgs, origins: &Origins) -> Result<Option<Render>, UsageError> {
    let wrong = |long: &str, told: &dyn std::fmt::Display| {
        UsageError(format!("{}: {told}", origins.of(long)))
    };
    let is_table = matches!(args.format, Format::Csv | Format::Tsv);
    if is_table && args.fields.is_empty() {
        let told = "a table needs columns: name them with --fields, like --fields did,commit.collection,commit.record.text";
        return Err(wrong("format", &told));
    }
    if !is_table && !args.fields.is_empty() {
        let told = "only tables have columns: add --format csv or --format tsv; to choose what JSON holds, use --jq '{did, time_us}'";
        return Err(wrong("fields", &told));
    }
    if !is_table && args.csv_safe {
        let told = "only tables have cells: add --format csv or --format tsv";
        return Err(wrong("csv-safe", &told));
    }
    if args.raw_output && args.jq.is_none() {
        let told = "events are no strings: add --jq EXPR, like --jq .commit.record.text";
        return Err(wrong("raw-output", &told));
    }
    if args.raw_output && !matches!(args.format, Format::Ndjson | Format::Pretty) {
        let told =
            "only --format ndjson and pretty have quotes to leave out: leave one of the two out";
        return Err(wrong("raw-output", &told));
    }
    let fields = fields::parse(&args.fields).map_err(|error| wrong("fields", &error))?;
    let form = match args.format {
        Format::Ndjson => Form::Ndjson,
        Format::Pretty => Form::Pretty,
        Format::Text => Form::Text,
        Format::Csv => Form::Csv(fields),
        Format::Tsv => Form::Tsv(fields),
    };
    let program = match &args.jq {
        Some(text) => Some(Arc::new(Program::compile(text).map_err(|fault| wrong("jq", &fault))?)),
        None => None,
    };
    if program.is_none() && form == Form::Ndjson {
        return Ok(None);
    }
    let plan = Plan { program, form, raw_strings: args.raw_output, safe_cells: args.csv_safe };
    Ok(Some(Render { plan, on_error: args.jq_errors }))
}
