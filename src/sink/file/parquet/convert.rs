//! Converts the file of one period.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ConvertError, Ended, ParquetSettings, parquet_path};
use crate::event::lines::{Line, try_each_line};
use crate::parquet::{self, AddError, EventWriter, Metadata};
use crate::sink::file::naming::field_parts;
use crate::sink::file::open;
use crate::sink::output_record::{OutputRecord, OutputState};

/// Converts the file of lines of a period, and removes it. Returns what the state file has to
/// record: the Parquet files, and that the file of lines is gone.
///
/// # Errors
/// [`ConvertError`]; the file of lines is then unchanged, and a second call does everything again.
pub fn convert(
    ended: &Ended,
    settings: &ParquetSettings,
) -> Result<Vec<OutputRecord>, ConvertError> {
    let record = &ended.record;
    let path = &record.path;
    let Some(target) = parquet_path(path) else { return Ok(Vec::new()) };
    let read = |cause| ConvertError::Read { path: path.clone(), cause };
    let source = format!("{:016x}-{}", record.tail_hash, record.length_bytes);
    let opened = ended.file.clone().map_or_else(|| File::open(path).map(Arc::new), Ok);
    let file = match opened {
        Ok(file) => file,
        // A run was killed after it had removed the file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return results(record, &target, &source).map_err(read);
        }
        Err(error) => return Err(read(error)),
    };
    let length = file.metadata().map_err(read)?.len();
    if length != record.length_bytes
        || open::tail_hash(&file, length).map_err(read)? != record.tail_hash
    {
        return Err(ConvertError::Changed(path.clone()));
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut writer = EventWriter::new(settings.fields.clone(), directory);
    add_lines(&file, path, &mut writer)?;
    for warning in writer.field_warnings() {
        tracing::warn!("{}: {warning}", target.display());
    }
    let metadata = Metadata { entries: settings.metadata.clone(), source: Some(source.clone()) };
    writer.finish(&target, &metadata)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(read(error)),
        _ => {}
    }
    open::sync_directory(path).map_err(read)?;
    results(record, &target, &source).map_err(read)
}

/// Why lines can't be read.
enum Stop {
    Read(io::Error),
    Other(ConvertError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

fn add_lines(mut file: &File, path: &Path, writer: &mut EventWriter) -> Result<(), ConvertError> {
    let read = |cause| ConvertError::Read { path: path.to_owned(), cause };
    io::Seek::rewind(&mut file).map_err(read)?;
    let input = zstd::stream::read::Decoder::new(file).map_err(read)?;
    let mut number = 0;
    let done = try_each_line(BufReader::with_capacity(256 << 10, input), |line| {
        number += 1;
        let Line::Whole(line) = line else {
            return Err(Stop::Read(io::Error::other("a line is not whole")));
        };
        // mutant: leaves-a-line-out-of-parquet
        writer.add(line).map_err(|error| match error {
            AddError::Io(cause) => Stop::Other(ConvertError::Write(
                crate::paths::new_file::NewFileError::Failed { path: path.to_owned(), cause }
                    .into(),
            )),
            AddError::Malformed(cause) => {
                Stop::Other(ConvertError::Malformed { path: path.to_owned(), line: number, cause })
            }
        })
    });
    done.map_err(|stop| match stop {
        Stop::Read(cause) => read(cause),
        Stop::Other(error) => error,
    })
}

/// Returns the records of the Parquet files that came of this source, and that its own file is
/// gone. After a kill only the files show what was done.
fn results(record: &OutputRecord, target: &Path, source: &str) -> io::Result<Vec<OutputRecord>> {
    let mut records = Vec::new();
    for path in parts(target)? {
        if !parquet::is_source(&path, source) {
            continue;
        }
        let file = File::open(&path)?;
        let length_bytes = file.metadata()?.len();
        let tail_hash = open::tail_hash(&file, length_bytes)?;
        let state = OutputState::Done;
        records.push(OutputRecord { path, state, length_bytes, tail_hash, ..record.clone() });
    }
    if records.is_empty() {
        tracing::warn!(
            "{} is gone, and so is the file that it was to be converted from: it was moved or removed",
            target.display()
        );
    }
    records.push(OutputRecord { state: OutputState::Gone, ..record.clone() });
    Ok(records)
}

/// Returns the files that a name stands for: one, or one for each collection. A file whose name only
/// looks like that of a collection is another program's, and is in no one's way.
///
/// # Errors
/// The error of the system, if the directory can't be read.
pub fn parts(target: &Path) -> io::Result<Vec<PathBuf>> {
    let Some((start, end)) = field_parts(target) else {
        let exists = std::fs::symlink_metadata(target).is_ok();
        return Ok(if exists { vec![target.to_owned()] } else { Vec::new() });
    };
    let directory = target.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let part = name.strip_prefix(&*start).and_then(|rest| rest.strip_suffix(&*end));
        if part.is_some_and(parquet::is_part_name) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
