//! `skytail stats`: counts the events of recordings, and prints a report or draws a picture.

mod view;

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::ValueHint;

use crate::cli::exit::{self, Exit, UsageError};
use crate::cli::replaced::check_replaced;
use crate::cli::stdout::{print, terminal_columns};
use crate::cli::values::duration::parse_positive_duration;
use crate::compression::sniff;
use crate::event::event_id::EventIdKey;
use crate::event::lines::each_line;
use crate::parquet;
use crate::sink::sqlite::export;
use crate::stats::buckets::Buckets;
use crate::stats::plot;
use crate::stats::tally::Tally;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Endings of pictures that are not SVG.
const OTHER_PICTURES: [&str; 9] =
    ["png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "pdf"];

/// How a picture begins.
const SVG_START: &[u8] = b"<svg";

/// The flags of `skytail stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A recording has one event a line, in the v1 format or the native format of v2,
plain or zstd, or is a Parquet file or a database (--to sqlite:FILE) of skytail.
Several recordings are counted together as one. skytail needs 100 MB of memory,
at most 300 MB (for Parquet 400 MB), for a recording of any length: an event
counts as a duplicate if it is among the 3,670,016 events before it (or slightly
more).

Examples:
  What happened in the last ten minutes
    skytail tail --cursor -10m --exit-when-live | skytail stats -
  A picture of the events a minute by collection
    skytail stats all.ndjson.zst --plot all.svg")]
pub struct StatsArgs {
    /// Recordings to read, in their order; - for stdin
    #[arg(value_name = "RECORDING", required = true, value_hint = ValueHint::FilePath)]
    recordings: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Draw the events a minute by collection as SVG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    plot: Option<PathBuf>,

    /// Report a longer time without an event as a gap
    #[arg(long, value_name = "DUR", value_parser = parse_positive_duration, default_value = "10s")]
    gap_over: Duration,

    /// Show the N largest collections and languages (JSON has
    /// all; the picture shows up to 8)
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
}

/// Runs the command.
///
/// # Errors
/// Any failure; the message is for the user.
pub fn run(args: &StatsArgs) -> anyhow::Result<Exit> {
    let names: Vec<String> = args.recordings.iter().map(|r| r.display().to_string()).collect();
    let name = names.join(", ");
    args.plot.as_deref().map_or(Ok(()), check_plot)?;
    if names.iter().filter(|name| *name == "-").count() > 1 {
        return Err(UsageError("- is given twice: stdin can be read only once".into()).into());
    }
    let gap_over_us = u64::try_from(args.gap_over.as_micros()).unwrap_or(u64::MAX);
    let buckets = args.plot.as_ref().map(|_| Buckets::default());
    let mut tally = Tally::new(gap_over_us, buckets, EventIdKey::random());
    // After a failure, the report still shows what was read before it.
    let (first_malformed_in, outcome) = count_all(&args.recordings, &mut tally);
    if tally.lines > 0 && tally.sizes.count == 0 && outcome.is_ok() {
        let (line, reason) = tally.first_malformed.unwrap_or_default();
        let name = first_malformed_in.unwrap_or(name);
        return Err(anyhow!("{name}: no line is an event; line {line}: {reason}"));
    }
    if let Some((_, reason)) = &mut tally.first_malformed
        && let Some(name) = first_malformed_in.filter(|_| names.len() > 1)
    {
        *reason = format!("{reason} (in {name})");
    }
    if tally.lines > 0 {
        let text = match args.json {
            true => view::json(&tally, &name)?,
            false => view::text(&tally, &name, usize::from(args.top), terminal_columns()),
        };
        print(text.as_bytes())?;
    }
    outcome?;
    if tally.lines == 0 {
        return Err(anyhow!("{name}: holds no events"));
    }
    match &args.plot {
        Some(path) => draw(&tally, usize::from(args.top), &name, path),
        None => Ok(Exit::Done),
    }
}

/// Refuses a path of a picture that would not hold what its name says.
fn check_plot(path: &Path) -> Result<(), UsageError> {
    if path == Path::new("-") {
        return Err(UsageError("--plot: write the path of a file, say events.svg".into()));
    }
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let Some(ending) = ending.filter(|ending| OTHER_PICTURES.contains(&ending.as_str())) else {
        return check_replaced(path, "--plot", SVG_START, "a picture");
    };
    let svg = path.with_extension("svg");
    Err(UsageError(format!(
        "--plot: {}: pictures are SVG, not {ending}: write {}",
        path.display(),
        svg.display()
    )))
}

/// Counts the recordings in order, up to the first that can't be read. Also returns the name of the
/// recording with the first malformed line.
fn count_all(recordings: &[PathBuf], tally: &mut Tally) -> (Option<String>, anyhow::Result<()>) {
    let mut first_malformed_in = None;
    for path in recordings {
        let name = path.display().to_string();
        let (lines, torn) = (tally.lines, tally.torn);
        tally.start_recording();
        let outcome = count(path, tally);
        if tally.first_malformed.is_some() && first_malformed_in.is_none() {
            first_malformed_in = Some(name.clone());
        }
        if tally.torn > torn {
            exit::eprint(&format!(
                "skytail: warning: {name}: the last line was not finished and is not counted (it has no line feed and is not an event)"
            ));
        }
        let Err(error) = outcome else { continue };
        if let Some(remedy) = sniff::gzip_remedy(&error, &name, "skytail stats -") {
            return (first_malformed_in, Err(anyhow!("{name} {remedy}")));
        }
        let further = if tally.lines > lines { " any further" } else { "" };
        let error = anyhow::Error::from(error).context(format!("{name} can't be read{further}"));
        return (first_malformed_in, Err(error));
    }
    (first_malformed_in, Ok(()))
}

fn count(path: &Path, tally: &mut Tally) -> io::Result<()> {
    let input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => sniff::decompressed(BufReader::with_capacity(READ_BYTES, io::stdin().lock()))?,
        false => match export::open_recording(path).map_err(io::Error::other)? {
            Some(lines) => Box::new(lines),
            None => parquet::open_recording(path)?,
        },
    };
    each_line(BufReader::with_capacity(READ_BYTES, input), |line| tally.add(line))
}

fn draw(tally: &Tally, top: usize, name: &str, path: &Path) -> anyhow::Result<Exit> {
    let top = top.min(plot::MAX_SERIES);
    let grid = tally.buckets.as_ref().and_then(|buckets| buckets.grid(top, plot::COLUMNS));
    let grid = grid.context("there is nothing to draw")?;
    let (title, subtitle) = view::title(&grid, name);
    let svg = plot::svg(&grid, &title, &subtitle)?;
    let with_path =
        |error| anyhow::Error::from(error).context(format!("can't write {}", path.display()));
    std::fs::write(path, svg).map_err(with_path)?;
    if grid.left_out > 0 {
        exit::eprint(&format!(
            "skytail: warning: {} of the events are not in the picture, because their times are far from all others",
            grid.left_out
        ));
    }
    Ok(Exit::Done)
}
