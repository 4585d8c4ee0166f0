//! Reports on a run while it runs: draws or logs progress, answers SIGUSR1, notifies the service
//! manager and serves metrics. It joins parts of `display` and `telemetry`.

use std::sync::Arc;
use std::time::Duration;

use super::filter_hints::{self, HintState, NoMatchHint};
use crate::display::progress::{self, Progress, ProgressDisplay};
use crate::display::status::Status;
use crate::display::terminal::Terminal;
use crate::metrics::{Metrics, now_us};
use crate::pipeline::RunEvent;
use crate::settings::{LogFormat, TailSettings};
use crate::telemetry::health::{Health, HealthStatus};
use crate::telemetry::http_server::{self, ListenError, MetricsServer};
use crate::telemetry::prometheus;
use crate::telemetry::systemd::{Notifier, ServiceManagerEnv};

/// Microseconds between two log lines with progress.
const LOG_EVERY_US: u64 = progress::LOG_EVERY.as_micros() as u64;

/// The observers of one run.
#[derive(Debug)]
pub struct Observers {
    terminal: Terminal,
    log_format: LogFormat,
    metrics: Arc<Metrics>,
    progress: Option<Progress>,
    /// When progress is logged next, in Unix microseconds; `None` if it is not logged.
    log_at_us: Option<u64>,
    /// Present until the filter matches an event, or the hint was logged.
    no_match: Option<NoMatchHint>,
    /// The status line for SIGUSR1, logged progress and the service manager.
    status: Status,
    manager: Option<ServiceManager>,
    _metrics_server: Option<MetricsServer>,
}

/// What [`Observers`] are made of.
pub struct ObserverConfig<'a> {
    pub settings: &'a TailSettings,
    pub metrics: &'a Arc<Metrics>,
    /// stderr.
    pub terminal: &'a Terminal,
    /// The format of status lines.
    pub log_format: LogFormat,
    pub progress: ProgressDisplay,
    /// The time that a replay starts from, in Unix microseconds, if it is known.
    pub replay_from_us: Option<u64>,
}

impl Observers {
    /// Starts them. Metrics are served from now on, if the settings ask for it.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn start(config: &ObserverConfig<'_>) -> Result<Self, ListenError> {
        let ObserverConfig { settings, metrics, terminal, log_format, progress, replay_from_us } =
            *config;
        let buffer_bytes = settings.buffer.bytes as u64;
        let buffer_events = settings.buffer.events as u64;
        let new_status =
            || Status::new(Arc::clone(metrics), buffer_bytes, buffer_events, replay_from_us);
        let stall_timeout = settings.connection.stall_timeout;
        let health = Health { started_us: now_us(), stall_timeout };
        let server = settings.metrics_listen.map(|address| {
            let run = prometheus::Run { health, buffer_events, buffer_bytes };
            let server = http_server::listen(address, Arc::clone(metrics), run)?;
            tracing::info!("serving metrics at http://{}/metrics", server.address);
            Ok(server)
        });
        let mut status = new_status();
        // The first SIGUSR1 shows the rates since the start.
        let _ = status.sample(now_us());
        Ok(Self {
            terminal: terminal.clone(),
            log_format,
            _metrics_server: server.transpose()?,
            metrics: Arc::clone(metrics),
            progress: (progress == ProgressDisplay::Drawn)
                .then(|| Progress::new(terminal, new_status())),
            log_at_us: (progress == ProgressDisplay::Logged).then(|| now_us() + LOG_EVERY_US),
            no_match: NoMatchHint::new(&settings.filter, settings.render.is_some()),
            status,
            manager: ServiceManager::of_process(metrics, health),
        })
    }

    /// Returns how often to call [`Observers::on_event`] with [`RunEvent::Tick`]; `None` for never.
    pub fn tick_every(&self) -> Option<Duration> {
        let drawing = self.progress.as_ref().map(|_| progress::TICK);
        let checks = self.log_at_us.is_some() || self.no_match.is_some();
        let checking = checks.then_some(filter_hints::CHECK_EVERY);
        let notifying = self.manager.as_ref().map(|manager| manager.notifier.tick_every());
        drawing.into_iter().chain(checking).chain(notifying).min()
    }

    pub fn on_event(&mut self, event: RunEvent) {
        let now_us = now_us();
        match event {
            RunEvent::Tick => {
                if let Some(progress) = &mut self.progress {
                    progress.tick(now_us);
                }
                self.log_progress(now_us);
                self.check_filter(now_us);
                if let Some(manager) = &mut self.manager {
                    manager.tick(now_us, &mut self.status);
                }
            }
            RunEvent::Started => {}
            RunEvent::StatusRequested => self.write_status(now_us),
            RunEvent::Stopping => {
                // Progress is about reading, which has ended.
                self.progress = None;
                self.log_at_us = None;
                self.no_match = None;
                if let Some(manager) = &mut self.manager {
                    manager.notifier.stopping();
                }
            }
        }
    }

    /// Logs progress if that is due.
    fn log_progress(&mut self, now_us: u64) {
        if self.log_at_us.is_some_and(|at_us| now_us >= at_us) {
            self.log_at_us = Some(now_us + LOG_EVERY_US);
            self.write_status(now_us);
        }
    }

    /// Warns once if nothing matches the filter.
    fn check_filter(&mut self, now_us: u64) {
        let Some(no_match) = &mut self.no_match else { return };
        match no_match.check(&self.metrics, now_us) {
            HintState::Waiting => return,
            HintState::Cancelled => {}
            HintState::Due(hint) => tracing::warn!("{hint}"),
        }
        self.no_match = None;
    }

    /// Writes the status line. The user asked for it, so neither `-q` nor a log filter hides it.
    fn write_status(&mut self, now_us: u64) {
        let line = match self.log_format {
            LogFormat::Text => format!("skytail: {}\n", self.status.line(now_us)),
            LogFormat::Json => self.status.json(now_us) + "\n",
        };
        // If stderr is closed, there is no other place to report it.
        let _ = self.terminal.write_lines(line.as_bytes());
    }
}

/// The service manager that started this process.
#[derive(Debug)]
struct ServiceManager {
    notifier: Notifier,
    metrics: Arc<Metrics>,
    health: Health,
}

impl ServiceManager {
    /// Returns the one that the environment names, if any.
    fn of_process(metrics: &Arc<Metrics>, health: Health) -> Option<Self> {
        match Notifier::new(&ServiceManagerEnv::from_process()) {
            Ok(notifier) => {
                Some(Self { notifier: notifier?, metrics: Arc::clone(metrics), health })
            }
            Err(error) => {
                tracing::warn!("NOTIFY_SOCKET: can't notify the service manager: {error}");
                None
            }
        }
    }

    fn tick(&mut self, now_us: u64, status: &mut Status) {
        // The run reads the archive before any stream, when no protocol is known yet.
        let (protocol, connected) = (&self.metrics.protocol, &self.metrics.connected);
        let was_connected = protocol.get() != 0 || connected.get() == 1;
        let health = self.health.check(&self.metrics, now_us);
        let is_alive = matches!(health, HealthStatus::Alive(_));
        self.notifier.tick(now_us, was_connected, is_alive, || match health {
            HealthStatus::Alive(_) => status.line(now_us),
            HealthStatus::Stale(why) => format!("stale: {why}"),
        });
    }
}
