//! `skytail stats`: its flags, and from them to a report.

mod view;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::ValueHint;

use super::exit::{self, Exit, UsageError};
use super::values::duration::parse_positive_duration;
use crate::compression::sniff;
use crate::event::identity::IdentityKey;
use crate::stats::buckets::Buckets;
use crate::stats::lines::each_line;
use crate::stats::plot;
use crate::stats::tally::Tally;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// The flags of `skytail stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A recording has one event a line, in the shape of v1 or the native one of v2,
plain or as zstd. It takes 100 MB of memory, 300 MB at worst, however long it is:
an event counts as a duplicate if it is one of the 3,670,016 before it (or of
somewhat more).

Examples:
  What happened in the last ten minutes
    skytail tail --cursor -10m --exit-when-live | skytail stats -
  Events a minute by collection, as a picture
    skytail stats all.ndjson.zst --plot all.svg")]
pub struct StatsArgs {
    /// Recording to read; - for stdin
    #[arg(value_name = "RECORDING", value_hint = ValueHint::FilePath)]
    recording: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Draw events a minute by collection, as SVG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    plot: Option<PathBuf>,

    /// Call more than this without an event a gap
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
/// Says what went wrong, for a person.
pub fn run(args: &StatsArgs) -> anyhow::Result<Exit> {
    let name = args.recording.display().to_string();
    if args.plot.as_deref() == Some(Path::new("-")) {
        return Err(UsageError("--plot: write the path of a file, say events.svg".into()).into());
    }
    let gap_over_us = u64::try_from(args.gap_over.as_micros()).unwrap_or(u64::MAX);
    let buckets = args.plot.as_ref().map(|_| Buckets::default());
    let mut tally = Tally::new(gap_over_us, buckets, IdentityKey::random());
    // What was read before a failure is shown all the same.
    let outcome = count(&args.recording, &mut tally);
    if tally.lines > 0 && tally.sizes.count == 0 && outcome.is_ok() {
        let (line, reason) = tally.first_malformed.unwrap_or_default();
        return Err(anyhow!("{name}: no line of it is an event; line {line}: {reason}"));
    }
    if tally.lines > 0 {
        let text = match args.json {
            true => view::json(&tally, &name)?,
            false => view::text(&tally, &name, usize::from(args.top)),
        };
        print(text.as_bytes())?;
    }
    let further = if tally.lines > 0 { " any further" } else { "" };
    outcome.with_context(|| format!("{name} can't be read{further}"))?;
    if tally.lines == 0 {
        return Err(anyhow!("{name}: holds no events"));
    }
    match &args.plot {
        Some(path) => draw(&tally, usize::from(args.top), &name, path),
        None => Ok(Exit::Done),
    }
}

fn count(path: &Path, tally: &mut Tally) -> io::Result<()> {
    let input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path)?),
    };
    let input = BufReader::with_capacity(READ_BYTES, input);
    let lines = BufReader::with_capacity(READ_BYTES, sniff::decompressed(input)?);
    each_line(lines, |line| tally.add(line))
}

fn draw(tally: &Tally, top: usize, name: &str, path: &Path) -> anyhow::Result<Exit> {
    let top = top.min(plot::MOST_SERIES);
    let grid = tally.buckets.as_ref().and_then(|buckets| buckets.grid(top, plot::COLUMNS));
    let grid = grid.context("there is nothing to draw")?;
    let svg = plot::svg(&grid, &view::title(&grid, name))?;
    let said =
        |error| anyhow::Error::from(error).context(format!("can't write {}", path.display()));
    std::fs::write(path, svg).map_err(said)?;
    if grid.left_out > 0 {
        exit::say(&format!(
            "skytail: warning: {} of the events are not in the picture: their times are far from all others",
            grid.left_out
        ));
    }
    Ok(Exit::Done)
}

/// That the reader has gone is no failure.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("can't write to stdout")
        }
        _ => Ok(()),
    }
}
