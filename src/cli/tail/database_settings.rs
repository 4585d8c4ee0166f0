//! The settings of `--to sqlite:FILE`. This checks only the flags; `Session::open` opens the file.

use std::path::Path;
use std::time::Duration;

use super::args::TailArgs;
use super::consumer_name::{self, Destination};
use super::filter_files::list_names;
use super::filter_settings::with_placeholder_dids;
use super::render_settings::render_settings;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::duration::parse_positive_duration;
use crate::cli::values::keywords::Format;
use crate::event::format::EventFormat;
use crate::event::header::Kind;
use crate::filter::{Filter, Markers};
use crate::settings::{ProtocolPreference, Render};
use crate::sink::sqlite::DatabaseSettings;
use crate::sink::sqlite::target;
use crate::source::handle::Handle;
use crate::source::v2;

/// The least time for the commits after a stop, unless the user gives none.
const LAST_COMMITS: Duration = Duration::from_secs(60);

/// The kinds that say what no longer counts.
const MARKERS: [Kind; 3] = [Kind::Identity, Kind::Account, Kind::Sync];

/// Returns the database to write; `None` for other outputs. The filter then lets everything through
/// that the tables depend on.
///
/// # Errors
/// [`UsageError`] with the flag, the value and the remedy.
pub fn database_settings(
    args: &TailArgs,
    filter: &mut Filter,
    handles: &[Handle],
    sources: &ValueSources,
) -> Result<Option<DatabaseSettings>, UsageError> {
    let Some(to) = args.output.to.as_ref().filter(|to| target::is_database(to)) else {
        return Ok(None);
    };
    let microseconds = |text: &str| {
        let duration = parse_positive_duration(text).ok()?;
        u64::try_from(duration.as_micros()).ok()
    };
    let parsed = target::parse(to, microseconds);
    let (path, options) = parsed.map_err(|error| sources.usage_error("to", error))?;
    check_flags(args, filter, sources)?;
    let jq = args.render.jq.as_ref().map(|text| format!(" --jq {text}")).unwrap_or_default();
    // A file of the filter may change, and the database stays the same.
    let words = consumer_name::derive_with(
        &with_placeholder_dids(filter, handles),
        &list_names(args),
        &[],
        false,
        &Destination::Stdout,
    );
    let settings = DatabaseSettings {
        path,
        options,
        fields: args.render.fields.clone(),
        stream: words + &jq,
        accepts_stream: reads_the_past(args),
        rules: take_rules(filter),
    };
    settings.check_fields().map_err(|error| sources.usage_error("fields", error))?;
    filter.markers = Markers::ForOutput;
    match filter.kinds.contains(&Kind::Commit) {
        true => filter.kinds.clear(),
        false if filter.kinds.is_empty() => {}
        false => {
            let missing = MARKERS.into_iter().filter(|kind| !filter.kinds.contains(kind));
            filter.kinds.extend(missing.collect::<Vec<_>>());
        }
    }
    Ok(Some(settings))
}

/// Returns whether the run reads the past again, so that a database may get other filters.
fn reads_the_past(args: &TailArgs) -> bool {
    let cursor = args.cursor.cursor.as_deref();
    args.cursor.since.is_some() || cursor.is_some_and(|text| !matches!(text, "auto" | "live"))
}

/// Returns what makes the records. `--fields` are columns of the table, and make none.
///
/// # Errors
/// [`UsageError`] if the program can't be compiled.
pub fn render(args: &TailArgs, sources: &ValueSources) -> Result<Option<Render>, UsageError> {
    let mut render = args.render.clone();
    render.fields.clear();
    render_settings(&render, None, sources)
}

/// Takes the rules that read records out of the filter: an update that no longer matches must reach
/// the database, where it removes the row.
fn take_rules(filter: &mut Filter) -> Option<Filter> {
    filter.reads_records().then(|| Filter {
        languages: std::mem::take(&mut filter.languages),
        grep: filter.grep.take(),
        ..Filter::default()
    })
}

/// Refuses flags that a database has no place for.
fn check_flags(args: &TailArgs, filter: &Filter, sources: &ValueSources) -> Result<(), UsageError> {
    let output = args.output.output.as_deref().is_some_and(|path| path != Path::new("-"));
    let is_format = !matches!(args.render.format, Format::Ndjson);
    let refused = [
        ("output", output, "a run has one output, and --to names another: leave one out"),
        (
            "to-config",
            args.output.to_config.is_some(),
            "this configures a broker, and --to names a database: leave this out",
        ),
        (
            "format",
            is_format,
            "a database has columns: leave this out, and choose columns with --fields",
        ),
        (
            "raw-output",
            args.render.raw_output,
            "a record in a database is a JSON object: leave this out",
        ),
        (
            "shape",
            args.output.shape == EventFormat::Native,
            "a database has columns, whatever the shape of events: leave this out",
        ),
        (
            "operation",
            !filter.operations.is_empty(),
            "the tables need creates, updates and deletes: leave this out",
        ),
        (
            "max-message-size",
            filter.max_message_bytes.is_some(),
            "an update that is too large would leave an outdated record: leave this out",
        ),
        ("markers", args.markers.markers, "a database always has them: leave this out"),
        (
            "no-checkpoint",
            args.cursor.no_checkpoint,
            "the position is a part of the database: leave this out",
        ),
    ];
    match refused.into_iter().find(|(_, is_given, _)| *is_given) {
        Some((flag, _, problem)) => Err(sources.usage_error(flag, problem)),
        None => Ok(()),
    }
}

/// Returns how long received events may be written after a stop. A commit to a database that another
/// program has locked takes five seconds to fail, so a database gets time for several.
pub fn drain_timeout(args: &TailArgs, database: Option<&DatabaseSettings>) -> Duration {
    match (args.output.drain_timeout, database) {
        (Duration::ZERO, _) => Duration::ZERO,
        (given, Some(_)) => given.max(LAST_COMMITS),
        (given, None) => given,
    }
}

/// Returns the protocol to use: v2 alone for a database that is strict.
///
/// # Errors
/// [`UsageError`] if the user asks for v1, or if v2 does not support the filter.
pub fn protocol(
    args: &TailArgs,
    database: Option<&DatabaseSettings>,
    filter: &Filter,
    sources: &ValueSources,
) -> Result<ProtocolPreference, UsageError> {
    let given = args.source.protocol;
    if !database.is_some_and(|database| database.options.strict) {
        return Ok(given);
    }
    if given == ProtocolPreference::V1 {
        let problem = "?strict in --to refuses v1: leave one of the two out";
        return Err(sources.usage_error("protocol", problem));
    }
    match v2::request::obstacle(filter) {
        Some(obstacle) => {
            let problem = format!("{obstacle}; leave ?strict out to use v1 for these filters");
            Err(sources.usage_error("to", problem))
        }
        None => Ok(ProtocolPreference::V2),
    }
}
