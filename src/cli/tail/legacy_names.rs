//! Continues outputs and cursors that version 0.1.0 saved under other names than later versions
//! derive from the same flags.

use std::path::Path;

use super::open_output;
use crate::checkpoint::lease::Lease;
use crate::checkpoint::store::{SavedCursor, Store, StoreError};
use crate::position::TimeUs;
use crate::settings::{TailSettings, To};
use crate::sink::output_record::OutputRecord;

/// Returns the name that the run saves under: the one that 0.1.0 derived, if that one owns this
/// output already.
///
/// # Errors
/// As the state file reports.
pub fn effective_name(store: &Store, settings: &TailSettings) -> Result<String, StoreError> {
    let consumer = &settings.consumer;
    let is_known = || -> Result<bool, StoreError> {
        let has_outputs = !store.newest_outputs(&consumer.name, 1)?.is_empty();
        Ok(has_outputs || store.names()?.contains(&consumer.name))
    };
    let owns = !consumer.is_chosen
        && consumer.lists.is_empty()
        && consumer.former != consumer.name
        && (settings.output.is_some() || settings.to.is_some())
        && !is_known()?
        && store.outputs(&consumer.former)?.iter().any(|record| is_output_of(record, settings));
    Ok(if owns { consumer.former.clone() } else { consumer.name.clone() })
}

/// Returns whether the run writes to this output.
pub fn is_output_of(record: &OutputRecord, settings: &TailSettings) -> bool {
    match (&settings.output, &settings.to) {
        (Some(output), _) => open_output::resolve_directory(&output.naming).is_ok_and(|naming| {
            let paths = [naming.path(TimeUs(0), 0), naming.working_path(TimeUs(0), 0)];
            let is_file = naming.rotate.is_none() && paths.contains(&record.path);
            is_file || (naming.rotate.is_some() && record.pattern == naming.pattern())
        }),
        (None, Some(To::Broker(to))) => record.pattern == to.target.to_string(),
        (None, Some(To::Database(_)) | None) => false,
    }
}

/// Moves the cursor to `consumer` that was saved under a name made of the content of the filter's
/// files. A later content would give another name.
///
/// # Errors
/// As the state file reports, or if another run uses that name.
pub fn adopt_content_cursor(
    store: &mut Store,
    state: &Path,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<()> {
    let Some(former) = content_name(store, consumer, settings)? else { return Ok(()) };
    let lease = Lease::acquire(state, &former)?;
    let outputs = store.outputs(&former)?;
    let is_own = outputs.iter().all(|record| is_output_of(record, settings));
    match is_own {
        true => store.rename(&former, consumer)?,
        // Another command continues the output.
        false => store.take_over(&former, consumer)?,
    }
    if !store.names()?.contains(&former) {
        lease.remove();
    }
    tracing::warn!(
        "continuing the cursor {former:?} as {consumer:?}, because the content of a filter's file is no longer part of the name"
    );
    Ok(())
}

/// Returns the name under which the cursor of a run is saved before the run has moved it.
///
/// # Errors
/// As the state file reports.
pub fn saved_name(store: &Store, settings: &TailSettings) -> Result<String, StoreError> {
    let consumer = effective_name(store, settings)?;
    Ok(content_name(store, &consumer, settings)?.unwrap_or(consumer))
}

/// Returns the name made of the content of the filter's files, if a cursor is saved under it and none
/// under `consumer`.
fn content_name(
    store: &Store,
    consumer: &str,
    settings: &TailSettings,
) -> Result<Option<String>, StoreError> {
    let Some(by_content) = &settings.consumer.by_content else { return Ok(None) };
    if store.load(consumer)?.is_some() {
        return Ok(None);
    }
    for name in [by_content, &settings.consumer.former] {
        if name != consumer && store.load(name)?.is_some() {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// Moves the cursor of a local server to `consumer` from the name that all local servers shared
/// in 0.1.0.
///
/// # Errors
/// As the state file reports, or if another run uses that name.
pub fn adopt_local_cursor(
    store: &mut Store,
    state: &Path,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<()> {
    let former = &settings.consumer.former;
    let is_stdout = settings.output.is_none() && settings.to.is_none();
    if settings.consumer.is_chosen || former == consumer || !is_stdout {
        return Ok(());
    }
    if store.load(consumer)?.is_some() {
        return Ok(());
    }
    let Ok(Some(SavedCursor::Position(resume))) = store.load(former) else { return Ok(()) };
    if settings.endpoints.iter().any(|e| *e.label == *resume.position.origin.server) {
        let lease = Lease::acquire(state, former)?;
        store.take_over(former, consumer)?;
        if !store.names()?.contains(former) {
            lease.remove();
        }
        tracing::info!("continuing the cursor {former:?} as {consumer:?}");
    }
    Ok(())
}
