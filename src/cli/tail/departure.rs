//! A departure is a start elsewhere than at the consumer's saved position. It must neither lose
//! that position, nor repeat events in an output, nor skip events without a word.

use std::time::Duration;

use super::legacy_names::is_output_of;
use crate::checkpoint::CursorValue;
use crate::checkpoint::store::{CursorOverride, ManualCursor, SavedCursor, Store, StoreError};
use crate::cli::exit::UsageError;
use crate::display::summary::UnsavedReason;
use crate::display::units::duration;
use crate::position::gap::Gap;
use crate::position::{EventPosition, Seq, StartPosition, TimeUs};
use crate::settings::{CursorMode, TailSettings};
use crate::sink::output_record::OutputRecord;

/// The reason of a gap that the user chose.
const SKIPPED: &str = "skipped on request";

/// Returns why this run must not replace what is saved, if so: the user did not ask it to save,
/// and an earlier run was asked to save the position.
///
/// # Errors
/// As the state file reports.
pub fn keeps_saved_position(
    store: &Store,
    consumer: &str,
    settings: &TailSettings,
) -> Result<Option<UnsavedReason>, StoreError> {
    let is_casual = settings.cursor == CursorMode::Live && !is_requested(settings);
    Ok((is_casual && store.is_asked_for(consumer)?).then_some(UnsavedReason::Kept))
}

/// Returns whether the user asked the run to save its position.
pub fn is_requested(settings: &TailSettings) -> bool {
    settings.cursor == CursorMode::Auto
        || settings.output.is_some()
        || settings.to.is_some()
        || settings.consumer.is_chosen
}

/// Refuses a start that would write events to an output a second time.
///
/// # Errors
/// [`UsageError`], or as the state file reports.
pub fn check_repetition(
    store: &Store,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<()> {
    let is_start = match settings.cursor {
        CursorMode::Live => false,
        // After `cursors reset` the output has events and the consumer no position.
        CursorMode::Auto => settings.from != CursorMode::Live && store.load(consumer)?.is_none(),
        _ => true,
    };
    let Some(output) = settings.output.as_ref().filter(|output| is_start && !output.append) else {
        return Ok(());
    };
    let holds_events = |record: &OutputRecord| {
        let has_bytes = std::fs::metadata(&record.path).is_ok_and(|found| found.len() > 0);
        is_output_of(record, settings) && record.length_bytes > 0 && has_bytes
    };
    let Some(record) = store.outputs(consumer)?.into_iter().find(holds_events) else {
        return Ok(());
    };
    let name = &output.naming.name;
    let path = record.path.display();
    let message = match settings.cursor {
        _ if output.naming.is_parquet() => format!(
            "--cursor and --from: {path} holds events already, and this start would write some of them again: leave both out to continue {name}, or name another file"
        ),
        CursorMode::Auto => format!(
            "--from: {path} holds events already, and this start would write some of them again: leave --from out to continue {name} with new events, or give --append to accept the repetition"
        ),
        _ => format!(
            "--cursor: {path} holds events already, and this start would write some of them again: leave --cursor out to continue {name} (--from WHERE is where a new output starts), or give --append to accept the repetition"
        ),
    };
    Err(UsageError(message).into())
}

/// Warns about the events that an explicit start skips, and makes the store keep the saved
/// position when the run first saves. Returns what the start skips.
pub fn record_departure(
    store: &mut Store,
    consumer: &str,
    start: &StartPosition,
    now: TimeUs,
) -> Option<Gap> {
    // A damaged position can't be kept, and is replaced.
    let saved = store.load(consumer).ok().flatten()?;
    let skipped = skipped(&saved, start, now);
    if let Some(gap) = &skipped {
        let age = gap.from_time.map(|from| Duration::from_micros(now.0.saturating_sub(from.0)));
        let age = age.map(|age| format!(", {} ago", duration(age))).unwrap_or_default();
        tracing::warn!(
            "skipping what {consumer:?} has not read {gap} (it stopped{age}): --cursor auto resumes there instead; later `skytail cursors restore` brings it back"
        );
    }
    store.set_cursor_override(CursorOverride { skipped: skipped.clone() });
    skipped
}

/// Returns the gap between what is saved and a later start.
fn skipped(saved: &SavedCursor, start: &StartPosition, now: TimeUs) -> Option<Gap> {
    let (from_time, from_seq) = match saved {
        SavedCursor::Position(resume) => {
            let EventPosition { time, seq } = resume.position.newest;
            (Some(time), seq)
        }
        SavedCursor::Manual(ManualCursor { at: CursorValue::Time(time), .. }) => {
            (Some(*time), None)
        }
        SavedCursor::Manual(ManualCursor { at: CursorValue::Seq(seq), .. }) => (None, Some(*seq)),
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
