//! `--last` and `--last-within`, and their settings.

use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::tail::args::TailArgs;
use crate::cli::tail::start_settings::StartContext;
use crate::cli::values::ValueError;
use crate::cli::values::count::parse_last;
use crate::cli::values::duration::parse_positive_duration;
use crate::settings::{Last, LastWithin};

/// The flags that start a run with the newest events.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cursor")]
pub struct LastArgs {
    /// Print the N newest events that match (up to 100,000),
    /// then follow, or stop with --exit-when-live
    #[arg(long, value_name = "N", value_parser = parse_last)]
    #[arg(conflicts_with_all = ["cursor", "since", "from", "consumer"])]
    pub last: Option<usize>,

    /// How far back --last may read: DUR, or all (also in the
    /// archive) [default: what the server replays]
    #[arg(long, value_name = "DUR", value_parser = parse_within)]
    pub last_within: Option<LastWithin>,
}

fn parse_within(text: &str) -> Result<LastWithin, ValueError> {
    if text == "all" {
        return Ok(LastWithin::All);
    }
    let within = parse_positive_duration(text).map_err(|error| match error {
        ValueError::Duration(text) => ValueError::DurationOrAll(text),
        other => other,
    })?;
    Ok(LastWithin::Us(u64::try_from(within.as_micros()).unwrap_or(u64::MAX)))
}

/// Returns the settings of the flags; `None` without `--last`.
///
/// # Errors
/// [`UsageError`] with the flag and the remedy.
pub fn last_settings(
    args: &TailArgs,
    context: &StartContext<'_>,
    sources: &ValueSources,
) -> Result<Option<Last>, UsageError> {
    let given = &args.cursor.last;
    let Some(count) = given.last else {
        return match given.last_within {
            Some(_) => {
                let problem =
                    "this bounds how far back --last reads: add --last N, or leave this out";
                Err(sources.usage_error("last-within", problem))
            }
            None => Ok(None),
        };
    };
    if context.output.is_some() || context.to.is_some() {
        let other = sources.of(if context.output.is_some() { "output" } else { "to" });
        let problem = format!(
            "it is for reading on stdout, and saves no position with which {other} could continue: leave one of the two out, or start with --cursor -15m in place of --last"
        );
        return Err(sources.usage_error("last", problem));
    }
    if args.source.demo {
        let problem = "the demo has no past: leave --demo out, or use -n N for its first events";
        return Err(sources.usage_error("last", problem));
    }
    let within = given.last_within.unwrap_or(LastWithin::Lookback);
    Ok(Some(Last { count, within }))
}
