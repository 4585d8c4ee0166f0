//! The thread that looks after the screen: it draws a few times a second and listens to the
//! keys, until somebody asks it to end or the person wants to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::draw::{self, View};
use super::keys::{Asked, Wishes};
use super::terminal::{self, Canvas};
use super::theme::Theme;
use crate::display::status::Status;
use crate::display::units::counted;
use crate::metrics::{Metrics, now_us};
use crate::pipeline::shutdown::{Shutdown, StopReason};
use crate::top::board::Board;
use crate::top::counting::Shared;
use crate::top::held::Held;
use crate::top::source::Source;

/// How often the screen is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// How long the wait for a key may hold up the end.
const LISTEN: Duration = Duration::from_millis(50);
/// How long a screen may take to end, before the terminal counts as one that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a log line is shown.
const TOLD_FOR: Duration = Duration::from_secs(15);

/// What is watched, and how.
#[derive(Debug)]
pub struct Scene {
    /// The counts.
    pub board: Shared,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
    /// How it stands.
    pub status: Status,
    /// Where events come from.
    pub source: Source,
    /// Log lines.
    pub held: Held,
    /// Whom to tell that the person wants to end.
    pub stop: Shutdown,
    /// What it looks like.
    pub theme: Theme,
}

/// A screen that is up.
#[derive(Debug)]
pub struct Watching {
    is_over: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
    held: Held,
}

impl Watching {
    /// Takes the terminal over and begins to draw.
    ///
    /// # Errors
    /// Where the terminal or the system refuses.
    pub fn begin(scene: Scene) -> io::Result<Self> {
        let held = scene.held.clone();
        let canvas = terminal::enter()?;
        held.hold();
        let is_over = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel();
        let told = Told { line: None, since: Instant::now() };
        let mut screen = Screen {
            scene,
            canvas,
            wishes: Wishes::default(),
            frozen: None,
            told,
            is_over: Arc::clone(&is_over),
        };
        let ending = Ending { stop: screen.scene.stop.clone(), _end: end };
        let work = move || {
            let _ending = ending;
            if screen.run().is_err() {
                screen.scene.stop.request(StopReason::Terminated);
            }
        };
        let watching = Self { is_over, ended, held };
        // Where there is no thread, dropping this gives the terminal back.
        std::thread::Builder::new().name("screen".into()).spawn(work)?;
        Ok(watching)
    }
}

impl Drop for Watching {
    /// Gives the terminal back, and then log lines their place.
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        match self.ended.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => terminal::abandon(),
            _ => terminal::leave(),
        }
        let _ = self.held.release(&mut io::stderr());
    }
}

/// Dropped with the thread: a run that nobody can see any more, since the screen failed, ends.
struct Ending {
    stop: Shutdown,
    _end: mpsc::Sender<()>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.request(StopReason::Failed);
        }
    }
}

struct Screen {
    scene: Scene,
    canvas: Canvas,
    wishes: Wishes,
    /// What is shown while it is paused.
    frozen: Option<(Board, Duration)>,
    told: Told,
    is_over: Arc<AtomicBool>,
}

/// The latest log line, and since when it is that.
struct Told {
    line: Option<String>,
    since: Instant,
}

impl Screen {
    fn run(&mut self) -> io::Result<()> {
        let mut next = Instant::now();
        while !self.is_over.load(SeqCst) && terminal::is_ours() {
            if Instant::now() >= next {
                next = Instant::now() + DRAW_EVERY;
                self.draw()?;
            }
            let wait = next.saturating_duration_since(Instant::now());
            while event::poll(wait.min(LISTEN))? {
                if let Event::Key(key) = event::read()?
                    && key.kind != KeyEventKind::Release
                {
                    match self.wishes.key(key) {
                        Asked::Nothing => {}
                        Asked::Quit => {
                            self.scene.stop.request(StopReason::Interrupt);
                            return Ok(());
                        }
                        Asked::Suspend => self.suspend()?,
                        Asked::Redraw => self.canvas.clear()?,
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
        let Self { scene, canvas, wishes, frozen, told, .. } = self;
        if wishes.is_paused != frozen.is_some() {
            *frozen = wishes.is_paused.then(|| {
                let (board, at) = scene.board.lock();
                (board.clone(), at)
            });
        }
        let line = scene.held.latest();
        if line != told.line {
            *told = Told { line, since: Instant::now() };
        }
        let line = told.line.as_deref().filter(|_| told.since.elapsed() < TOLD_FOR);
        let (_, words) = scene.status.look(now_us());
        let (_, standing) = words.fit(usize::MAX, false);
        let trouble = match scene.metrics.gaps.get() {
            0 => String::new(),
            gaps => counted(gaps, "gap"),
        };
        let (source, number) = (scene.source.name(), scene.source.number());
        let (source, number, theme) = (source.as_str(), number.as_str(), &scene.theme);
        let standing = standing.trim();
        // Inside, so that nobody waits for the board while the terminal takes its time.
        let draw = |frame: &mut Frame<'_>| {
            let live;
            let (board, at) = match frozen {
                Some((board, at)) => (&*board, *at),
                None => {
                    live = scene.board.lock();
                    (&*live.0, live.1)
                }
            };
            let view = View { board, at, source, number, standing, trouble: &trouble, told: line };
            draw::draw(frame, &view, wishes, theme);
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
