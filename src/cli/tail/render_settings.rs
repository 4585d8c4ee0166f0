//! `--jq`, `--format` and the flags that belong to them, and their settings. This compiles the
//! `--jq` expression, so that a bad one is reported before any connection is made.

use std::sync::Arc;

use clap::ArgAction;

use crate::cli::config::value_source::{ValueSource, ValueSources};
use crate::cli::exit::UsageError;
use crate::cli::values::keywords::Format;
use crate::render::jq::Program;
use crate::render::{OutputFormat, RenderConfig, fields};
use crate::settings::{Render, RenderErrors};

/// The group "Transform".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Transform")]
pub struct RenderArgs {
    /// Print the output of the jq program EXPR for each event
    #[arg(long, value_name = "EXPR")]
    pub jq: Option<String>,

    /// Print the strings that --jq outputs without quotes
    #[arg(short, long)]
    pub raw_output: bool,

    /// When --jq raises an error: skip the event, or fail
    /// (stop before the event, with exit code 1)
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "WHAT",
        default_value = "skip"
    )]
    pub jq_errors: RenderErrors,

    /// Print ndjson, pretty (indented JSON), text (one line for
    /// people), csv or tsv
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "FORM",
        default_value = "ndjson"
    )]
    pub format: Format,

    /// A synonym of --format ndjson
    #[arg(long, hide = true, conflicts_with = "format")]
    json: bool,

    /// Columns of csv and tsv: did,commit.record.text,…; added
    /// columns of Parquet, with types (commit.record.n:int)
    #[arg(long, value_name = "FIELD", action = ArgAction::Append, value_delimiter = ',')]
    pub fields: Vec<String>,

    /// Put ' in front of cells that a spreadsheet could take for
    /// a formula
    #[arg(long)]
    pub csv_safe: bool,
}

impl RenderArgs {
    /// Returns whether the user asked for JSON lines with `--json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Returns how to render events; `None` to write them unchanged. `named` is the format that the
/// name of the output chooses.
///
/// # Errors
/// [`UsageError`] with the flag, the value and the remedy.
pub fn render_settings(
    args: &RenderArgs,
    named: Option<Format>,
    sources: &ValueSources,
) -> Result<Option<Render>, UsageError> {
    let chosen = named.unwrap_or(args.format);
    check_combinations(args, chosen, sources)?;
    let fields =
        fields::parse(&args.fields).map_err(|error| sources.usage_error("fields", error))?;
    let format = match chosen {
        Format::Ndjson => OutputFormat::Ndjson,
        Format::Pretty => OutputFormat::Pretty,
        Format::Text => OutputFormat::Text,
        Format::Csv => OutputFormat::Csv(fields),
        Format::Tsv => OutputFormat::Tsv(fields),
    };
    let program = match &args.jq {
        Some(text) => {
            let compiled = Program::compile(text);
            Some(Arc::new(compiled.map_err(|error| sources.usage_error("jq", error))?))
        }
        None => None,
    };
    if program.is_none() && format == OutputFormat::Ndjson {
        return Ok(None);
    }
    let config =
        RenderConfig { program, format, raw_strings: args.raw_output, safe_cells: args.csv_safe };
    Ok(Some(Render { config, on_error: args.jq_errors }))
}

fn check_combinations(
    args: &RenderArgs,
    format: Format,
    sources: &ValueSources,
) -> Result<(), UsageError> {
    let is_table = matches!(format, Format::Csv | Format::Tsv);
    if is_table && args.fields.is_empty() {
        let problem = "a table needs columns: name them with --fields, like --fields did,commit.collection,commit.record.text";
        return Err(sources.usage_error("format", problem));
    }
    if !is_table && !args.fields.is_empty() {
        let problem = "only tables have columns: add --format csv or --format tsv; to choose what JSON holds, use --jq '{did, time_us}'";
        return Err(sources.usage_error("fields", problem));
    }
    if !is_table && args.csv_safe {
        let problem = "only tables have cells: add --format csv or --format tsv";
        return Err(sources.usage_error("csv-safe", problem));
    }
    // In a configuration file the setting may be there for other runs.
    let is_flag = matches!(sources.of("jq-errors"), ValueSource::Flag(_));
    if is_flag && args.jq.is_none() {
        let problem = "there is no jq program that could raise an error: add --jq EXPR";
        return Err(sources.usage_error("jq-errors", problem));
    }
    if args.raw_output && args.jq.is_none() {
        let problem = "events are not strings: add --jq EXPR, like --jq .commit.record.text";
        return Err(sources.usage_error("raw-output", problem));
    }
    if args.raw_output && !matches!(format, Format::Ndjson | Format::Pretty) {
        let problem =
            "only --format ndjson and pretty have quotes to leave out: leave one of the two out";
        return Err(sources.usage_error("raw-output", problem));
    }
    Ok(())
}
