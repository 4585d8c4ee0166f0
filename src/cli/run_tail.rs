//! From settings to a running pipeline, and from its outcome to an exit code.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use super::attend::{Attendance, Beginning};
use super::demo::{AtEnd, Demo};
use super::exit::{Exit, UsageError, in_words};
use super::resolve::resolve_handles;
use super::state::State;
use super::{hints, limits, report};
use crate::compression::cache::Cache;
use crate::compression::dictionary::{self, Dictionary, OFFICIAL_ID};
use crate::display::colour;
use crate::display::log::{self, LogSettings};
use crate::display::progress::{self, ProgressDisplay};
use crate::display::terminal::Terminal;
use crate::metrics::Metrics;
use crate::pipeline::shutdown::Shutdown;
use crate::pipeline::{self, PipelineInputs, RunEvent, RunObserver};
use crate::position::StartPosition;
use crate::render::{Renderer, Surface};
use crate::settings::{
    ColorMode, CompressMode, DisplaySettings, LogFormat, ProgressMode, TailSettings,
};
use crate::sink::Sink;
use crate::sink::stdout::{self, Overlay, Stdout};
use crate::source::endpoint::Endpoint;
use crate::source::handle::ResolveError;
use crate::source::net::proxy::Proxies;
use crate::source::protocol::Protocol;
use crate::source::v2::dictionaries::{Dictionaries, ZstdPolicy};

/// Runs one tail to its end. What goes wrong is logged, in the form that was asked for.
///
/// # Errors
/// A [`UsageError`] where there can be no log.
pub fn run_tail(settings: TailSettings, display: DisplaySettings) -> anyhow::Result<Exit> {
    let terminal = Terminal::stderr();
    log::init(&log_settings(&display), &terminal).map_err(|e| UsageError(e.to_string()))?;
    Ok(run(settings, display, &terminal).unwrap_or_else(|error| {
        tracing::error!("{}", in_words(&error));
        exit_of(&error)
    }))
}

/// What a run ends with that this kept from its work.
pub(super) fn exit_of(error: &anyhow::Error) -> Exit {
    let unreachable = |error: &ResolveError| error.is_unreachable();
    if error.chain().any(|cause| cause.is::<UsageError>()) {
        Exit::Usage
    } else if error.chain().filter_map(|cause| cause.downcast_ref()).any(unreachable) {
        Exit::GaveUp
    } else {
        Exit::Failed
    }
}

fn run(
    mut settings: TailSettings,
    display: DisplaySettings,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    check_proxies(&settings)?;
    limits::check_open_files()?;
    hints::warn_of_misspelled(&settings.filter);
    resolve_handles(&mut settings)?;
    let state = State::open(&settings)?;
    settings.consumer.name.clone_from(&state.consumer);
    settings.unsaved = state.unsaved;
    let demo = match settings.demo {
        true => Some(Demo::start(state.newest_seq(), AtEnd::Close)?),
        false => None,
    };
    if let Some(demo) = &demo {
        settings.endpoints = vec![demo.endpoint()];
    }
    let (v1_dictionary, dictionaries) = find_dictionaries(&settings)?;
    let metrics = Arc::new(Metrics::default());
    let progress = progress_form(&settings, &display);
    let output = match state.output {
        // Without this the pipeline opens standard output itself.
        None if progress == ProgressDisplay::Drawn && shares_screen(&settings) => {
            let stdout = Stdout::open().context("use standard output")?;
            Some(Sink::Stdout(stdout.below(Arc::new(terminal.clone()))))
        }
        output => output,
    };
    let mut attendance = Attendance::begin(&Beginning {
        settings: &settings,
        metrics: &metrics,
        terminal,
        log_format: display.log_format,
        progress,
        replay_from_us: replay_from_us(&state.start),
    })
    .context("--metrics-listen")?;
    let started = Instant::now();
    let renderer = renderer(&settings, &display);
    let header = renderer.as_ref().map(Renderer::header).unwrap_or_default();
    let parts = PipelineInputs {
        start: state.start,
        saver: state.saver,
        output: output.map(|sink| sink.with_header(header)),
        renderer,
        stop: Shutdown::new(settings.drain_timeout),
        secrets: state.secrets,
        v1_dictionary,
        dictionaries,
        metrics: Arc::clone(&metrics),
    };
    let tick_every = attendance.tick_every();
    let attendant =
        RunObserver { tick_every, on_event: &mut |moment: RunEvent| attendance.attend(moment) };
    let outcome = pipeline::run(&settings, parts, attendant);
    let elapsed = started.elapsed();
    // What is drawn goes before anything is said, and nobody is told numbers any more.
    drop(attendance);
    if let (Some(demo), false) = (demo, report::is_abandoned(&outcome)) {
        demo.stop();
    }
    report::report(outcome, &settings, &display, &metrics, elapsed)
}

/// A wrong setting is refused before anything is dialled, as a wrong flag is.
pub(super) fn check_proxies(settings: &TailSettings) -> Result<(), UsageError> {
    let proxies = Proxies::from_env();
    let endpoints = if settings.demo { &[][..] } else { &settings.endpoints };
    for endpoint in endpoints {
        proxies.for_endpoint(endpoint).map_err(|error| UsageError(error.to_string()))?;
    }
    Ok(())
}

fn has_colour(display: &DisplaySettings, is_terminal: bool) -> bool {
    colour::use_colour(colour::ColourEnv {
        requested: match display.color {
            ColorMode::Auto => None,
            ColorMode::Always => Some(true),
            ColorMode::Never => Some(false),
        },
        forced: std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0"),
        is_terminal,
        is_dumb: is_dumb(),
    })
}

/// What makes lines of events, where they are not printed as they are.
fn renderer(settings: &TailSettings, display: &DisplaySettings) -> Option<Renderer> {
    let is_terminal = prints(settings) && std::io::stdout().is_terminal();
    let Some(render) = settings.render.as_ref() else {
        return is_terminal.then(Renderer::of_lines);
    };
    // CLICOLOR_FORCE speaks of what people see, and a file is read by programs.
    let colour = match settings.output {
        Some(_) => display.color == ColorMode::Always,
        None => has_colour(display, is_terminal),
    };
    Some(Renderer::new(&render.plan, Surface { colour, is_terminal }))
}

pub(super) fn log_settings(display: &DisplaySettings) -> LogSettings {
    let is_terminal = std::io::stderr().is_terminal();
    let colour = has_colour(display, is_terminal);
    LogSettings {
        verbosity: if display.quiet { -1 } else { i8::try_from(display.verbosity).unwrap_or(2) },
        json: display.log_format == LogFormat::Json,
        colour,
        timestamps: !is_terminal,
        filter: std::env::var_os("SKYTAIL_LOG")
            .filter(|filter| !filter.is_empty())
            .map(|filter| filter.to_string_lossy().into_owned()),
    }
}

pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Returns whether events go to standard output.
fn prints(settings: &TailSettings) -> bool {
    settings.output.is_none() && settings.to.is_none()
}

/// Returns whether events, or what a reader makes of them, may appear on the screen that stderr
/// is drawn on.
fn shares_screen(settings: &TailSettings) -> bool {
    prints(settings) && (std::io::stdout().is_terminal() || stdout::is_read_by_a_program())
}

impl Overlay for Terminal {
    fn hide(&self) {
        Self::hide_bar(self);
    }

    fn show(&self) {
        Self::show_bar(self);
    }
}

fn progress_form(settings: &TailSettings, display: &DisplaySettings) -> ProgressDisplay {
    progress::progress_display(progress::TerminalInfo {
        requested: match display.progress {
            ProgressMode::Auto => None,
            ProgressMode::Always => Some(true),
            ProgressMode::Never => Some(false),
        },
        quiet: display.quiet,
        stderr_is_terminal: std::io::stderr().is_terminal(),
        // Events in a file don't get in the way.
        stdout_shares_screen: shares_screen(settings),
        is_dumb: is_dumb(),
    })
}

/// The instant that a replay starts from, in Unix microseconds, where it is known.
pub(super) fn replay_from_us(start: &StartPosition) -> Option<u64> {
    match start {
        StartPosition::Time(time) => Some(time.0),
        StartPosition::Resume(resume) => Some(resume.position.newest.time.0),
        StartPosition::Live | StartPosition::Oldest | StartPosition::Seq(_) => None,
    }
}

/// The dictionary to ask v1 servers for zstd with, `None` for plain text; and how to come by
/// those of v2 servers.
pub(super) fn find_dictionaries(
    settings: &TailSettings,
) -> anyhow::Result<(Option<Dictionary>, Dictionaries)> {
    let compression = &settings.compression;
    let path = compression.dictionary.as_deref();
    // On one machine bytes cost nothing, and decompressing them does.
    let is_local = settings.endpoints.iter().all(Endpoint::is_loopback) && path.is_none();
    let demand = match compression.mode {
        CompressMode::Off => ZstdPolicy::Off,
        CompressMode::Auto if is_local => ZstdPolicy::Off,
        CompressMode::Auto => ZstdPolicy::Auto,
        CompressMode::On => ZstdPolicy::Required,
    };
    let found = match demand {
        ZstdPolicy::Off => None,
        ZstdPolicy::Auto | ZstdPolicy::Required => match dictionary::find(path) {
            Ok(found) => found,
            // One that was named and can't be used is never passed over.
            Err(error) if path.is_some() || demand == ZstdPolicy::Required => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::warn!("{error}; receiving uncompressed where v1 is spoken");
                None
            }
        },
    };
    let is_v1 = |endpoint| settings.protocol.pinned(endpoint) == Some(Protocol::V1);
    if found.is_none() && demand == ZstdPolicy::Required && settings.endpoints.iter().all(is_v1) {
        anyhow::bail!(
            "--compress on: there is no zstd dictionary here: install it with `skytail dictionary install`, or name one with --zstd-dictionary FILE"
        );
    }
    let is_of_v2 = |dictionary: &Dictionary| path.is_some() && dictionary.id != OFFICIAL_ID;
    let given = found.clone().filter(is_of_v2);
    let named = found.as_ref().filter(|_| path.is_some()).map(|dictionary| dictionary.id);
    Ok((found, Dictionaries::new(demand, given, Cache::of_user()).with_given_id(named)))
}
