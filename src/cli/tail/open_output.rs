//! Opens the output files of a run, before any connection is made: truncates what a killed run
//! wrote after its last checkpoint, and opens the file to continue.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::checkpoint::store::Store;
use crate::cli::exit::UsageError;
use crate::display::units::counted;
use crate::parquet::is_parquet;
use crate::paths;
use crate::platform;
use crate::position::TimeUs;
use crate::settings::OutputSettings;
use crate::sink::file::FileSink;
use crate::sink::file::naming::Naming;
use crate::sink::file::open::{self, OpenFileError, OpenedFile};
use crate::sink::file::parquet::{self, Ended};
use crate::sink::output_record::{FileTail, OutputRecord, OutputState};

/// Opens the files of a run. `store` is `None` for a run without a state file.
///
/// # Errors
/// A [`UsageError`] if a file may not be written as it is.
pub fn open(
    settings: &OutputSettings,
    mut store: Option<&mut Store>,
    consumer: &str,
) -> anyhow::Result<FileSink> {
    let naming = resolve_directory(&settings.naming)?;
    if naming.has_unused_fields() {
        tracing::warn!(
            "--output: {:?} is taken as it stands: its fields hold the time only with --rotate hourly, daily or a size",
            naming.name
        );
    }
    let mut known = match &mut store {
        Some(store) => store.outputs(consumer)?,
        None => Vec::new(),
    };
    let ended = ended_periods(&known, &naming);
    if naming.is_parquet() && naming.rotate.is_none() {
        finish_complete(&naming, &ended, settings, &mut store, consumer)?;
    }
    let active = file_to_continue(&known, &naming).map(|index| known.remove(index));
    if let Some(store) = &mut store {
        truncate_unsaved(store, consumer, &mut known)?;
    }
    let current = match (naming.rotate, active) {
        (Some(_), None) => {
            check_directory(&naming.directory)?;
            None
        }
        // If the user accepts a missing file of a rotation, the next file is begun instead.
        (Some(_), Some(lost)) if settings.append && !lost.path.exists() => None,
        (_, active) => Some(open_current(settings, &naming, active, store, consumer)?),
    };
    let is_parquet = naming.is_parquet();
    let sink =
        FileSink::new(naming, settings.append, known, current).context("start to compress")?;
    Ok(if is_parquet { sink.with_parquet(settings.parquet.clone(), ended) } else { sink })
}

/// Returns the periods that an earlier run ended and did not convert to Parquet.
fn ended_periods(known: &[OutputRecord], naming: &Naming) -> Vec<OutputRecord> {
    let pattern = naming.pattern();
    let has_ended = |record: &&OutputRecord| {
        record.state == OutputState::Done
            && record.pattern == pattern
            && parquet::parquet_path(&record.path).is_some()
    };
    known.iter().filter(has_ended).cloned().collect()
}

/// Converts the file of a run that was killed at its end, and refuses to write to a file that is
/// complete.
fn finish_complete(
    naming: &Naming,
    ended: &[OutputRecord],
    settings: &OutputSettings,
    store: &mut Option<&mut Store>,
    consumer: &str,
) -> anyhow::Result<()> {
    for record in ended {
        let record = Ended::by_earlier_run(record.clone());
        let converted = parquet::convert(&record, &settings.parquet)
            .map_err(|error| anyhow!("--output: {error}"))?;
        for record in converted {
            if let Some(store) = store {
                store.put_output(consumer, &record)?;
            }
        }
    }
    let existing = parquet::parts(&naming.path(TimeUs(0), 0)).unwrap_or_default();
    match existing.into_iter().next() {
        Some(path) => {
            let is_parquet = File::open(&path).and_then(|mut file| is_parquet(&mut file));
            Err(usage(&match is_parquet {
                Ok(true) => OpenFileError::Complete(path),
                _ => OpenFileError::Taken(path),
            }))
        }
        None => Ok(()),
    }
}

/// Truncates the files that a killed run of this consumer left, whatever this run writes to.
/// Warns about a file that can't be truncated, and leaves it.
///
/// # Errors
/// If the state file can't be read or written.
pub fn truncate_unsaved(
    store: &mut Store,
    consumer: &str,
    records: &mut [OutputRecord],
) -> anyhow::Result<()> {
    let was_open =
        |record: &&mut OutputRecord| record.state == OutputState::Open && !record.is_broker();
    for record in records.iter_mut().filter(was_open) {
        match open::truncate_to_checkpoint(record) {
            Ok(0) => {}
            Ok(bytes) => warn_truncated(&record.path, bytes),
            Err(error) => tracing::warn!("a file of the last run was left as it is: {error}"),
        }
        record.state = OutputState::Clean;
        store.put_output(consumer, record)?;
    }
    Ok(())
}

fn warn_truncated(path: &Path, bytes: u64) {
    tracing::warn!(
        "the last run was killed: cut {} after the saved position off {}; --cursor auto reads them again",
        counted(bytes, "byte"),
        path.display(),
    );
}

/// Replaces the directory by its canonical path, so that it is the same however it is reached.
pub(super) fn resolve_directory(naming: &Naming) -> anyhow::Result<Naming> {
    let given = &naming.directory;
    let found = platform::canonical(given).and_then(|directory| match directory.is_dir() {
        true => Ok(directory),
        false => Err(ErrorKind::NotADirectory.into()),
    });
    let directory = found.map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => usage(&match paths::dangling_target(given) {
            Some(target) => OpenFileError::DanglingLink { path: given.clone(), target },
            None => OpenFileError::NoDirectory(given.clone()),
        }),
        ErrorKind::NotADirectory => usage(&OpenFileError::NotInDirectory(given.clone())),
        _ => output_error(OpenFileError::Denied { path: given.clone(), cause }),
    })?;
    if directory.to_str().is_none() {
        let message = format!(
            "--output: the path of the directory {} is not UTF-8: name a file in another directory",
            directory.display()
        );
        return Err(UsageError(message).into());
    }
    Ok(Naming { directory, ..naming.clone() })
}

/// Returns the index of the file to continue: the only file, or the newest file of the rotation
/// that holds events.
fn file_to_continue(known: &[OutputRecord], naming: &Naming) -> Option<usize> {
    let Some(rotate) = naming.rotate else {
        let path = naming.working_path(TimeUs(0), 0);
        return known.iter().position(|record| record.path == path);
    };
    let pattern = naming.pattern();
    known.iter().rposition(|record| {
        record.pattern == pattern
            && record.rotation.as_deref() == Some(rotate.word())
            && record.state != OutputState::Done
            && record.length_bytes > 0
    })
}

/// Opens the current file, and records in the state file that this consumer owns it.
fn open_current(
    settings: &OutputSettings,
    naming: &Naming,
    active: Option<OutputRecord>,
    store: Option<&mut Store>,
    consumer: &str,
) -> anyhow::Result<(OutputRecord, File, FileTail)> {
    let path = match &active {
        Some(active) => active.path.clone(),
        None => naming.working_path(TimeUs(0), 0),
    };
    let opened =
        open::open_for_append(&path, active.as_ref(), settings.append, naming.is_compressed());
    let OpenedFile { file, length_bytes, tail, truncated_bytes } = opened.map_err(output_error)?;
    if truncated_bytes > 0 {
        warn_truncated(&path, truncated_bytes);
    }
    open::sync_directory(&path)
        .map_err(|cause| output_error(OpenFileError::Failed { path: path.clone(), cause }))?;
    let record = OutputRecord {
        path,
        pattern: naming.pattern(),
        rotation: naming.rotate.map(|rotate| rotate.word().to_owned()),
        state: OutputState::Open,
        length_bytes,
        tail_hash: tail.hash(),
        period_start: active.as_ref().and_then(|active| active.period_start),
        number: active.as_ref().map_or(0, |active| active.number),
    };
    if let Some(store) = store {
        store.persist_output(consumer, &record)?;
    }
    Ok((record, file, tail))
}

/// Checks that files can be created in a directory, as far as is possible without creating one.
fn check_directory(directory: &Path) -> anyhow::Result<()> {
    crate::platform::check_writable_directory(directory)
        .map_err(|cause| output_error(OpenFileError::Denied { path: directory.to_owned(), cause }))
}

fn usage(error: &OpenFileError) -> anyhow::Error {
    UsageError(format!("--output: {error}")).into()
}

fn output_error(error: OpenFileError) -> anyhow::Error {
    if error.is_usage() { usage(&error) } else { anyhow!("--output: {error}") }
}
