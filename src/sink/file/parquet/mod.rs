//! Output in Parquet. A Parquet file can't grow, so the events of an open period are in
//! `NAME.parquet.open.ndjson.zst`, a file like any other. After the state file has recorded its
//! end, a thread converts it to `NAME.parquet` and removes it.
//!
//! The file of lines exists until the Parquet file has its name. So a run that finds the file of a
//! period that has ended converts it, whatever was killed at which step, and does nothing else.

mod convert;
mod converter;

use std::path::{Path, PathBuf};

use crate::parquet::WriteError;
use crate::parquet::fields::Field;

pub use convert::{convert, parts};
pub use converter::{Converter, Ended, Waiting};

/// The ending of the file of an open period, after the name of the Parquet file.
pub const OPEN: &str = ".open.ndjson.zst";

/// What the Parquet files of a run have beside the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParquetSettings {
    /// The columns of `--fields`.
    pub fields: Vec<Field>,
    /// Keys and values of the metadata.
    pub metadata: Vec<(String, String)>,
}

/// Why a period could not be converted. Its file of lines is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The file of lines can't be read.
    #[error("can't read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system, or of zstd.
        #[source]
        cause: std::io::Error,
    },
    /// The file of lines is not as it was left.
    #[error("{} was changed by another program: put it back, or convert it with skytail convert and remove it", .0.display())]
    Changed(PathBuf),
    /// A line is not an event.
    #[error("{}, line {line}, is not an event: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        cause: crate::event::error::Malformed,
    },
    /// The Parquet file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The thread has ended.
    #[error("the thread that converts has ended unexpectedly")]
    Lost,
}

/// Returns the path of the file of an open period.
#[must_use]
pub fn open_path(parquet: &Path) -> PathBuf {
    let mut path = parquet.as_os_str().to_owned();
    path.push(OPEN);
    path.into()
}

/// Returns the path of the Parquet file for the file of an open period; `None` for another file.
#[must_use]
pub fn parquet_path(open: &Path) -> Option<PathBuf> {
    let path = open.to_str()?.strip_suffix(OPEN)?;
    path.ends_with(".parquet").then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests;
