//! Reads each block and each row of a segment, as a backfill does, and counts what can't be read.
//! Measured: 0.7 s for 390,000 rows in 135 MiB of blocks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::archive::block::{Block, BlockDecoder};
use crate::archive::line::LineWriter;
use crate::archive::segment::Segment;
use crate::cli::exit::{self, Exit};
use crate::event::batch::Batch;
use crate::event::format::EventFormat;

/// Most errors of one kind that are printed.
const MAX_SHOWN: usize = 10;

/// The blocks and rows that can't be read.
#[derive(Debug, Default)]
pub struct Damage {
    /// The errors of damaged blocks, by block number.
    pub blocks: BTreeMap<usize, String>,
    /// Rows of valid blocks that are not events.
    pub rows: u64,
    /// Rows that were read.
    pub checked_rows: u64,
    /// The first errors of rows, at most [`MAX_SHOWN`].
    row_errors: Vec<String>,
}

/// Checks all blocks of a segment.
///
/// # Errors
/// If the decoder has no memory.
pub fn segment(segment: &Segment, file: &mut BufReader<File>) -> anyhow::Result<Damage> {
    let mut damage = Damage::default();
    let mut decoder = BlockDecoder::new()?;
    let mut frame = Vec::new();
    for (i, entry) in segment.blocks.iter().enumerate() {
        let read = segment.read_frame(file, i, &mut frame);
        match read.and_then(|()| segment.decode(i, &frame, &mut decoder)) {
            Ok(block) => {
                let place = format!(" of block {i} at byte {}", entry.frame_at());
                damage.check_rows(&block, &place);
            }
            Err(error) => {
                let (error, lost) =
                    (exit::format_chain(&error.into()), (entry.min_seq, entry.max_seq));
                let text = format!("{error}; its events (seq {} to {}) are lost", lost.0, lost.1);
                damage.blocks.insert(i, text);
            }
        }
    }
    Ok(damage)
}

/// Checks a decoded block.
pub fn block(block: &Block<'_>) -> Damage {
    let mut damage = Damage::default();
    damage.check_rows(block, "");
    damage
}

impl Damage {
    fn check_rows(&mut self, block: &Block<'_>, place: &str) {
        let (mut writer, mut batch) = (LineWriter::new(), Batch::default());
        for row in block.rows() {
            self.checked_rows += 1;
            if let Err(error) = writer.append(&row, EventFormat::V1, batch.line_buffer()) {
                self.rows += 1;
                if self.row_errors.len() < MAX_SHOWN {
                    self.row_errors.push(format!("{error}{place}"));
                }
            }
            batch.discard_partial_line();
        }
    }

    /// Prints the damage to stderr, and returns the exit code.
    pub fn report(&self, file: &Path) -> Exit {
        let name = file.display();
        for error in self.blocks.values().take(MAX_SHOWN) {
            exit::eprint(&format!("skytail: error: {name}: {error}"));
        }
        for error in &self.row_errors {
            exit::eprint(&format!("skytail: error: {name}: {error}"));
        }
        let more = self.blocks.len().saturating_sub(MAX_SHOWN) as u64
            + (self.rows - self.row_errors.len() as u64);
        if more > 0 {
            exit::eprint(&format!(
                "skytail: error: {name}: {more} more blocks or rows can't be read"
            ));
        }
        if self.blocks.is_empty() && self.rows == 0 { Exit::Done } else { Exit::Failed }
    }
}
