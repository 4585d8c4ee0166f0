//! Writes a file again without some of its events.

use std::fs::File;
use std::io;
use std::path::Path;

use super::error::ReadError;
use super::events::Events;
use super::fields;
use super::writer::{AddError, EventWriter, FIELDS, Metadata, WriteError, Written};
use crate::paths::new_file::NewFileError;

/// Why a file can't be rewritten. The old file is then unchanged, and there is no new one.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The old file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<RewriteError> for io::Error {
    /// Returns the error of the system if that is the cause: its kind says what to do.
    fn from(error: RewriteError) -> Self {
        match error {
            RewriteError::Write(WriteError::NewFile(NewFileError::Failed { cause, .. }))
            | RewriteError::Read(ReadError::Io(cause)) => cause,
            other => Self::other(other),
        }
    }
}

/// Writes the events of `input` for which `keep` returns true to a new file at `output`, which must
/// not exist. `keep` gets the ordinal and the line, without a line feed, in the order in which the
/// events were received. Ordinals, added columns and metadata stay. The new file is synced.
///
/// Temporary files are in the directory of `output`. Takes up to 256 MiB of memory.
///
/// # Errors
/// [`RewriteError`].
pub fn rewrite(
    input: File,
    output: &Path,
    mut keep: impl FnMut(u64, &[u8]) -> bool,
) -> Result<Written, RewriteError> {
    let directory = output.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut events = Events::read(input, directory)?;
    let given = events.metadata().iter().find(|(key, _)| key == FIELDS);
    let given: Vec<&str> = given.map(|(_, list)| list.split(',').collect()).unwrap_or_default();
    let fields = fields::parse(&given)
        .map_err(|_| ReadError::Foreign("its fields have another form".to_owned()))?;
    let mut writer = EventWriter::new(fields, directory);
    let metadata = Metadata { entries: kept_metadata(events.metadata()), source: None };
    while let Some((ordinal, line)) = events.next_event()? {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if !keep(ordinal, line) {
            continue;
        }
        writer.add_at(ordinal, line).map_err(|error| match error {
            AddError::Malformed(cause) => ReadError::BadRow { row: ordinal + 1, cause },
            AddError::Io(cause) => ReadError::Io(cause),
        })?;
    }
    drop(events);
    let written = writer.finish(output, &metadata)?;
    let cause = || io::Error::other("no file was written");
    Ok(written.into_iter().next().ok_or_else(|| ReadError::Io(cause()))?)
}

/// Returns the metadata that the writer does not make itself.
fn kept_metadata(metadata: &[(String, String)]) -> Vec<(String, String)> {
    let is_made = |key: &str| {
        let key = key.strip_prefix("skytail.").unwrap_or_default();
        matches!(key, "version" | "fields") || key.starts_with("first_") || key.starts_with("last_")
    };
    metadata.iter().filter(|(key, _)| !is_made(key)).cloned().collect()
}
