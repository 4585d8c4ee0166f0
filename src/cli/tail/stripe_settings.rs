//! The settings of `--archive-stripe`. All machines have to divide the same history in the same
//! way, so its start and its end must be fixed, and the segments must be those of one server.

use super::args::TailArgs;
use super::consumer_name::hash;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::cursor::{parse_cursor_mode, parse_since};
use crate::cli::values::time::parse_time;
use crate::position::TimeUs;
use crate::settings::{Archive, ArchiveMode, CursorMode, TailSettings};
use crate::source::archive::BackfillStart;
use crate::source::protocol::Protocol;

/// Longer than any word for a time, such as "yesterday", keeps its meaning, in microseconds.
const LATER_US: u64 = 400 * 86_400 * 1_000_000;

/// Adds the stripe to the settings of a run: to its archive and to its consumer.
///
/// # Errors
/// [`UsageError`] if other machines could divide the history in another way.
pub fn add_stripe(
    args: &TailArgs,
    settings: TailSettings,
    now_us: u64,
    sources: &ValueSources,
) -> Result<TailSettings, UsageError> {
    let Some(stripe) = args.archive_bounds.archive_stripe else { return Ok(settings) };
    let error = |problem: &str| Err(sources.usage_error("archive-stripe", problem));
    if args.source.host.len() != 1 {
        return error(
            "each server divides its events into segments of its own: name one server with --host",
        );
    }
    let is_v1 =
        settings.endpoints.iter().any(|e| settings.protocol.pinned(e) == Some(Protocol::V1));
    if settings.archive.mode == ArchiveMode::Off || is_v1 {
        return error(
            "a stripe is read from the archive alone: leave --archive off and --protocol v1 out",
        );
    }
    if settings.to.as_ref().is_some_and(|to| to.database().is_some()) {
        return error("a database needs the whole history in one run: leave the flag out");
    }
    if settings.stop.until.is_none() || is_relative(args, now_us) {
        return error(
            "all machines must divide the same history: give --until and the start as times that don't depend on the present (2026-11-23T10:00:00Z), or --cursor oldest",
        );
    }
    let start = if settings.cursor == CursorMode::Auto { settings.from } else { settings.cursor };
    let origin = match start {
        CursorMode::Oldest => BackfillStart::After(0),
        CursorMode::Time(time) => BackfillStart::Since(time),
        CursorMode::Seq(seq) => BackfillStart::After(seq.0.saturating_sub(1)),
        CursorMode::Live | CursorMode::Auto => {
            return error(
                "a history needs a start: give --cursor oldest or a time, or the same with --from to resume",
            );
        }
    };
    let archive = Archive { stripe: Some((stripe, origin)), ..settings.archive };
    let mut consumer = settings.consumer;
    consumer.name = of_stripe(&consumer.name, &archive, settings.stop.until);
    consumer.former.clone_from(&consumer.name);
    Ok(TailSettings { archive, consumer, ..settings })
}

/// Returns the name of one stripe of the history that `name` reads. Another start or end of the
/// history is another name: its stripes have other bounds.
pub fn of_stripe(name: &str, archive: &Archive, until: Option<TimeUs>) -> String {
    let Some((stripe, origin)) = archive.stripe else { return name.to_owned() };
    let origin = match origin {
        BackfillStart::After(seq) => format!("seq {seq}"),
        BackfillStart::Since(time) => format!("time {}", time.0),
    };
    let until = until.map_or(0, |until| until.0);
    let hash = hash(&format!("stripe\0{origin}\0{until}"));
    format!("{name}+stripe:{}of{}-{hash}", stripe.number, stripe.of)
}

/// Returns whether a time of the command line means another time later.
fn is_relative(args: &TailArgs, now_us: u64) -> bool {
    let later_us = now_us.saturating_add(LATER_US);
    let mode = |text: &String, now_us| parse_cursor_mode(text, now_us).ok();
    let since = |text: &String, now_us| parse_since(text, now_us).ok();
    let until = |text: &String, now_us| parse_time(text, now_us).ok();
    let cursor = &args.cursor;
    [&cursor.cursor, &cursor.from]
        .into_iter()
        .flatten()
        .any(|t| mode(t, now_us) != mode(t, later_us))
        || cursor.since.iter().any(|t| since(t, now_us) != since(t, later_us))
        || args.output.until.iter().any(|t| until(t, now_us) != until(t, later_us))
}
