//! What `--cursor`, `--from`, `--consumer`, `--state` and `--no-checkpoint` mean together: where a
//! run starts, and under which name it saves.

use std::path::PathBuf;

use super::consumer_name::{self, Destination};
use super::exit::UsageError;
use super::origin::Origins;
use super::tail::{CursorArgs, TailArgs};
use super::values::cursor::parse_cursor_mode;
use crate::checkpoint::default_state_path;
use crate::filter::Filter;
use crate::settings::{Consumer, CursorMode, OutputSettings, Unsaved};
use crate::sink::broker::BrokerSettings;
use crate::source::endpoint::Endpoint;

/// What the other flags say that matters here.
pub struct Around<'a> {
    /// The servers.
    pub endpoints: &'a [Endpoint],
    /// The filter.
    pub filter: &'a Filter,
    /// The files.
    pub output: Option<&'a OutputSettings>,
    /// The broker.
    pub to: Option<&'a BrokerSettings>,
    /// The present in Unix microseconds.
    pub now_us: u64,
    /// Whether standard output is a terminal.
    pub is_terminal: bool,
}

/// Where a run starts, and what it saves.
pub struct StartSettings {
    /// `--cursor`, or its default.
    pub cursor: CursorMode,
    /// `--from`.
    pub from: CursorMode,
    /// The name.
    pub consumer: Consumer,
    /// The state file; `None` to save nothing.
    pub state: Option<PathBuf>,
    /// Why nothing is saved, if so.
    pub unsaved: Option<Unsaved>,
}

/// Returns all of it.
///
/// # Errors
/// [`UsageError`], naming the flag, the value and the remedy.
pub fn start_settings(
    args: &TailArgs,
    around: &Around<'_>,
    origins: &Origins,
) -> Result<StartSettings, UsageError> {
    let wrong = |long: &str, error: String| UsageError(format!("{}: {error}", origins.of(long)));
    let given = &args.cursor;
    let names_place = around.output.is_some() || around.to.is_some() || given.consumer.is_some();
    let cursor = match &given.cursor {
        Some(text) => {
            let parsed = parse_cursor_mode(text, around.now_us);
            parsed.map_err(|error| wrong("cursor", error.to_string()))?
        }
        None if (names_place || given.from.is_some()) && !given.no_checkpoint => CursorMode::Auto,
        None => CursorMode::Live,
    };
    if matches!(cursor, CursorMode::Seq(_)) && around.endpoints.len() > 1 && !args.source.demo {
        let cursor = given.cursor.as_deref().unwrap_or_default();
        let told = format!(
            "{cursor} is a place on one server and means nothing on another: name that server with a single --host, or give a time"
        );
        return Err(wrong("cursor", told));
    }
    let from = from(given, cursor, around.now_us, origins)?;
    let asks_to_save = names_place
        || cursor == CursorMode::Auto
        || given.state.is_some()
        || given.checkpoint_every.is_some()
        || given.checkpoint_events.is_some();
    let unsaved = match (given.no_checkpoint, around.is_terminal && !asks_to_save) {
        (true, _) => Some(Unsaved::NoCheckpoint),
        (false, true) => Some(Unsaved::Terminal),
        (false, false) => None,
    };
    if let Some(name) = &given.consumer {
        consumer_name::check(name).map_err(|error| wrong("consumer", error.to_string()))?;
    }
    let destination = Destination::new(around.output, around.to);
    let consumer = Consumer {
        name: given.consumer.clone().unwrap_or_else(|| {
            consumer_name::derive(around.filter, around.endpoints, args.source.demo, &destination)
        }),
        is_chosen: given.consumer.is_some(),
        former: consumer_name::of_0_1_0(around.filter, around.endpoints, args.source.demo),
    };
    let state = state(given, cursor, unsaved.is_none(), origins)?;
    Ok(StartSettings { cursor, from, consumer, state, unsaved })
}

/// Reads `--from`; live without it.
fn from(
    given: &CursorArgs,
    cursor: CursorMode,
    now_us: u64,
    origins: &Origins,
) -> Result<CursorMode, UsageError> {
    let wrong = |error: String| UsageError(format!("{}: {error}", origins.of("from")));
    let Some(text) = &given.from else { return Ok(CursorMode::Live) };
    let from = match parse_cursor_mode(text, now_us) {
        Ok(CursorMode::Auto | CursorMode::Seq(_)) => {
            return Err(wrong(format!(
                "{text:?} can't be where a new consumer starts: write oldest, live, a time (2026-11-23T10:00:00Z) or an age (-15m)"
            )));
        }
        parsed => parsed.map_err(|error| wrong(error.to_string()))?,
    };
    if given.no_checkpoint {
        return Err(wrong(format!(
            "it says where a consumer starts of which nothing is saved, and --no-checkpoint saves nothing: write --cursor {text} in its place"
        )));
    }
    if cursor != CursorMode::Auto {
        return Err(wrong(format!(
            "it says where --cursor auto starts if nothing is saved, and {} is another start: leave one of the two out",
            origins.of("cursor")
        )));
    }
    Ok(from)
}

fn state(
    given: &CursorArgs,
    cursor: CursorMode,
    saves: bool,
    origins: &Origins,
) -> Result<Option<PathBuf>, UsageError> {
    let wrong = |long: &str, error: &str| UsageError(format!("{}: {error}", origins.of(long)));
    if given.no_checkpoint && cursor == CursorMode::Auto {
        return Err(wrong(
            "no-checkpoint",
            "\"--cursor auto\" goes on from a saved cursor: leave one of the two out",
        ));
    }
    if !saves {
        return Ok(None);
    }
    match &given.state {
        Some(path) if path.as_os_str().is_empty() => Err(wrong(
            "state",
            "the path is empty: write the path of a file, or use --no-checkpoint",
        )),
        Some(path) => Ok(Some(path.clone())),
        None => default_state_path().map(Some).map_err(|error| {
            UsageError(format!(
                "there is no default place for saved cursors ({error}): name one with --state FILE, or use --no-checkpoint"
            ))
        }),
    }
}
