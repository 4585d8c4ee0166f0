//! Runs `skytail top`: a pipeline whose events are counted, and the screen or the pages that show
//! the counts.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::view::{self, Figures};
use super::{FiguresArgs, TopArgs};
use crate::cli::exit::{Exit, UsageError, format_chain};
use crate::cli::tail::demo::{AtEnd, DemoServer};
use crate::cli::tail::session::Session;
use crate::cli::tail::startup::{
    exit_for_error, find_dictionaries, is_dumb_terminal, log_settings, prepare, replay_from_us,
    requested_colour,
};
use crate::display::colour;
use crate::display::log::{self, LogSettings};
use crate::display::status::Status;
use crate::display::terminal::Terminal;
use crate::metrics::{Metrics, now_us};
use crate::pipeline::filter_updates::FilterUpdates;
use crate::pipeline::reader::ReadError;
use crate::pipeline::shutdown::{Shutdown, StopReason};
use crate::pipeline::{self, PipelineError, PipelineInputs, RunEvent, RunObserver, RunResult};
use crate::settings::{DisplaySettings, TailSettings};
use crate::sink::Sink;
use crate::top::aggregate::Aggregate;
use crate::top::current_server::CurrentServer;
use crate::top::latest::SharedLatest;
use crate::top::log_buffer::LogBuffer;
use crate::top::screen::spark::{Bars, shows_unicode};
use crate::top::screen::theme::Theme;
use crate::top::screen::ui_thread::{UiContext, UiThread};
use crate::top::tap::{AggregateTap, SharedAggregate};

/// How often to check whether a window has ended.
const TICK: Duration = Duration::from_millis(50);

/// How figures are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// On a screen.
    Screen,
    /// As a page for each window, on terminals that can't draw a screen.
    Pages,
    /// As one page.
    Once,
}

/// Runs the command. An error during the run is logged.
///
/// # Errors
/// A [`UsageError`] if stdout is not a terminal, or the log can't be started.
pub fn run(
    args: &TopArgs,
    settings: TailSettings,
    display: &DisplaySettings,
) -> anyhow::Result<Exit> {
    let mode = match args.figures.once {
        true => Mode::Once,
        false if !io::stdout().is_terminal() => {
            return Err(UsageError(
                "stdout is no terminal, and top draws a screen: for a script use --once --json, for a table --once".into(),
            )
            .into());
        }
        false if is_dumb_terminal() => Mode::Pages,
        false => Mode::Screen,
    };
    let log_buffer = LogBuffer::default();
    let (terminal, log) = match mode {
        Mode::Screen => {
            let plain = LogSettings {
                json: false,
                colour: false,
                timestamps: false,
                ..log_settings(display)
            };
            (Terminal::with(None, Box::new(log_buffer.clone())), plain)
        }
        _ => (Terminal::stderr(), log_settings(display)),
    };
    log::init(&log, &terminal).map_err(|e| UsageError(e.to_string()))?;
    let run = TopRun { figures: &args.figures, display, mode, log_buffer };
    Ok(run.run(settings).unwrap_or_else(|error| {
        tracing::error!("{}", format_chain(&error));
        exit_for_error(&error)
    }))
}

struct TopRun<'a> {
    figures: &'a FiguresArgs,
    display: &'a DisplaySettings,
    mode: Mode,
    /// Log lines to show on the screen.
    log_buffer: LogBuffer,
}

/// What the screen and the pages read while the pipeline runs.
struct Shown {
    aggregate: SharedAggregate,
    latest: SharedLatest,
    metrics: Arc<Metrics>,
    server: CurrentServer,
    stop: Shutdown,
}

impl TopRun<'_> {
    fn run(self, mut settings: TailSettings) -> anyhow::Result<Exit> {
        let known = prepare(&mut settings)?;
        let session = Session::open(&settings)?;
        let demo = match settings.demo {
            true => Some(DemoServer::start(None, AtEnd::Loop)?),
            false => None,
        };
        if let Some(demo) = &demo {
            settings.endpoints = vec![demo.endpoint()];
        }
        let dictionaries = find_dictionaries(&settings)?;
        let metrics = Arc::new(Metrics::default());
        let shown = Shown {
            aggregate: SharedAggregate::new(self.figures.window),
            latest: SharedLatest::default(),
            server: current_server(&settings, &metrics),
            stop: Shutdown::new(settings.drain_timeout),
            metrics: Arc::clone(&metrics),
        };
        for (did, handle) in known {
            shown.latest.lock().add_handle(&did, handle);
        }
        let tap = AggregateTap::new(&shown.aggregate);
        // Only the screen shows events.
        let tap = match self.mode {
            Mode::Screen => tap.with_latest(&shown.latest),
            Mode::Pages | Mode::Once => tap,
        };
        let from_us = replay_from_us(&session.start);
        let inputs = PipelineInputs {
            start: session.start,
            filter_since: None,
            filters: FilterUpdates::none(),
            side: None,
            history: None,
            history_start: None,
            checkpoint_worker: None,
            output: Some(Sink::Tap(Box::new(tap))),
            renderer: None,
            stop: shown.stop.clone(),
            secrets: session.secrets,
            v1_dictionary: dictionaries.v1,
            dictionaries: dictionaries.v2,
            metrics,
        };
        let result = match self.mode {
            Mode::Screen => self.run_screen(&settings, inputs, shown, from_us)?,
            Mode::Pages | Mode::Once => self.run_pages(&settings, inputs, shown),
        };
        let is_abandoned = matches!(result.end, Err(PipelineError::Abandoned));
        if let (Some(demo), false) = (demo, is_abandoned) {
            demo.stop();
        }
        exit(result)
    }

    fn run_screen(
        &self,
        settings: &TailSettings,
        inputs: PipelineInputs,
        shown: Shown,
        from_us: Option<u64>,
    ) -> anyhow::Result<RunResult> {
        let Shown { aggregate, latest, metrics, server, stop } = shown;
        let buffer = &settings.buffer;
        let (bytes, events) = (buffer.bytes as u64, buffer.events as u64);
        let context = UiContext {
            aggregate,
            latest,
            status: Status::new(Arc::clone(&metrics), bytes, events, from_us),
            server,
            metrics,
            log_buffer: self.log_buffer.clone(),
            stop,
            theme: self.theme(),
        };
        let (mut context, mut ui) = (Some(context), None);
        // The screen starts after the pipeline handles signals, so that a signal restores the
        // terminal.
        let on_event = &mut |event| {
            if let (RunEvent::Started, Some(context)) = (event, context.take()) {
                let stop = context.stop.clone();
                let started = UiThread::spawn(context);
                if started.is_err() {
                    stop.request(StopReason::Failed);
                }
                ui = Some(started);
            }
        };
        let observer = RunObserver { tick_every: None, on_event };
        let result = pipeline::run(settings, inputs, observer);
        let started = ui.transpose();
        drop(started.context("can't draw a screen here (use --once for a table)")?);
        Ok(result)
    }

    fn run_pages(
        &self,
        settings: &TailSettings,
        inputs: PipelineInputs,
        shown: Shown,
    ) -> RunResult {
        let Shown { aggregate, metrics, server, stop, .. } = shown;
        let mut pages = Pages {
            run: self,
            server,
            aggregate,
            metrics,
            stop,
            is_connected: false,
            started: None,
        };
        let on_event = &mut |event| pages.on_event(event);
        let observer = RunObserver { tick_every: Some(TICK), on_event };
        let result = pipeline::run(settings, inputs, observer);
        pages.end();
        result
    }

    fn theme(&self) -> Theme {
        let is_coloured = colour::use_colour(colour::ColourEnv {
            requested: requested_colour(self.display.color),
            forced: false,
            is_terminal: true,
            is_dumb: false,
        });
        let bars = match shows_unicode(|name| std::env::var(name).ok()) {
            true => Bars::BLOCKS,
            false => Bars::ASCII,
        };
        Theme::new(is_coloured, bars)
    }
}

/// Returns the servers of the run, for display.
fn current_server(settings: &TailSettings, metrics: &Arc<Metrics>) -> CurrentServer {
    let labels = settings.endpoints.iter().map(|endpoint| Arc::clone(&endpoint.label));
    CurrentServer::new(labels.collect(), Arc::clone(metrics))
}

fn exit(result: RunResult) -> anyhow::Result<Exit> {
    match result.end {
        Ok(StopReason::Failed) => {
            Err(anyhow::anyhow!("the screen failed unexpectedly; this is a bug in skytail"))
        }
        Ok(_) => Ok(Exit::Done),
        Err(error @ PipelineError::Abandoned) => {
            tracing::error!("{error}");
            Ok(Exit::Interrupted)
        }
        Err(PipelineError::Read(error @ ReadError::GaveUp { .. })) => {
            tracing::error!("{error}");
            Ok(Exit::GaveUp)
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints figures as text: one page, or one for each window.
struct Pages<'a> {
    run: &'a TopRun<'a>,
    server: CurrentServer,
    aggregate: SharedAggregate,
    metrics: Arc<Metrics>,
    stop: Shutdown,
    /// Whether a connection was up at the last tick. At the end of the run it is closed.
    is_connected: bool,
    /// The start of the window: the first connection, or the first event of an archive.
    started: Option<Instant>,
}

impl Pages<'_> {
    fn on_event(&mut self, event: RunEvent) {
        match event {
            RunEvent::Tick => self.tick(),
            RunEvent::Stopping => self.end(),
            RunEvent::Started | RunEvent::StatusRequested => {}
        }
    }

    fn tick(&mut self) {
        // A run that is stopping begins no further window.
        if self.stop.reason().is_some() {
            return;
        }
        self.is_connected = self.metrics.connected.get() == 1;
        let Some(started) = self.started else {
            let metrics = &self.metrics;
            if self.is_connected || metrics.received.get() > 0 {
                self.started = Some(Instant::now());
            }
            return;
        };
        if started.elapsed() < self.run.figures.window {
            return;
        }
        self.print(started);
        match self.run.mode {
            Mode::Once => {
                self.started = None;
                self.stop.request(StopReason::Timeout);
            }
            _ => self.started = Some(Instant::now()),
        }
    }

    /// Prints the figures of a window that the end of the run cut short.
    fn end(&mut self) {
        if let Some(started) = self.started.take() {
            self.print(started);
        }
    }

    fn print(&self, started: Instant) {
        let (mut shared, at) = self.aggregate.lock();
        let aggregate = std::mem::replace(&mut *shared, Aggregate::new(self.run.figures.window));
        drop(shared);
        let figures = Figures {
            aggregate: &aggregate,
            at,
            window: started.elapsed(),
            server: &self.server,
            metrics: &self.metrics,
            is_connected: self.is_connected,
            now_us: now_us(),
        };
        let most = usize::from(self.run.figures.top);
        let text = match self.run.figures.json {
            true => view::json(&figures, most),
            false => view::text(&figures, most),
        };
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::error!("can't write to stdout: {error}");
            }
            self.stop.request(StopReason::OutputClosed);
        }
    }
}
