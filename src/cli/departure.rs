//! Where a run starts, what it skips of what its consumer has not read, and which name of the
//! state file is its own.

use std::path::Path;
use std::time::Duration;

use super::exit::UsageError;
use super::open_output;
use crate::checkpoint::CursorValue;
use crate::checkpoint::lease::Lease;
use crate::checkpoint::store::{ByHand, Departure, SavedCursor, Store, StoreError};
use crate::display::units::duration;
use crate::position::gap::Gap;
use crate::position::{Mark, Seq, StartPosition, TimeUs};
use crate::settings::{CursorMode, TailSettings, Unsaved};
use crate::sink::record::OutputRecord;

/// The reason of a gap that the user chose.
pub const SKIPPED: &str = "skipped on request";

/// Returns whether this run leaves alone what is saved: the user did not ask it to save, and a
/// position is saved that a run was asked to save.
///
/// # Errors
/// As the state file reports.
pub fn leaves_alone(
    store: &Store,
    consumer: &str,
    settings: &TailSettings,
) -> Result<Option<Unsaved>, StoreError> {
    let is_casual = settings.cursor == CursorMode::Live && !is_asked_for(settings);
    Ok((is_casual && store.is_asked_for(consumer)?).then_some(Unsaved::Kept))
}

/// Returns whether the user asked for the position that the run saves.
pub fn is_asked_for(settings: &TailSettings) -> bool {
    settings.cursor == CursorMode::Auto
        || settings.output.is_some()
        || settings.to.is_some()
        || settings.consumer.is_chosen
}

/// Returns the name of the run: the one that 0.1.0 gave it, if it owns this output already.
///
/// # Errors
/// As the state file reports.
pub fn own_name(store: &Store, settings: &TailSettings) -> Result<String, StoreError> {
    let consumer = &settings.consumer;
    let is_known = || -> Result<bool, StoreError> {
        let has_outputs = !store.newest_outputs(&consumer.name, 1)?.is_empty();
        Ok(has_outputs || store.names()?.contains(&consumer.name))
    };
    let owns = !consumer.is_chosen
        && consumer.former != consumer.name
        && (settings.output.is_some() || settings.to.is_some())
        && !is_known()?
        && store.outputs(&consumer.former)?.iter().any(|record| is_of(record, settings));
    Ok(if owns { consumer.former.clone() } else { consumer.name.clone() })
}

/// Returns whether the run writes to this output.
fn is_of(record: &OutputRecord, settings: &TailSettings) -> bool {
    match (&settings.output, &settings.to) {
        (Some(output), _) => open_output::resolve(&output.naming).is_ok_and(|naming| {
            let is_file = naming.rotate.is_none() && naming.path(TimeUs(0), 0) == record.path;
            is_file || (naming.rotate.is_some() && record.pattern == naming.pattern())
        }),
        (None, Some(to)) => record.pattern == to.target.to_string(),
        (None, None) => false,
    }
}

/// Takes over the cursor of a local server from the name that all local servers shared in 0.1.0.
///
/// # Errors
/// As the state file reports, or if another run has that name.
pub fn take_over_local(
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

/// Refuses a start that would write events into an output a second time.
///
/// # Errors
/// [`UsageError`].
pub fn check_repetition(
    store: &Store,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<()> {
    let is_start = !matches!(settings.cursor, CursorMode::Auto | CursorMode::Live);
    let Some(output) = settings.output.as_ref().filter(|output| is_start && !output.append) else {
        return Ok(());
    };
    let holds_events = |record: &OutputRecord| {
        let is_there = std::fs::metadata(&record.path).is_ok_and(|found| found.len() > 0);
        is_of(record, settings) && record.length_bytes > 0 && is_there
    };
    let Some(record) = store.outputs(consumer)?.into_iter().find(holds_events) else {
        return Ok(());
    };
    let name = &output.naming.name;
    let told = format!(
        "--cursor: {} holds events already, and a start of its own would write some of them again: leave --cursor out to continue {name} (--from WHERE is where a new output starts), or give --append to accept the repetition",
        record.path.display()
    );
    Err(UsageError(told).into())
}

/// Warns about what a run skips whose start the user named, and arranges that its first save
/// keeps what is saved now.
pub fn depart(store: &mut Store, consumer: &str, start: &StartPosition, now: TimeUs) {
    // A damaged position is replaced, and can't be kept.
    let Ok(Some(saved)) = store.load(consumer) else { return };
    let skipped = skipped(&saved, start, now);
    if let Some(gap) = &skipped {
        let age = gap.from_time.map(|from| Duration::from_micros(now.0.saturating_sub(from.0)));
        let age = age.map(|age| format!(", {} ago", duration(age))).unwrap_or_default();
        tracing::warn!(
            "skipping what {consumer:?} has not read {gap} (it stopped{age}): --cursor auto resumes there instead; later `skytail cursors restore` brings it back"
        );
    }
    store.set_departure(Departure { skipped });
}

/// Returns the stretch between what is saved and a later start.
fn skipped(saved: &SavedCursor, start: &StartPosition, now: TimeUs) -> Option<Gap> {
    let (from_time, from_seq) = match saved {
        SavedCursor::Position(resume) => {
            let Mark { time, seq } = resume.position.newest;
            (Some(time), seq)
        }
        SavedCursor::ByHand(ByHand { at: CursorValue::Time(time), .. }) => (Some(*time), None),
        SavedCursor::ByHand(ByHand { at: CursorValue::Seq(seq), .. }) => (None, Some(*seq)),
    };
    let (to_time, to_seq) = match start {
        StartPosition::Live => (Some(now), None),
        StartPosition::Time(time) => (Some(*time), None),
        StartPosition::Seq(seq) => (None, Some(*seq)),
        StartPosition::Oldest | StartPosition::Resume(_) => return None,
    };
    let is_later = match (from_time, to_time, from_seq, to_seq) {
        (Some(from), Some(to), ..) => to > from,
        (_, _, Some(Seq(from)), Some(Seq(to))) => to > from.saturating_add(1),
        (None, Some(_), ..) => true,
        _ => false,
    };
    is_later.then(|| Gap {
        seen_at: now,
        from_time,
        to_time,
        from_seq,
        to_seq,
        reason: SKIPPED.to_owned(),
    })
}
