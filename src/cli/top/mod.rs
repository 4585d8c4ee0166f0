//! `skytail top`: its flags and their settings.

mod run;
mod view;

use std::time::Duration;

use clap::{Args as _, Command, FromArgMatches as _};

use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::help;
use crate::cli::tail::archive_args::ArchiveArgs;
use crate::cli::tail::args::{FilterArgs, SourceArgs, TailArgs};
use crate::cli::tail::settings::tail_settings;
use crate::cli::tail::witness_settings::WitnessArgs;
use crate::cli::values::ValueError;
use crate::cli::values::cursor::parse_cursor_mode;
use crate::cli::values::duration::parse_duration;
use crate::settings::{CursorMode, TailSettings};

pub use run::run;

/// The range of `--window`.
const WINDOW: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

/// The flags of `skytail top`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = help::TOP)]
pub struct TopArgs {
    #[command(flatten)]
    pub figures: FiguresArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub witness: WitnessArgs,
    #[command(flatten)]
    pub filters: FilterArgs,
    #[command(flatten)]
    pub start: StartArgs,
    #[command(flatten)]
    pub archive: ArchiveArgs,
}

/// The group "Figures".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Figures")]
pub struct FiguresArgs {
    /// Count the events of the last DUR, 1s to 1h
    #[arg(long, value_name = "DUR", value_parser = parse_window, default_value = "10s")]
    pub window: Duration,

    /// Print the figures of one window, then exit
    #[arg(long)]
    pub once: bool,

    /// Print them as JSON
    #[arg(long, requires = "once")]
    pub json: bool,

    /// Print the N largest with --once (JSON has all, and N
    /// accounts)
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: u16,
}

/// The group "Cursor".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cursor")]
pub struct StartArgs {
    /// Where to start: live, oldest, a time, an age (15m), or an
    /// integer cursor; top never saves a cursor
    #[arg(
        long,
        alias = "since",
        value_name = "CURSOR",
        default_value = "live",
        allow_hyphen_values = true
    )]
    pub cursor: String,
}

fn parse_window(text: &str) -> Result<Duration, ValueError> {
    let window = parse_duration(text)?;
    if WINDOW.contains(&window) {
        return Ok(window);
    }
    Err(ValueError::Range { value: text.to_owned(), min: "1s".into(), max: "1h".into() })
}

/// Returns the settings of a `skytail tail` with the same flags that saves nothing.
///
/// # Errors
/// As [`tail_settings`].
pub fn settings(
    args: &TopArgs,
    sources: &ValueSources,
    now_us: u64,
) -> Result<TailSettings, UsageError> {
    if parse_cursor_mode(&args.start.cursor, now_us) == Ok(CursorMode::Auto) {
        let problem = format!(
            "{:?} resumes from a saved cursor, and top saves none: write live, a time, or an age like 15m",
            args.start.cursor
        );
        return Err(sources.usage_error("cursor", problem));
    }
    let defaults = TailArgs::augment_args(Command::new("tail"));
    let defaults = defaults.try_get_matches_from(["tail"]);
    let tail = defaults.and_then(|matches| TailArgs::from_arg_matches(&matches));
    let mut tail = tail.map_err(|error| UsageError(error.to_string()))?;
    tail.source = args.source.clone();
    tail.witness = args.witness.clone();
    tail.filters = args.filters.clone();
    tail.archive = args.archive.clone();
    tail.cursor.cursor = Some(args.start.cursor.clone());
    tail.cursor.no_checkpoint = true;
    tail_settings(&tail, sources, now_us, false)
}
