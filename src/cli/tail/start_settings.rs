//! The settings of `--cursor`, `--from`, `--consumer`, `--state` and `--no-checkpoint`: where a
//! run starts, and where and under which name it saves.

use std::path::PathBuf;

use super::args::{CursorArgs, TailArgs};
use super::consumer_name::{self, Destination};
use super::filter_files::list_names;
use crate::checkpoint::default_state_path;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::cursor::{parse_cursor_mode, parse_since};
use crate::display::summary::UnsavedReason;
use crate::filter::Filter;
use crate::settings::{Consumer, CursorMode, OutputSettings, To};
use crate::source::endpoint::Endpoint;

/// The settings of other flags that the start depends on.
pub struct StartContext<'a> {
    pub endpoints: &'a [Endpoint],
    pub filter: &'a Filter,
    pub output: Option<&'a OutputSettings>,
    pub to: Option<&'a To>,
    /// The present in Unix microseconds.
    pub now_us: u64,
    /// Whether standard output is a terminal.
    pub is_terminal: bool,
}

/// Where a run starts, and what it saves.
pub struct StartSettings {
    /// `--cursor`, or its default.
    pub cursor: CursorMode,
    /// `--from`, or live.
    pub from: CursorMode,
    pub consumer: Consumer,
    /// The state file; `None` to save nothing.
    pub state: Option<PathBuf>,
    /// Why the run saves nothing, if so.
    pub unsaved: Option<UnsavedReason>,
}

/// Checks the flags, and returns the settings.
///
/// # Errors
/// [`UsageError`] with the flag, the value and the remedy.
pub fn start_settings(
    args: &TailArgs,
    context: &StartContext<'_>,
    sources: &ValueSources,
) -> Result<StartSettings, UsageError> {
    let given = &args.cursor;
    let names_output = context.output.is_some() || context.to.is_some() || given.consumer.is_some();
    let cursor = match (&given.cursor, &given.since) {
        (Some(text), _) => {
            let parsed = parse_cursor_mode(text, context.now_us);
            parsed.map_err(|error| sources.usage_error("cursor", error))?
        }
        (None, Some(text)) => {
            let parsed = parse_since(text, context.now_us);
            parsed.map_err(|error| sources.usage_error("since", error))?
        }
        (None, None) if (names_output || given.from.is_some()) && !given.no_checkpoint => {
            CursorMode::Auto
        }
        (None, None) => CursorMode::Live,
    };
    if matches!(cursor, CursorMode::Seq(_)) && context.endpoints.len() > 1 && !args.source.demo {
        let cursor = given.cursor.as_deref().unwrap_or_default();
        let problem = format!(
            "{cursor} is a sequence number of one server and means nothing on another: name that server with a single --host, or give a time"
        );
        return Err(sources.usage_error("cursor", problem));
    }
    let from = from(given, cursor, context.now_us, sources)?;
    let asks_to_save = names_output
        || cursor == CursorMode::Auto
        || given.state.is_some()
        || given.checkpoint_every.is_some()
        || given.checkpoint_events.is_some();
    let unsaved = match (given.no_checkpoint, context.is_terminal && !asks_to_save) {
        (true, _) => Some(UnsavedReason::NoCheckpoint),
        _ if given.last.last.is_some() => Some(UnsavedReason::Last),
        (false, true) => Some(UnsavedReason::Terminal),
        (false, false) => None,
    };
    if let Some(name) = &given.consumer {
        consumer_name::check(name).map_err(|error| sources.usage_error("consumer", error))?;
    }
    let state = state(given, cursor, unsaved.is_none(), sources)?;
    Ok(StartSettings { cursor, from, consumer: consumer(args, context), state, unsaved })
}

fn consumer(args: &TailArgs, context: &StartContext<'_>) -> Consumer {
    let StartContext { endpoints, filter, output, to, .. } = context;
    let demo = args.source.demo;
    let chosen = args.cursor.consumer.clone();
    let destination = Destination::new(*output, *to);
    let mut consumer = Consumer {
        is_chosen: chosen.is_some(),
        name: chosen.unwrap_or_default(),
        former: String::new(),
        lists: list_names(args),
        by_content: None,
    };
    name_consumer(&mut consumer, filter, endpoints, demo, &destination);
    consumer
}

/// Derives the names of a consumer from the filters, servers and output.
pub fn name_consumer(
    consumer: &mut Consumer,
    filter: &Filter,
    endpoints: &[Endpoint],
    demo: bool,
    destination: &Destination,
) {
    consumer.former = consumer_name::derive_0_1_0(filter, endpoints, demo);
    if consumer.is_chosen {
        return;
    }
    let lists = &consumer.lists;
    let by_content = || consumer_name::derive(filter, endpoints, demo, destination);
    consumer.by_content = (!lists.is_empty()).then(by_content);
    consumer.name = consumer_name::derive_with(filter, lists, endpoints, demo, destination);
}

/// Parses `--from`; live if it is not given.
fn from(
    given: &CursorArgs,
    cursor: CursorMode,
    now_us: u64,
    sources: &ValueSources,
) -> Result<CursorMode, UsageError> {
    let error = |problem: String| sources.usage_error("from", problem);
    let Some(text) = &given.from else { return Ok(CursorMode::Live) };
    let from = match parse_cursor_mode(text, now_us) {
        Ok(CursorMode::Auto | CursorMode::Seq(_)) => {
            return Err(error(format!(
                "{text:?} can't be where a new consumer starts: write oldest, live, a time (2026-11-23T10:00:00Z) or an age (15m)"
            )));
        }
        parsed => parsed.map_err(|parse_error| error(parse_error.to_string()))?,
    };
    if given.no_checkpoint {
        return Err(error(format!(
            "this is where a consumer starts if nothing is saved, and --no-checkpoint saves nothing: write --cursor {text} in its place"
        )));
    }
    if cursor != CursorMode::Auto {
        return Err(error(format!(
            "this is where --cursor auto starts if nothing is saved, and {} is another start: leave one of the two out",
            sources.of(if given.cursor.is_some() { "cursor" } else { "since" })
        )));
    }
    Ok(from)
}

fn state(
    given: &CursorArgs,
    cursor: CursorMode,
    saves: bool,
    sources: &ValueSources,
) -> Result<Option<PathBuf>, UsageError> {
    if given.no_checkpoint && cursor == CursorMode::Auto {
        return Err(sources.usage_error(
            "no-checkpoint",
            "\"--cursor auto\" resumes from a saved cursor: leave one of the two out",
        ));
    }
    if !saves {
        return Ok(None);
    }
    match &given.state {
        Some(path) if path.as_os_str().is_empty() => Err(sources.usage_error(
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
