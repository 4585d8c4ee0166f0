//! `skytail inspect`: checks an archive segment or block, and prints it as a page, as JSON or as
//! events. `view` formats the output; `archive` parses the file.

mod check;
mod view;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _, Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::{ValueEnum, ValueHint};

use crate::archive::block::{Block, BlockDecoder};
use crate::archive::line::LineWriter;
use crate::archive::segment::Segment;
use crate::archive::segment::header::MAX_SEGMENT_BYTES;
use crate::cli::exit::{self, Exit};
use crate::cli::stdout::{ignore_closed_pipe, print, terminal_columns};
use crate::compression::inflate::FRAME_MAGIC;
use crate::display::printable::escape_for_terminal;
use crate::display::units::counted;
use crate::event::batch::{Batch, CompactBatch};
use crate::event::format::EventFormat;

/// Lines are written to stdout in chunks of at least this many bytes.
const PRINT_BYTES: usize = 256 * 1024;

/// The flags of `skytail inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = view::JSON_KEYS)]
pub struct InspectArgs {
    /// A segment (seg_….jss), or one block as getBlock returns it
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// Print one JSON object
    #[arg(long, conflicts_with = "events")]
    json: bool,

    /// Print the rows as events, one JSON object a line
    #[arg(long)]
    events: bool,

    /// JSON format of the events: v1 as on /subscribe, or native
    /// as the payload of the v2 stream
    #[arg(long, value_name = "SHAPE", value_enum, default_value_t, requires = "events")]
    shape: ShapeFlag,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ShapeFlag {
    #[default]
    V1,
    Native,
}

/// Runs the command.
///
/// # Errors
/// The problem, and its place in the file.
pub fn run(args: &InspectArgs) -> anyhow::Result<Exit> {
    let name = args.file.display();
    let file = File::open(&args.file).with_context(|| format!("can't open {name}"))?;
    let mut file = BufReader::new(file);
    inspect_file(args, &mut file).with_context(|| format!("{name}"))
}

fn inspect_file(args: &InspectArgs, file: &mut BufReader<File>) -> anyhow::Result<Exit> {
    let mut start = Vec::new();
    file.by_ref().take(FRAME_MAGIC.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    if start == FRAME_MAGIC {
        return inspect_block(args, file);
    }
    let segment = Segment::read(file)?;
    if args.events {
        return Printer::new(args).segment(&segment, file);
    }
    let damage = check::segment(&segment, file)?;
    let page = match args.json {
        true => view::json(&segment, &damage)?,
        false => view::text(&segment, &damage, terminal_columns()),
    };
    print(page.as_bytes())?;
    Ok(damage.report(&args.file))
}

/// Inspects a single zstd frame, as `getBlock` returns it (protocol/jetstream-v2-archive.md §2).
fn inspect_block(args: &InspectArgs, file: &mut BufReader<File>) -> anyhow::Result<Exit> {
    let mut frame = Vec::new();
    file.take(MAX_SEGMENT_BYTES + 1).read_to_end(&mut frame)?;
    if frame.len() as u64 > MAX_SEGMENT_BYTES {
        return Err(anyhow!("a block of more than 1 GiB"));
    }
    let mut decoder = BlockDecoder::new()?;
    let block = decoder.decode(&frame)?;
    if args.events {
        let mut printer = Printer::new(args);
        return match printer.block(&block, "").and_then(|()| printer.print()) {
            Ok(()) => Ok(printer.end()),
            Err(error) => ignore_closed_pipe(error),
        };
    }
    let damage = check::block(&block);
    let report = view::BlockReport::new(frame.len(), &block, &damage);
    print(if args.json { report.json()? } else { report.text() }.as_bytes())?;
    Ok(damage.report(&args.file))
}

/// Prints rows as events, and reports those that can't be converted.
struct Printer {
    writer: LineWriter,
    shape: EventFormat,
    batch: Batch,
    printed: u64,
    failed: u64,
}

impl Printer {
    fn new(args: &InspectArgs) -> Self {
        let shape = match args.shape {
            ShapeFlag::V1 => EventFormat::V1,
            ShapeFlag::Native => EventFormat::Native,
        };
        let batch = Batch::with_capacity(PRINT_BYTES);
        Self { writer: LineWriter::new(), shape, batch, printed: 0, failed: 0 }
    }

    fn segment(mut self, segment: &Segment, file: &mut BufReader<File>) -> anyhow::Result<Exit> {
        let mut decoder = BlockDecoder::new()?;
        let mut frame = Vec::new();
        for (i, entry) in segment.blocks.iter().enumerate() {
            segment.read_frame(file, i, &mut frame)?;
            let outcome = segment.decode(i, &frame, &mut decoder);
            // On an error, print the events of the valid blocks first.
            let block = match outcome {
                Ok(block) => block,
                Err(error) => {
                    let _ = self.print();
                    let lost = format!(
                        "its events (seq {} to {}) are lost, and the blocks after it were not read",
                        entry.min_seq, entry.max_seq
                    );
                    return Err(anyhow::Error::from(error).context(lost));
                }
            };
            let place = format!(" of block {i} at byte {}", entry.frame_at());
            if let Err(error) = self.block(&block, &place) {
                return ignore_closed_pipe(error);
            }
        }
        match self.print() {
            Ok(()) => Ok(self.end()),
            Err(error) => ignore_closed_pipe(error),
        }
    }

    fn block(&mut self, block: &Block<'_>, place: &str) -> io::Result<()> {
        for row in block.rows() {
            match self.writer.append(&row, self.shape, self.batch.line_buffer()) {
                Ok(_) => {
                    self.batch.end_line();
                    self.printed += 1;
                }
                Err(error) => {
                    self.failed += 1;
                    exit::eprint(&format!("skytail: error: {error}{place}"));
                }
            }
            if self.batch.buffered_bytes() >= PRINT_BYTES {
                self.print()?;
            }
        }
        Ok(())
    }

    fn print(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let lines = CompactBatch::from(std::mem::take(&mut self.batch));
        if stdout.is_terminal() {
            let mut shown = Vec::new();
            escape_for_terminal(&mut shown, lines.bytes());
            stdout.write_all(&shown)?;
        } else {
            stdout.write_all(lines.bytes())?;
        }
        stdout.flush()?;
        self.batch = lines.into_batch();
        self.batch.reset(PRINT_BYTES * 2);
        Ok(())
    }

    /// Reports the rows that could not be printed, and returns the exit code.
    fn end(&self) -> Exit {
        if self.failed == 0 {
            return Exit::Done;
        }
        let (failed, all) = (counted(self.failed, "row"), self.printed + self.failed);
        exit::eprint(&format!("skytail: error: {failed} of {all} can't be converted to events"));
        Exit::Failed
    }
}
