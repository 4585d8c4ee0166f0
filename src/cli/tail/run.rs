//! Runs `skytail tail`: from settings to a running pipeline, and from its result to an exit code.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use super::demo::{AtEnd, DemoServer};
use super::filter_files::FilterFiles;
use super::filter_watch;
use super::last::{ReadBack, Search};
use super::markers;
use super::observers::{ObserverConfig, Observers};
use super::session::{self, Session};
use super::startup::{
    FoundDictionaries, exit_for_error, find_dictionaries, has_colour, is_dumb_terminal,
    log_settings, prepare, replay_from_us,
};
use super::{backfill_new, output_name, report};
use crate::cli::exit::{Exit, UsageError, format_chain};
use crate::display::log;
use crate::display::progress::{self, ProgressDisplay};
use crate::display::terminal::Terminal;
use crate::metrics::Metrics;
use crate::pipeline::filter_updates::FilterUpdates;
use crate::pipeline::history::History;
use crate::pipeline::shutdown::Shutdown;
use crate::pipeline::{self, PipelineInputs, RunEvent, RunObserver, RunResult};
use crate::position::StartPosition;
use crate::render::palette::Palette;
use crate::render::{OutputDevice, OutputFormat, Renderer};
use crate::settings::{ColorMode, DisplaySettings, ProgressMode, StopRules, TailSettings};
use crate::sink::Sink;
use crate::sink::stdout::{self, Overlay, Stdout};

/// Runs one tail to its end. An error during the run is logged in the requested format.
///
/// # Errors
/// A [`UsageError`] if the log can't be started.
pub fn run_tail(
    settings: TailSettings,
    display: DisplaySettings,
    files: Option<FilterFiles>,
) -> anyhow::Result<Exit> {
    let terminal = Terminal::stderr();
    log::init(&log_settings(&display), &terminal).map_err(|e| UsageError(e.to_string()))?;
    Ok(run(settings, display, files, &terminal).unwrap_or_else(|error| {
        tracing::error!("{}", format_chain(&error));
        exit_for_error(&error)
    }))
}

fn run(
    mut settings: TailSettings,
    display: DisplaySettings,
    files: Option<FilterFiles>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let known = prepare(&mut settings)?;
    output_name::check_known(&settings)?;
    if let Some(reached) = session::reached_end(&settings)? {
        report::report_nothing_to_do(&reached, &settings, &display);
        return Ok(Exit::Done);
    }
    let mut session = Session::open(&settings)?;
    markers::warn_if_missing(&settings, &session.start);
    settings.consumer.name.clone_from(&session.consumer);
    settings.unsaved = session.unsaved;
    let demo = start_demo(&mut settings, &session)?;
    let dictionaries = find_dictionaries(&settings)?;
    let metrics = Arc::new(Metrics::default());
    let progress = progress_form(&settings, &display);
    let output = match session.output.take() {
        None if progress == ProgressDisplay::Drawn => stdout_below(terminal, &settings)?,
        output => output,
    };
    let mut observers = Observers::start(&ObserverConfig {
        settings: &settings,
        metrics: &metrics,
        terminal,
        log_format: display.log_format,
        progress,
        replay_from_us: replay_from_us(&session.start),
    })
    .context("--metrics-listen")?;
    let started = Instant::now();
    session.output = output;
    let search = Search {
        settings: &settings,
        secrets: session.secrets,
        dictionaries: &dictionaries,
        metrics: &metrics,
        observers: &mut observers,
    };
    let result = match search.find_start(session.start.clone()) {
        ReadBack::Ended(result) => *result,
        ReadBack::Found(start, history) => {
            settings.stop = rules_after(settings.stop, started, history.as_ref());
            let filters = updates(files, &settings, known)?;
            backfill_new::apply_live(session.side.as_ref(), &mut settings);
            let start = RunStart { start, history, filters, dictionaries, session: &mut session };
            run_pipeline(&settings, &display, start, &metrics, &mut observers)
        }
    };
    let elapsed = started.elapsed();
    // Removes the progress line before the summary is printed, and stops serving metrics.
    drop(observers);
    if let (Some(demo), false) = (demo, report::is_abandoned(&result)) {
        demo.stop();
    }
    report::report(result, &settings, &display, &metrics, elapsed)
}

/// Starts the demo server, if the run reads it.
fn start_demo(
    settings: &mut TailSettings,
    session: &Session,
) -> anyhow::Result<Option<DemoServer>> {
    if !settings.demo {
        return Ok(None);
    }
    let demo = DemoServer::start(session.newest_seq(), AtEnd::Close)?;
    settings.endpoints = vec![demo.endpoint()];
    Ok(Some(demo))
}

/// Begins to watch the files of the filter, if there are any. Each machine of a striped history must
/// read with the same filter, so that these files are then read once.
fn updates(
    files: Option<FilterFiles>,
    settings: &TailSettings,
    known: Vec<(String, String)>,
) -> anyhow::Result<FilterUpdates> {
    match files.filter(|_| settings.archive.stripe.is_none()) {
        Some(files) => filter_watch::watch(files, settings, known).context("watch the filter"),
        None => Ok(FilterUpdates::none()),
    }
}

/// Where a run starts.
struct RunStart<'a> {
    start: StartPosition,
    /// The lines of `--last`.
    history: Option<History>,
    filters: FilterUpdates,
    dictionaries: FoundDictionaries,
    session: &'a mut Session,
}

fn run_pipeline(
    settings: &TailSettings,
    display: &DisplaySettings,
    start: RunStart<'_>,
    metrics: &Arc<Metrics>,
    observers: &mut Observers,
) -> RunResult {
    let RunStart { start, history, filters, dictionaries, session } = start;
    let renderer = renderer(settings, display);
    let header = renderer.as_ref().map(Renderer::header).unwrap_or_default();
    let inputs = PipelineInputs {
        start,
        filter_since: session.filter_since.take(),
        filters,
        side: session.side.take(),
        history,
        history_start: None,
        checkpoint_worker: session.checkpoint_worker.take(),
        output: session.output.take().map(|sink| sink.with_header(header)),
        renderer,
        stop: Shutdown::new(settings.drain_timeout),
        secrets: session.secrets,
        v1_dictionary: dictionaries.v1,
        dictionaries: dictionaries.v2,
        metrics: Arc::clone(metrics),
    };
    let tick_every = observers.tick_every();
    let on_event = &mut |event: RunEvent| observers.on_event(event);
    pipeline::run(settings, inputs, RunObserver { tick_every, on_event })
}

/// Returns the rules for the rest of a run that read back before. `--timeout` counts from the
/// start, and does not cut off lines after which the run ends anyway.
fn rules_after(stop: StopRules, started: Instant, history: Option<&History>) -> StopRules {
    let ends = history.is_some_and(|history| history.then.is_some());
    let timeout = stop.timeout.filter(|_| !ends);
    StopRules { timeout: timeout.map(|timeout| timeout.saturating_sub(started.elapsed())), ..stop }
}

/// Returns standard output below the progress line of `terminal` if both share a screen; `None` if
/// they don't, and the pipeline is to open standard output itself.
fn stdout_below(terminal: &Terminal, settings: &TailSettings) -> anyhow::Result<Option<Sink>> {
    if !shares_screen(settings) {
        return Ok(None);
    }
    let stdout = Stdout::open().context("use standard output")?;
    Ok(Some(Sink::Stdout(stdout.below(Arc::new(terminal.clone())))))
}

/// Returns what renders events; `None` to write them unchanged. Programs read files and brokers,
/// so colours are for standard output only, and those of JSON lines only on request.
fn renderer(settings: &TailSettings, display: &DisplaySettings) -> Option<Renderer> {
    let is_stdout = writes_to_stdout(settings);
    let is_terminal = is_stdout && std::io::stdout().is_terminal();
    let config = settings.render.as_ref().map(|render| &render.config);
    let colour = match config.map(|config| &config.format) {
        None | Some(OutputFormat::Ndjson) => display.color == ColorMode::Always,
        Some(_) => has_colour(display, is_terminal),
    };
    let device = OutputDevice { colour: colour && is_stdout, is_terminal };
    let renderer = match config {
        Some(config) => Renderer::new(config, device),
        None if device.colour || is_terminal => Renderer::passthrough(device),
        None => return None,
    };
    Some(if device.colour { renderer.with_palette(palette()) } else { renderer })
}

/// Returns the colours of JSON, which `JQ_COLORS` may change as for jq.
fn palette() -> Palette {
    let Ok(colours) = std::env::var("JQ_COLORS") else { return Palette::default() };
    Palette::parse(&colours).unwrap_or_else(|| {
        tracing::warn!(
            "JQ_COLORS is ignored, because it is not up to eight colours like 1;31 with : between them"
        );
        Palette::default()
    })
}

fn writes_to_stdout(settings: &TailSettings) -> bool {
    settings.output.is_none() && settings.to.is_none()
}

/// Returns whether the events, or the output of a program that reads them, may appear on the
/// screen that shows stderr.
fn shares_screen(settings: &TailSettings) -> bool {
    writes_to_stdout(settings)
        && (std::io::stdout().is_terminal() || stdout::is_read_by_a_program())
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
        // Events that go to a file don't share the screen with a progress line.
        stdout_shares_screen: shares_screen(settings),
        is_dumb: is_dumb_terminal(),
    })
}
