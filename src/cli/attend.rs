//! Looks after a run while it runs: draws progress, answers SIGUSR1, tells the service manager
//! and serves the metrics. Put together here from `display` and `telemetry`.

use std::sync::Arc;
use std::time::Duration;

use super::hints::{self, Look, NoMatch};
use crate::display::progress::{self, Progress, ProgressDisplay};
use crate::display::status::Status;
use crate::display::terminal::Terminal;
use crate::metrics::{Metrics, now_us};
use crate::pipeline::RunEvent;
use crate::settings::{LogFormat, TailSettings};
use crate::telemetry::health::Health;
use crate::telemetry::http_server::{self, ListenError, MetricsServer};
use crate::telemetry::prometheus;

/// Microseconds between two log lines with progress.
const LOG_EVERY_US: u64 = progress::LOG_EVERY.as_micros() as u64;

/// Everybody who wants to know how a run stands.
#[derive(Debug)]
pub struct Attendance {
    terminal: Terminal,
    log_format: LogFormat,
    metrics: Arc<Metrics>,
    progress: Option<Progress>,
    /// When progress is logged next, in Unix microseconds, if it is.
    log_at_us: Option<u64>,
    /// Watches the filter until it matches something.
    no_match: Option<NoMatch>,
    /// For SIGUSR1 and the service manager.
    status: Status,
    #[cfg(unix)]
    manager: Option<Manager>,
    _listening: Option<MetricsServer>,
}

/// What an [`Attendance`] is made of.
pub struct Beginning<'a> {
    /// The run.
    pub settings: &'a TailSettings,
    /// Its counters.
    pub metrics: &'a Arc<Metrics>,
    /// stderr.
    pub terminal: &'a Terminal,
    /// The form of what is written there.
    pub log_format: LogFormat,
    /// How to show progress.
    pub progress: ProgressDisplay,
    /// The instant that a replay starts from, where it is known.
    pub replay_from_us: Option<u64>,
}

impl Attendance {
    /// Begins: from now on the metrics are served, if they are to be.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn begin(beginning: &Beginning<'_>) -> Result<Self, ListenError> {
        let Beginning { settings, metrics, terminal, log_format, progress, replay_from_us } =
            *beginning;
        let buffer_bytes = settings.buffer.bytes as u64;
        let buffer_events = settings.buffer.events as u64;
        let new_status =
            || Status::new(Arc::clone(metrics), buffer_bytes, buffer_events, replay_from_us);
        let stall_timeout = settings.connection.stall_timeout;
        let health = Health { started_us: now_us(), stall_timeout };
        let listening = settings.metrics_listen.map(|address| {
            let run = prometheus::Run { health, buffer_events, buffer_bytes };
            let listening = http_server::listen(address, Arc::clone(metrics), run)?;
            tracing::info!("telling metrics at http://{}/metrics", listening.address);
            Ok(listening)
        });
        let mut status = new_status();
        // The rates of a first SIGUSR1 are those since the start.
        let _ = status.sample(now_us());
        Ok(Self {
            terminal: terminal.clone(),
            log_format,
            _listening: listening.transpose()?,
            metrics: Arc::clone(metrics),
            progress: (progress == ProgressDisplay::Drawn)
                .then(|| Progress::new(terminal, new_status())),
            log_at_us: (progress == ProgressDisplay::Logged).then(|| now_us() + LOG_EVERY_US),
            no_match: NoMatch::of(&settings.filter, settings.render.is_some()),
            status,
            #[cfg(unix)]
            manager: Manager::of_process(metrics, health),
        })
    }

    /// How often to call [`Attendance::attend`] with [`RunEvent::Tick`]; `None` for never.
    #[must_use]
    pub fn tick_every(&self) -> Option<Duration> {
        let drawing = self.progress.as_ref().map(|_| progress::TICK);
        let watches = self.log_at_us.is_some() || self.no_match.is_some();
        let watching = watches.then_some(hints::LOOK_EVERY);
        #[cfg(unix)]
        let managing = self.manager.as_ref().map(|manager| manager.notifier.tick_every());
        #[cfg(not(unix))]
        let managing: Option<Duration> = None;
        drawing.into_iter().chain(watching).chain(managing).min()
    }

    /// Does what is to be done at this moment.
    pub fn attend(&mut self, moment: RunEvent) {
        let now_us = now_us();
        match moment {
            RunEvent::Tick => {
                if let Some(progress) = &mut self.progress {
                    progress.tick(now_us);
                }
                self.log_progress(now_us);
                self.hint(now_us);
                #[cfg(unix)]
                if let Some(manager) = &mut self.manager {
                    manager.tick(now_us, &mut self.status);
                }
            }
            RunEvent::Started => {}
            RunEvent::StatusRequested => self.say(now_us),
            RunEvent::Stopping => {
                // What it shows is the reading, and that is over.
                self.progress = None;
                self.log_at_us = None;
                self.no_match = None;
                #[cfg(unix)]
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
            self.say(now_us);
        }
    }

    /// Warns once when nothing matches the filter.
    fn hint(&mut self, now_us: u64) {
        let Some(no_match) = &mut self.no_match else { return };
        match no_match.look(&self.metrics, now_us) {
            Look::Later => return,
            Look::Over => {}
            Look::Due(hint) => tracing::warn!("{hint}"),
        }
        self.no_match = None;
    }

    /// The status line. It was asked for, so that neither `-q` nor a log filter hides it.
    fn say(&mut self, now_us: u64) {
        let line = match self.log_format {
            LogFormat::Text => format!("skytail: {}\n", self.status.line(now_us)),
            LogFormat::Json => self.status.json(now_us) + "\n",
        };
        // Where stderr is gone there is nobody to tell.
        let _ = self.terminal.write_lines(line.as_bytes());
    }
}

#[cfg(unix)]
pub use manager::Manager;

#[cfg(unix)]
mod manager {
    use super::{Arc, Health, Metrics, Status};
    use crate::telemetry::health::HealthStatus;
    use crate::telemetry::systemd::{Notifier, ServiceManagerEnv};

    /// The service manager that started this process.
    #[derive(Debug)]
    pub struct Manager {
        pub(super) notifier: Notifier,
        metrics: Arc<Metrics>,
        health: Health,
    }

    impl Manager {
        /// The one that the environment names, if any.
        pub(super) fn of_process(metrics: &Arc<Metrics>, health: Health) -> Option<Self> {
            match Notifier::new(&ServiceManagerEnv::from_process()) {
                Ok(notifier) => {
                    Some(Self { notifier: notifier?, metrics: Arc::clone(metrics), health })
                }
                Err(error) => {
                    tracing::warn!("NOTIFY_SOCKET: the service manager is told nothing ({error})");
                    None
                }
            }
        }

        pub(super) fn tick(&mut self, now_us: u64, status: &mut Status) {
            // The archive is read before any stream is: then no protocol was spoken yet.
            let (protocol, connected) = (&self.metrics.protocol, &self.metrics.connected);
            let was_connected = protocol.get() != 0 || connected.get() == 1;
            let verdict = self.health.check(&self.metrics, now_us);
            let is_alive = matches!(verdict, HealthStatus::Alive(_));
            self.notifier.tick(now_us, was_connected, is_alive, || match verdict {
                HealthStatus::Alive(_) => status.line(now_us),
                HealthStatus::Stale(why) => format!("stale: {why}"),
            });
        }
    }
}
