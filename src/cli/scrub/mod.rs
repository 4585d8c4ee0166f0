//! `skytail scrub`: removes deleted records and accounts from recordings.

mod checks;
mod host;
mod progress;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueHint;

use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::{Exit, UsageError, format_chain};
use crate::cli::interrupt::exit_at_signal;
use crate::cli::stdout::print;
use crate::cli::tail::startup::{exit_for_error, log_settings};
use crate::cli::values::size::parse_memory_size;
use crate::display::log;
use crate::display::terminal::Terminal;
use crate::pipeline::PipelineError;
use crate::pipeline::reader::ReadError;
use crate::scrub::decide::Rules;
use crate::scrub::report::{Outcome, Report};
use crate::scrub::run::{Progress, SORT_BYTES, Scrub, ScrubSettings};
use crate::settings::{DisplaySettings, TailSettings};

use progress::ProgressLine;

/// The flags of `skytail scrub`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Deletes, account and sync events stay in the files, so that they can be
scrubbed again. What was deleted is known from all FILES together; with
--markers, skytail tail keeps account events in files of one collection.
skytail needs at most 160 MB of memory (420 MB for Parquet), and 40 bytes
for each event in temporary files.

The exit code is 0 whatever was found, and 1 if a file was left as it was,
or has lines that are not events.

Examples:
  What would be removed from an archive
    skytail scrub --dry-run archive/*.ndjson.zst
  Remove it, also what was deleted after the archive ended
    skytail scrub archive/*.ndjson.zst --markers-from today.ndjson")]
pub struct ScrubArgs {
    /// Recordings to scrub, plain, zstd or Parquet, in their
    /// order
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,

    /// Also honour the deletes in this recording or database
    /// (--to sqlite:FILE), which stays as it is; may be repeated
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append, value_hint = ValueHint::FilePath)]
    markers_from: Vec<PathBuf>,

    /// Also honour all account and sync events in the archive of
    /// this v2 server
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname)]
    markers_host: Option<String>,

    /// File that holds the API key of the archive; or set
    /// SKYTAIL_API_KEY [default: no key]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    api_key_file: Option<PathBuf>,

    /// Also trust the certificates in FILE (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca_file: Option<PathBuf>,

    /// Keep records that were replaced by a later version
    #[arg(long)]
    keep_history: bool,

    /// Also remove accounts whose latest status is inactive
    /// (deactivated, suspended, taken down)
    #[arg(long)]
    inactive: bool,

    /// Keep records that are older than a repair of their
    /// repository, and may no longer exist
    #[arg(long)]
    ignore_sync: bool,

    /// Change no file
    #[arg(long)]
    dry_run: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// File of saved cursors, which also lists the files of
    /// skytail tail [default: skytail/state.db in the directory
    /// for state]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    state: Option<PathBuf>,

    /// Directory for temporary files [default: that of the first
    /// FILE]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    temp: Option<PathBuf>,

    /// Memory of the sort, for tests
    #[arg(long, hide = true, value_name = "SIZE", value_parser = parse_memory_size)]
    sort_memory: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// A [`UsageError`] for a wrong flag, or if the log can't be started. Other errors are logged.
pub fn run(
    args: &ScrubArgs,
    sources: &ValueSources,
    display: &DisplaySettings,
    now_us: u64,
) -> anyhow::Result<Exit> {
    let host = checks::check(args, sources, now_us)?;
    let settings = ScrubSettings {
        files: args.files.clone(),
        state: checks::state(args)?,
        rules: Rules {
            keep_history: args.keep_history,
            inactive: args.inactive,
            ignore_syncs: args.ignore_sync,
        },
        is_dry_run: args.dry_run,
        temporary: args.temp.clone(),
        sort_bytes: args.sort_memory.unwrap_or(SORT_BYTES),
        now_us,
    };
    let terminal = Terminal::stderr();
    log::init(&log_settings(display), &terminal).map_err(|e| UsageError(e.to_string()))?;
    exit_at_signal(Some(terminal.clone())).context("listen for signals")?;
    let scrubbed = scrub(args, settings, host, display, &terminal);
    let report = match scrubbed {
        Ok(report) => report,
        Err(error) => {
            tracing::error!("{}", format_chain(&error));
            return Ok(match error.downcast_ref() {
                Some(PipelineError::Read(ReadError::GaveUp { .. })) => Exit::GaveUp,
                _ => exit_for_error(&error),
            });
        }
    };
    warn(&report);
    let text = match args.json {
        true => view::json(&report, args.dry_run)?,
        false => view::text(&report, args.dry_run),
    };
    print(text.as_bytes())?;
    Ok(if report.is_incomplete() { Exit::Failed } else { Exit::Done })
}

fn scrub(
    args: &ScrubArgs,
    settings: ScrubSettings,
    host: Option<TailSettings>,
    display: &DisplaySettings,
    terminal: &Terminal,
) -> anyhow::Result<Report> {
    let progress = Arc::new(Progress::default());
    let mut scrub = Scrub::new(settings, Arc::clone(&progress))?;
    if let Some(host) = host {
        scrub = host::read(scrub, host)?;
    }
    let line = ProgressLine::start(terminal, &progress, display);
    for path in &args.markers_from {
        scrub.read_markers(path)?;
    }
    scrub.read()?;
    let report = scrub.finish();
    drop(line);
    Ok(report?)
}

/// Logs each file that is not clean.
fn warn(report: &Report) {
    for file in &report.files {
        let path = file.path.display();
        match &file.outcome {
            Outcome::Left(reason) => tracing::error!("{path} was left as it was: {reason}"),
            Outcome::Clean if file.is_written => tracing::warn!(
                "{path} is being written: it holds nothing to remove yet; scrub it again after its rotation, or when that run has ended"
            ),
            _ => {}
        }
        if let Some((lines, first)) = file.malformed {
            tracing::error!(
                lines,
                "{path}: line {first} is not an event: it was left as it is, and what it holds can't be checked"
            );
        }
    }
}
