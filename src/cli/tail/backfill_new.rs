//! `--backfill-new`: its flags, and the lists of a run that begins.

use std::sync::Arc;

use super::args::TailArgs;
use crate::checkpoint::store::Store;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::display::units::counted;
use crate::pipeline::side_lists::SideLists;
use crate::settings::{Archive, ArchiveMode, CursorMode, TailSettings};
use crate::sink::sqlite::Database;

/// Checks `--backfill-new` against the other flags.
///
/// # Errors
/// [`UsageError`] if no archive may be read, or if the run has no live stream.
pub fn check(args: &TailArgs, archive: &Archive, sources: &ValueSources) -> Result<(), UsageError> {
    let is_wanted = args.archive_bounds.backfill_new;
    let problem = match (archive.mode, args.archive_bounds.archive_stripe) {
        _ if !is_wanted => return Ok(()),
        (ArchiveMode::Off, _) => "the history is in the archive: leave --archive off out",
        (_, Some(_)) => "a stripe reads one fixed history: leave --archive-stripe or this flag out",
        _ => return Ok(()),
    };
    Err(sources.usage_error("backfill-new", problem))
}

/// Returns the lists of a run that saves nothing: all entries are live.
#[must_use]
pub fn first_lists(settings: &TailSettings) -> Option<SideLists> {
    let filter = || Arc::new(settings.filter.clone());
    settings.backfill_new.then(|| SideLists::new(filter(), None))
}

/// Returns the lists of a run. What they gained since the run before waits for its history. Without
/// the flag, what is saved of them is deleted.
///
/// # Errors
/// If the state file can't be read or written.
pub fn lists(
    store: &mut Store,
    database: Option<&Database>,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<Option<SideLists>> {
    // The state file has only a copy of what is in a database.
    let saved = match database {
        Some(database) => database.lists()?,
        None => store.additions(consumer)?,
    };
    if !settings.backfill_new {
        let Some(saved) = saved else { return Ok(None) };
        // The first commit deletes them in a database.
        store.forget_additions(consumer)?;
        let waiting: usize = saved.pending.iter().map(|addition| addition.values.len()).sum();
        if waiting > 0 {
            tracing::warn!(
                "{} of the lists waited for the history, which is not read without --backfill-new",
                counted(waiting as u64, "entry")
            );
        }
        return Ok(None);
    }
    // A run with a start of its own begins with all entries.
    let saved = saved.filter(|_| settings.cursor == CursorMode::Auto);
    Ok(Some(SideLists::new(Arc::new(settings.filter.clone()), saved)))
}

/// Makes the filter of the settings that of the live stream, which begins without what waits for its
/// history. Call it after the watcher of the files has the settings: it knows all entries.
pub fn apply_live(lists: Option<&SideLists>, settings: &mut TailSettings) {
    if let Some(lists) = lists {
        settings.filter = (*lists.live()).clone();
    }
}
