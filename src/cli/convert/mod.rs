//! `skytail convert`: recordings to Parquet, and back to lines.

mod input;
mod output;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::ValueHint;

use crate::cli::exit::{self, Exit, UsageError};
use crate::cli::interrupt::exit_at_signal;
use crate::display::units::counted;
use crate::parquet::fields;
use crate::sink::file::naming::Naming;

use output::Output;

/// The flags of `skytail convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
OUT is Parquet if its name ends in .parquet, compressed if it ends in
.zst, and lines otherwise; - is standard output. It appears when it is
complete. To sort the events takes up to 256 MiB of memory, and in the
directory of OUT up to twice the compressed size of the recordings.

Examples:
  A recording for DuckDB
    skytail convert all.ndjson.zst -o all.parquet
  With the text of posts as a column of its own
    skytail convert all.ndjson -o all.parquet --fields commit.record.text
  Back to lines, in the order in which the events were received
    skytail convert all.parquet -o all.ndjson")]
pub struct ConvertArgs {
    /// Recordings to read, in their order: lines, plain or zstd,
    /// in v1 format or the native one of v2, Parquet files or
    /// databases of skytail; - for lines on stdin
    #[arg(value_name = "RECORDING", required = true, value_hint = ValueHint::FilePath)]
    recordings: Vec<PathBuf>,

    /// The file to write; {collection} in the name of a Parquet
    /// file splits it into one file for each large collection
    #[arg(short, long, value_name = "OUT", required = true, value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// Columns to add to a Parquet file: paths into the event,
    /// and a type (text, int, float, bool or time) if not text
    #[arg(long, value_name = "NAME[:TYPE]", value_delimiter = ',')]
    fields: Vec<String>,

    /// Leave out lines that are not events
    #[arg(long)]
    skip_malformed: bool,
}

/// Runs the command.
///
/// # Errors
/// Any failure; the message is for the user. The output is then unchanged.
pub fn run(args: &ConvertArgs) -> anyhow::Result<Exit> {
    let fields =
        fields::parse(&args.fields).map_err(|error| UsageError(format!("--fields: {error}")))?;
    if args.recordings.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(UsageError("- is given twice: stdin can be read only once".into()).into());
    }
    let is_stdout = is_stdin(&args.output);
    if !is_stdout {
        let naming = Naming::new(&args.output, None)
            .map_err(|error| UsageError(format!("--output: {error}")))?;
        check_ending(&args.output)?;
        if naming.has_unused_fields() {
            return Err(UsageError(format!(
                "--output: {:?} has a field for the time, and convert makes one file of all events: write a name without %",
                naming.name
            ))
            .into());
        }
    }
    let is_parquet = !is_stdout && crate::parquet::is_name(&args.output);
    if !fields.is_empty() && !is_parquet {
        let message = "--fields: only Parquet files have columns: name a file in .parquet";
        return Err(UsageError(message.into()).into());
    }
    exit_at_signal(None).context("listen for signals")?;
    let mut output = match is_parquet {
        true => Output::parquet(&args.output, fields)?,
        false => Output::lines(&args.output)?,
    };
    match input::read_all(args, &mut output) {
        Ok(skipped) => warn_skipped(&skipped),
        Err(error) if is_stdout && is_closed_pipe(&error) => return Ok(Exit::Done),
        Err(error) => return Err(error),
    }
    output.finish()
}

/// Refuses a name that stands for Parquet and would get lines.
fn check_ending(path: &Path) -> Result<(), UsageError> {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let is_like_parquet = name.strip_suffix(".zst").unwrap_or(&name).ends_with(".parquet");
    if !is_like_parquet || crate::parquet::is_name(path) {
        return Ok(());
    }
    let name = path.display();
    Err(UsageError(format!(
        "--output: \"{name}\" is a name for Parquet with another ending than .parquet: write .parquet for Parquet (its pages are compressed), or .ndjson or .ndjson.zst for lines"
    )))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The lines that were left out.
#[derive(Debug, Default)]
struct Skipped {
    lines: u64,
    /// The first of them.
    first: Option<String>,
}

fn warn_skipped(skipped: &Skipped) {
    if let Some(first) = &skipped.first {
        let lines = counted(skipped.lines, "line");
        exit::eprint(&format!(
            "skytail: warning: {lines} left out as no events; the first: {first}"
        ));
    }
}

/// Returns the error for a line that is not an event.
fn bad_line(place: &str, reason: &str) -> anyhow::Error {
    anyhow!("{place} is not an event: {reason}; leave out such lines with --skip-malformed")
}
