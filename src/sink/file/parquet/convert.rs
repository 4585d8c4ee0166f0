//! Converts the file of one period.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::{ConvertError, ParquetSettings, parquet_path};
use crate::event::lines::{Line, try_each_line};
use crate::parquet::{self, AddError, EventWriter, Metadata};
use crate::sink::file::naming::field_parts;
use crate::sink::file::open;
use crate::sink::output_record::{OutputRecord, OutputState};

/// Converts the file of lines that `record` describes, and removes it. Returns what the state file
/// has to record: the Parquet files, and that the file of lines is gone.
///
/// # Errors
/// [`ConvertError`]; the file of lines is then unchanged, and a second call does everything again.
pub fn convert(
    record: &OutputRecord,
    settings: &ParquetSettings,
) -> Result<Vec<OutputRecord>, ConvertError> {
    let path = &record.path;
    let Some(target) = parquet_path(path) else { return Ok(Vec::new()) };
    let read = |cause| ConvertError::Read { path: path.clone(), cause };
    let source = format!("{:016x}-{}", record.tail_hash, record.length_bytes);
    let file = match File::open(path) {
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
    for (field, values) in writer.mismatches() {
        tracing::warn!(
            "--fields: {values} values of {field} have another type, and are null in {}",
            target.display()
        );
    }
    let metadata = Metadata { entries: settings.metadata.clone(), source: Some(source.clone()) };
    writer.finish(&target, &metadata)?;
    std::fs::remove_file(path).map_err(read)?;
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

/// Returns the files that a name stands for: one, or one for each collection.
///
/// # Errors
/// The error of the system, if the directory can't be read.
pub fn parts(target: &Path) -> io::Result<Vec<PathBuf>> {
    let Some((start, end)) = field_parts(target) else {
        let exists = std::fs::symlink_metadata(target).is_ok();
        return Ok(if exists { vec![target.to_owned()] } else { Vec::new() });
    };
    let directory = target.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_part = name.len() > start.len() + end.len()
            && name.starts_with(&*start)
            && name.ends_with(&*end);
        if is_part {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
