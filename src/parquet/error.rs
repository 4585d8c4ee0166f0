//! Why a Parquet file can't be written or read.

use std::io;

use crate::event::error::Malformed;

/// Why a Parquet file can't be read. The caller adds its name.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file does not begin and end as Parquet does.
    #[error("it is not a Parquet file")]
    NotParquet,
    /// The file begins as Parquet and does not end so.
    #[error("it is cut off: the footer of the Parquet file is missing, so copy it again")]
    CutOff,
    /// The file has other columns or encodings than skytail writes.
    #[error("it is a Parquet file that skytail did not write: {0}")]
    Foreign(String),
    /// The file contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// The columns of a row make no event.
    #[error("it is damaged: the row {row} is no event: {cause}")]
    BadRow {
        /// The number of the row in the file, from 1.
        row: u64,
        /// What is wrong with it.
        cause: Malformed,
    },
    /// The system can't read it, or can't write the temporary file of a sort.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}
