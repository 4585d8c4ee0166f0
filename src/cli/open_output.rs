//! From the files that earlier runs left to a sink: cuts off what a killed run wrote beyond
//! its last checkpoint, and opens the file to go on with, before anything is dialled.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::exit::UsageError;
use crate::checkpoint::store::Store;
use crate::display::units::counted;
use crate::paths;
use crate::position::TimeUs;
use crate::settings::OutputSettings;
use crate::sink::claim::{self, ClaimError, Claimed};
use crate::sink::file::FileSink;
use crate::sink::naming::Naming;
use crate::sink::record::{OutputRecord, OutputState};

/// Opens the files of a run. `None` stands for no state file.
///
/// # Errors
/// A [`UsageError`] where a file may not be written as it is.
pub fn open(
    settings: &OutputSettings,
    mut store: Option<&mut Store>,
    consumer: &str,
) -> anyhow::Result<FileSink> {
    let naming = resolve(&settings.naming)?;
    if naming.has_idle_fields() {
        tracing::warn!(
            "--output: {:?} is taken as it stands: its fields hold the time only with --rotate hourly, daily or a size",
            naming.name
        );
    }
    let mut known = match &mut store {
        Some(store) => store.outputs(consumer)?,
        None => Vec::new(),
    };
    let active = active(&known, &naming).map(|index| known.remove(index));
    if let Some(store) = &mut store {
        recover(store, consumer, &mut known)?;
    }
    let current = match (naming.rotate, active) {
        (Some(_), None) => {
            check_directory(&naming.directory)?;
            None
        }
        // Of a row of files the next one can be begun instead.
        (Some(_), Some(lost)) if settings.append && !lost.path.exists() => None,
        (_, active) => Some(take(settings, &naming, active, store, consumer)?),
    };
    FileSink::new(naming, settings.append, known, current).context("start to compress")
}

/// Cuts back the files that a killed run of this consumer left, whatever this run writes to.
///
/// # Errors
/// Where the state file can't be read or written. A file that can't be cut is told, and left.
pub fn recover(
    store: &mut Store,
    consumer: &str,
    records: &mut [OutputRecord],
) -> anyhow::Result<()> {
    let is_cut =
        |record: &&mut OutputRecord| record.state == OutputState::Open && !record.is_broker();
    for record in records.iter_mut().filter(is_cut) {
        match claim::cut_back(record) {
            Ok(0) => {}
            Ok(bytes) => told_cut(&record.path, bytes),
            Err(error) => tracing::warn!("a file of the last run was left as it is: {error}"),
        }
        record.state = OutputState::Clean;
        store.put_output(consumer, record)?;
    }
    Ok(())
}

fn told_cut(path: &Path, bytes: u64) {
    tracing::warn!(
        "the last run was killed: cut {} behind the saved position off {}; --cursor auto reads them again",
        counted(bytes, "byte"),
        path.display(),
    );
}

/// One path for one directory, however it was reached.
pub(super) fn resolve(naming: &Naming) -> anyhow::Result<Naming> {
    let given = &naming.directory;
    let found = given.canonicalize().and_then(|directory| match directory.is_dir() {
        true => Ok(directory),
        false => Err(ErrorKind::NotADirectory.into()),
    });
    let directory = found.map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => usage(&match paths::dangling_target(given) {
            Some(target) => ClaimError::DanglingLink { path: given.clone(), target },
            None => ClaimError::NoDirectory(given.clone()),
        }),
        ErrorKind::NotADirectory => usage(&ClaimError::NotInDirectory(given.clone())),
        _ => refused(ClaimError::Denied { path: given.clone(), cause }),
    })?;
    if directory.to_str().is_none() {
        let told = format!(
            "--output: the directory {} is not UTF-8: name a file elsewhere",
            directory.display()
        );
        return Err(UsageError(told).into());
    }
    Ok(Naming { directory, ..naming.clone() })
}

/// The file to go on with: the one file, or the newest of its row that holds anything.
fn active(known: &[OutputRecord], naming: &Naming) -> Option<usize> {
    let Some(rotate) = naming.rotate else {
        let path = naming.path(TimeUs(0), 0);
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

/// Opens the file, and notes that it is ours.
fn take(
    settings: &OutputSettings,
    naming: &Naming,
    active: Option<OutputRecord>,
    store: Option<&mut Store>,
    consumer: &str,
) -> anyhow::Result<(OutputRecord, std::fs::File, crate::sink::record::Tail)> {
    let path = match &active {
        Some(active) => active.path.clone(),
        None => naming.path(TimeUs(0), 0),
    };
    let claimed = claim::claim(&path, active.as_ref(), settings.append, naming.is_compressed());
    let Claimed { file, length_bytes, tail, cut_bytes } = claimed.map_err(refused)?;
    if cut_bytes > 0 {
        told_cut(&path, cut_bytes);
    }
    claim::sync_directory(&path)
        .map_err(|cause| refused(ClaimError::Failed { path: path.clone(), cause }))?;
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
        store.begin_output(consumer, &record)?;
    }
    Ok((record, file, tail))
}

/// Whether files can be made in a directory, as far as that can be seen without making one.
fn check_directory(directory: &Path) -> anyhow::Result<()> {
    let refuse = |cause| Err(refused(ClaimError::Denied { path: directory.to_owned(), cause }));
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        if let Err(cause) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            return refuse(cause.into());
        }
    }
    Ok(())
}

fn usage(error: &ClaimError) -> anyhow::Error {
    UsageError(format!("--output: {error}")).into()
}

fn refused(error: ClaimError) -> anyhow::Error {
    if error.is_usage() { usage(&error) } else { anyhow!("--output: {error}") }
}
