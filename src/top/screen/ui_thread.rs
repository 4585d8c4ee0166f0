//! The thread of the screen: redraws a few times a second and handles keys, until the user quits or
//! the run ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::backend::Backend as _;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::draw::{self, ScreenData};
use super::keys::{KeyAction, ViewState};
use super::terminal::{self, ScreenTerminal};
use super::theme::Theme;
use crate::display::status::Status;
use crate::display::units::counted;
use crate::metrics::{Metrics, now_us};
use crate::pipeline::shutdown::{Shutdown, StopReason};
use crate::top::aggregate::Aggregate;
use crate::top::current_server::CurrentServer;
use crate::top::latest::{LatestEvents, SharedLatest};
use crate::top::log_buffer::LogBuffer;
use crate::top::tap::SharedAggregate;

/// Interval of redraws.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// Maximum wait for a key, which delays the end of the thread.
const MAX_KEY_WAIT: Duration = Duration::from_millis(50);
/// Maximum time for the thread to end. After it the terminal is assumed to accept no output.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for which a log line is shown.
const LOG_LINE_SHOWN_FOR: Duration = Duration::from_secs(15);

/// What the screen shows, and its connections to the run.
#[derive(Debug)]
pub struct UiContext {
    /// Counts of the stream.
    pub aggregate: SharedAggregate,
    /// Its latest events.
    pub latest: SharedLatest,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
    /// The status of the run.
    pub status: Status,
    /// The server that is in use.
    pub server: CurrentServer,
    /// Buffered log lines.
    pub log_buffer: LogBuffer,
    /// Requests the end of the run when the user quits.
    pub stop: Shutdown,
    /// The look of the screen.
    pub theme: Theme,
}

/// A running screen; dropping it restores the terminal.
#[derive(Debug)]
pub struct UiThread {
    stop_flag: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
    log_buffer: LogBuffer,
}

impl UiThread {
    /// Enters the terminal and starts the thread.
    ///
    /// # Errors
    /// If the terminal can't be entered or the system refuses a thread.
    pub fn spawn(context: UiContext) -> io::Result<Self> {
        let log_buffer = context.log_buffer.clone();
        let canvas = terminal::enter()?;
        log_buffer.start_buffering();
        let stop_flag = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel();
        let log_line = LogLine { line: None, since: Instant::now() };
        let mut screen = Screen {
            context,
            canvas,
            state: ViewState::default(),
            frozen: None,
            log_line,
            stop_flag: Arc::clone(&stop_flag),
        };
        let ending = StopOnExit { stop: screen.context.stop.clone(), _end: end };
        let work = move || {
            let _ending = ending;
            if screen.run().is_err() {
                screen.context.stop.request(StopReason::Terminated);
            }
        };
        let ui = Self { stop_flag, ended, log_buffer };
        // If no thread can be started, dropping this value restores the terminal.
        std::thread::Builder::new().name("screen".into()).spawn(work)?;
        Ok(ui)
    }
}

impl Drop for UiThread {
    /// Restores the terminal and then writes the buffered log lines.
    fn drop(&mut self) {
        self.stop_flag.store(true, SeqCst);
        match self.ended.recv_timeout(STOP_TIMEOUT) {
            Err(mpsc::RecvTimeoutError::Timeout) => terminal::abandon(),
            _ => terminal::leave(),
        }
        let _ = self.log_buffer.flush_to(&mut io::stderr());
    }
}

/// Stops the run if the thread panics, because the user can no longer see or control it.
struct StopOnExit {
    stop: Shutdown,
    _end: mpsc::Sender<()>,
}

impl Drop for StopOnExit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.request(StopReason::Failed);
        }
    }
}

struct Screen {
    context: UiContext,
    canvas: ScreenTerminal,
    state: ViewState,
    /// What is shown while the screen is paused.
    frozen: Option<Frozen>,
    log_line: LogLine,
    stop_flag: Arc<AtomicBool>,
}

/// What the stream was at one time.
struct Frozen {
    aggregate: Aggregate,
    latest: LatestEvents,
    duplicates: u64,
    at: Duration,
}

/// The latest log line, and when it was logged.
struct LogLine {
    line: Option<String>,
    since: Instant,
}

impl Screen {
    fn run(&mut self) -> io::Result<()> {
        let mut next = Instant::now();
        while !self.stop_flag.load(SeqCst) && terminal::is_entered() {
            if Instant::now() >= next {
                next = Instant::now() + DRAW_EVERY;
                self.draw()?;
            }
            let wait = next.saturating_duration_since(Instant::now());
            while event::poll(wait.min(MAX_KEY_WAIT))? {
                if let Event::Key(key) = event::read()?
                    && key.kind != KeyEventKind::Release
                {
                    match self.state.on_key(key) {
                        KeyAction::None => {}
                        KeyAction::Quit => {
                            self.context.stop.request(StopReason::Interrupt);
                            return Ok(());
                        }
                        KeyAction::Suspend => self.suspend()?,
                        KeyAction::Redraw => self.clear()?,
                    }
                }
                next = Instant::now();
                if !event::poll(Duration::ZERO)? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let Self { context, canvas, state, frozen, log_line, .. } = self;
        if state.is_paused != frozen.is_some() {
            *frozen = state.is_paused.then(|| {
                let (aggregate, at) = context.aggregate.lock();
                let latest = context.latest.lock().clone();
                let duplicates = context.metrics.duplicate.get();
                Frozen { aggregate: aggregate.clone(), latest, duplicates, at }
            });
        }
        let line = context.log_buffer.latest_line();
        if line != log_line.line {
            *log_line = LogLine { line, since: Instant::now() };
        }
        let line =
            log_line.line.as_deref().filter(|_| log_line.since.elapsed() < LOG_LINE_SHOWN_FOR);
        let (_, status_line) = context.status.sample(now_us());
        let (_, status_text) = status_line.fit(usize::MAX, false);
        let metrics = &context.metrics;
        let alerts =
            [(metrics.gaps.get(), "gap"), (metrics.witness.missing.total(), "missing event")];
        let alerts = alerts.into_iter().filter(|(n, _)| *n > 0);
        let alert = alerts.map(|(n, noun)| counted(n, noun)).collect::<Vec<_>>().join(", ");
        let (server, server_ordinal) = (context.server.name(), context.server.ordinal());
        let (server, server_ordinal, theme) =
            (server.as_str(), server_ordinal.as_str(), &context.theme);
        let status_text = status_text.trim();
        // Lock inside of the closure, so that the pipeline does not wait for a slow terminal.
        let draw = |frame: &mut Frame<'_>| {
            let (live, live_latest);
            let (aggregate, latest, duplicates, at) = match frozen {
                Some(Frozen { aggregate, latest, duplicates, at }) => {
                    (&*aggregate, &*latest, *duplicates, *at)
                }
                None => {
                    live = context.aggregate.lock();
                    live_latest = context.latest.lock();
                    (&*live.0, &*live_latest, context.metrics.duplicate.get(), live.1)
                }
            };
            let data = ScreenData {
                aggregate,
                latest,
                duplicates,
                at,
                server,
                server_ordinal,
                status_text,
                alert: &alert,
                log_line: line,
            };
            draw::draw(frame, &data, state, theme);
        };
        canvas.draw(draw).map(drop)
    }

    /// Clears the terminal, so that the next drawing writes the whole screen. Unlike the canvas's
    /// own way this doesn't ask the terminal for the cursor, and so needs no answer.
    fn clear(&mut self) -> io::Result<()> {
        self.canvas.backend_mut().clear()?;
        self.canvas.swap_buffers();
        Ok(())
    }

    /// Handles Ctrl-Z: restores the terminal and suspends the process until the shell continues it.
    fn suspend(&mut self) -> io::Result<()> {
        terminal::leave();
        crate::platform::suspend()?;
        self.canvas = terminal::enter()?;
        self.clear()
    }
}
