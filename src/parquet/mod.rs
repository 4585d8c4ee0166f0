//! Parquet files of events: one row an event, sorted by collection, account and time.
//!
//! skytail writes and reads the format itself. The files use a small part of it (flat columns, two
//! encodings, zstd), so that is little code, and the reader takes no memory that a file only claims:
//! the crate `parquet` 60 reserves what the header of a page states (up to 2 GiB) and asserts on
//! damaged values, so a file from a stranger could end the program. The tests read the files back
//! with that crate and with DuckDB.

mod bloom;
mod column_reader;
mod column_writer;
mod error;
mod events;
pub mod fields;
mod file_writer;
mod footer;
mod hybrid;
mod page;
mod rewrite;
mod row;
mod schema;
mod sort;
mod thrift;
mod writer;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use error::ReadError;
pub use events::Events;
pub use rewrite::{RewriteError, rewrite};
pub use writer::{
    AddError, COLLECTION, EventWriter, Metadata, WriteError, Written, collection_field,
    is_part_name, is_source,
};

use crate::compression::sniff;

/// The first and the last bytes of a file.
pub const MAGIC: [u8; 4] = *b"PAR1";
/// Rows of a row group: what DuckDB hands to one thread.
const GROUP_ROWS: u64 = 122_880;
/// The longest footer that is read. A day of 50 million events has less than a megabyte.
const MAX_FOOTER_BYTES: u64 = 64 << 20;

/// Opens a recording: the lines of a Parquet file in the order in which they were received, or the
/// bytes of any other file, decompressed if they are zstd.
///
/// # Errors
/// The error of the system; an error of kind `InvalidData` with a [`ReadError`] if a Parquet file
/// can't be read; and as [`sniff::decompressed`].
pub fn open_recording(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    if !is_parquet(&mut file)? {
        let metadata = file.metadata()?;
        if is_name(path) && metadata.is_file() && metadata.len() < 2 * MAGIC.len() as u64 {
            return Err(ReadError::CutOff.into());
        }
        return sniff::decompressed(io::BufReader::with_capacity(256 << 10, file));
    }
    Ok(Box::new(Events::read(file, &std::env::temp_dir())?))
}

/// Returns whether a name stands for a Parquet file.
#[must_use]
pub fn is_name(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "parquet")
}

/// Returns whether a file begins as Parquet. For a pipe or a device it returns false, and reads
/// nothing of it.
///
/// # Errors
/// The error of the system.
pub fn is_parquet(file: &mut File) -> io::Result<bool> {
    use std::io::Seek as _;
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == MAGIC)
}

#[cfg(test)]
mod tests;
