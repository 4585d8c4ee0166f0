//! From settings to a pipeline that is counted, and to the screen or the pages that show it.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::view::{self, Figures};
use super::{FiguresArgs, TopArgs};
use crate::cli::demo::{AtEnd, Demo};
use crate::cli::exit::{Exit, UsageError, in_words};
use crate::cli::resolve::resolve_handles;
use crate::cli::run_tail::{
    check_proxies, exit_of, find_dictionaries, is_dumb, log_settings, replay_from_us,
};
use crate::cli::state::State;
use crate::cli::{hints, limits};
use crate::display::colour;
use crate::display::log::{self, LogSettings};
use crate::display::status::Status;
use crate::display::terminal::Terminal;
use crate::metrics::{Metrics, now_us};
use crate::pipeline::reader::ReadError;
use crate::pipeline::shutdown::{Shutdown, StopReason};
use crate::pipeline::{self, PipelineError, PipelineInputs, RunEvent, RunObserver, RunResult};
use crate::settings::{ColorMode, DisplaySettings, TailSettings};
use crate::sink::Sink;
use crate::top::aggregate::Aggregate;
use crate::top::current_server::CurrentServer;
use crate::top::log_buffer::LogBuffer;
use crate::top::screen::spark::{Bars, shows_unicode};
use crate::top::screen::theme::Theme;
use crate::top::screen::ui_thread::{UiContext, UiThread};
use crate::top::tap::{AggregateTap, SharedAggregate};

/// How often the end of a window is looked for.
const TICK: Duration = Duration::from_millis(50);

/// How figures are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// On a screen.
    Screen,
    /// As a page for each window, on terminals that can't do more.
    Pages,
    /// As one page.
    Once,
}

/// Runs the command. What goes wrong while it runs is logged.
///
/// # Errors
/// A [`UsageError`] where there is no terminal, or can be no log.
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
        false if is_dumb() => Mode::Pages,
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
    let run = Run { figures: &args.figures, display, mode, log_buffer };
    Ok(run.go(settings).unwrap_or_else(|error| {
        tracing::error!("{}", in_words(&error));
        exit_of(&error)
    }))
}

struct Run<'a> {
    figures: &'a FiguresArgs,
    display: &'a DisplaySettings,
    mode: Mode,
    log_buffer: LogBuffer,
}

impl Run<'_> {
    fn go(self, mut settings: TailSettings) -> anyhow::Result<Exit> {
        check_proxies(&settings)?;
        limits::check_open_files()?;
        hints::warn_of_misspelled(&settings.filter);
        resolve_handles(&mut settings)?;
        let state = State::open(&settings)?;
        let demo = match settings.demo {
            true => Some(Demo::start(None, AtEnd::Loop)?),
            false => None,
        };
        if let Some(demo) = &demo {
            settings.endpoints = vec![demo.endpoint()];
        }
        let (v1_dictionary, dictionaries) = find_dictionaries(&settings)?;
        let metrics = Arc::new(Metrics::default());
        let aggregate = SharedAggregate::new(self.figures.window);
        let stop = Shutdown::new(settings.drain_timeout);
        let from_us = replay_from_us(&state.start);
        let parts = PipelineInputs {
            start: state.start,
            saver: None,
            output: Some(Sink::Taker(Box::new(AggregateTap::new(&aggregate)))),
            renderer: None,
            stop: stop.clone(),
            secrets: state.secrets,
            v1_dictionary,
            dictionaries,
            metrics: Arc::clone(&metrics),
        };
        let outcome = match self.mode {
            Mode::Screen => {
                let buffer = &settings.buffer;
                let (bytes, events) = (buffer.bytes as u64, buffer.events as u64);
                let context = UiContext {
                    aggregate,
                    status: Status::new(Arc::clone(&metrics), bytes, events, from_us),
                    server: current_server(&settings, &metrics),
                    metrics,
                    log_buffer: self.log_buffer.clone(),
                    stop,
                    theme: self.theme(),
                };
                let (mut context, mut ui) = (Some(context), None);
                // Not before a signal would give the terminal back.
                let attend = &mut |moment| {
                    if let (RunEvent::Started, Some(context)) = (moment, context.take()) {
                        let stop = context.stop.clone();
                        let begun = UiThread::spawn(context);
                        if begun.is_err() {
                            stop.request(StopReason::Failed);
                        }
                        ui = Some(begun);
                    }
                };
                let attendant = RunObserver { tick_every: None, on_event: attend };
                let outcome = pipeline::run(&settings, parts, attendant);
                let begun = ui.transpose();
                drop(begun.context("can't draw a screen here (use --once for a table)")?);
                outcome
            }
            Mode::Pages | Mode::Once => {
                let source = current_server(&settings, &metrics);
                let mut pages = Pages {
                    run: &self,
                    source,
                    aggregate,
                    metrics,
                    stop,
                    is_connected: false,
                    began: None,
                };
                let attend = &mut |moment| pages.attend(moment);
                let attendant = RunObserver { tick_every: Some(TICK), on_event: attend };
                let outcome = pipeline::run(&settings, parts, attendant);
                pages.end();
                outcome
            }
        };
        let is_abandoned = matches!(outcome.end, Err(PipelineError::Abandoned));
        if let (Some(demo), false) = (demo, is_abandoned) {
            demo.stop();
        }
        exit(outcome)
    }

    fn theme(&self) -> Theme {
        let is_coloured = colour::use_colour(colour::ColourEnv {
            requested: match self.display.color {
                ColorMode::Auto => None,
                ColorMode::Always => Some(true),
                ColorMode::Never => Some(false),
            },
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

/// Where events come from.
fn current_server(settings: &TailSettings, metrics: &Arc<Metrics>) -> CurrentServer {
    let labels = settings.endpoints.iter().map(|endpoint| Arc::clone(&endpoint.label));
    CurrentServer::new(labels.collect(), Arc::clone(metrics))
}

fn exit(outcome: RunResult) -> anyhow::Result<Exit> {
    match outcome.end {
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

/// Figures as text: one page, or one for each window.
struct Pages<'a> {
    run: &'a Run<'a>,
    source: CurrentServer,
    aggregate: SharedAggregate,
    metrics: Arc<Metrics>,
    stop: Shutdown,
    /// Whether a connection was up at the last tick; at the end there is none.
    is_connected: bool,
    /// When the window began: with the first connection, or the first event of an archive.
    began: Option<Instant>,
}

impl Pages<'_> {
    fn attend(&mut self, moment: RunEvent) {
        match moment {
            RunEvent::Tick => self.tick(),
            RunEvent::Stopping => self.end(),
            RunEvent::Started | RunEvent::StatusRequested => {}
        }
    }

    fn tick(&mut self) {
        // A run that is ending has no further window.
        if self.stop.reason().is_some() {
            return;
        }
        self.is_connected = self.metrics.connected.get() == 1;
        let Some(began) = self.began else {
            let metrics = &self.metrics;
            if self.is_connected || metrics.received.get() > 0 {
                self.began = Some(Instant::now());
            }
            return;
        };
        if began.elapsed() < self.run.figures.window {
            return;
        }
        self.print(began);
        match self.run.mode {
            Mode::Once => {
                self.began = None;
                self.stop.request(StopReason::Timeout);
            }
            _ => self.began = Some(Instant::now()),
        }
    }

    /// The run has ended: what a window that was cut short has is printed, too.
    fn end(&mut self) {
        if let Some(began) = self.began.take() {
            self.print(began);
        }
    }

    fn print(&self, began: Instant) {
        let (mut shared, at) = self.aggregate.lock();
        let aggregate = std::mem::replace(&mut *shared, Aggregate::new(self.run.figures.window));
        drop(shared);
        let figures = Figures {
            aggregate: &aggregate,
            at,
            window: began.elapsed(),
            source: &self.source,
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
