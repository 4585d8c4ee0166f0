//! The thread that looks after the screen: it draws a few times a second and listens to the
//! keys, until somebody asks it to end or the person wants to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ratatui::Frame;
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
use crate::top::log_buffer::LogBuffer;
use crate::top::tap::SharedAggregate;

/// How often the screen is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// How long the wait for a key may hold up the end.
const MAX_KEY_WAIT: Duration = Duration::from_millis(50);
/// How long a screen may take to end, before the terminal counts as one that takes nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a log line is shown.
const LOG_LINE_SHOWN_FOR: Duration = Duration::from_secs(15);

/// What is watched, and how.
#[derive(Debug)]
pub struct UiContext {
    /// The counts.
    pub aggregate: SharedAggregate,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
    /// How it stands.
    pub status: Status,
    /// Where events come from.
    pub server: CurrentServer,
    /// Log lines.
    pub log_buffer: LogBuffer,
    /// Whom to tell that the person wants to end.
    pub stop: Shutdown,
    /// What it looks like.
    pub theme: Theme,
}

/// A screen that is up.
#[derive(Debug)]
pub struct UiThread {
    stop_flag: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
    log_buffer: LogBuffer,
}

impl UiThread {
    /// Takes the terminal over and begins to draw.
    ///
    /// # Errors
    /// Where the terminal or the system refuses.
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
        // Where there is no thread, dropping this gives the terminal back.
        std::thread::Builder::new().name("screen".into()).spawn(work)?;
        Ok(ui)
    }
}

impl Drop for UiThread {
    /// Gives the terminal back, and then log lines their place.
    fn drop(&mut self) {
        self.stop_flag.store(true, SeqCst);
        match self.ended.recv_timeout(STOP_TIMEOUT) {
            Err(mpsc::RecvTimeoutError::Timeout) => terminal::abandon(),
            _ => terminal::leave(),
        }
        let _ = self.log_buffer.flush_to(&mut io::stderr());
    }
}

/// Dropped with the thread: a run that nobody can see any more, since the screen failed, ends.
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
    /// What is shown while it is paused.
    frozen: Option<(Aggregate, Duration)>,
    log_line: LogLine,
    stop_flag: Arc<AtomicBool>,
}

/// The latest log line, and since when it is that.
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
                        KeyAction::Redraw => self.canvas.clear()?,
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
                (aggregate.clone(), at)
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
        let alert = match context.metrics.gaps.get() {
            0 => String::new(),
            gaps => counted(gaps, "gap"),
        };
        let (server, server_ordinal) = (context.server.name(), context.server.ordinal());
        let (server, server_ordinal, theme) =
            (server.as_str(), server_ordinal.as_str(), &context.theme);
        let status_text = status_text.trim();
        // Inside, so that nobody waits for the board while the terminal takes its time.
        let draw = |frame: &mut Frame<'_>| {
            let live;
            let (aggregate, at) = match frozen {
                Some((aggregate, at)) => (&*aggregate, *at),
                None => {
                    live = context.aggregate.lock();
                    (&*live.0, live.1)
                }
            };
            let data = ScreenData {
                aggregate,
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

    /// Ctrl-Z: the terminal is given back until the shell sends us to the front again.
    #[cfg(unix)]
    fn suspend(&mut self) -> io::Result<()> {
        terminal::leave();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        self.canvas = terminal::enter()?;
        self.canvas.clear()
    }

    #[cfg(not(unix))]
    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }
}
