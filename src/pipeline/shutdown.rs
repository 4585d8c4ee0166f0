//! Stopping as a value: who asks, why, and until when what was received may still be written.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::display::units::counted;

/// Why a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// `--limit` lines were written.
    Limit,
    /// The stream reached `--until`.
    Until,
    /// The replay caught up with the live stream.
    CaughtUp,
    /// `--timeout` has passed.
    Timeout,
    /// The recording came to its end (`--demo`).
    EndOfRecording,
    /// Whoever read our output went away.
    OutputClosed,
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM or SIGHUP.
    Terminated,
    /// SIGXCPU: the soft limit on CPU time was reached.
    CpuTime,
    /// Events are missing, and `--on-gap fail` was given.
    Gap,
    /// An event can't be rendered, and `--jq-errors fail` was given.
    RenderError,
    /// Something failed; the error itself travels with whoever met it.
    Failed,
}

impl StopReason {
    /// For programs that read the summary as JSON: one stable word.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Until => "until",
            Self::CaughtUp => "caught_up",
            Self::Timeout => "timeout",
            Self::EndOfRecording => "end_of_recording",
            Self::OutputClosed => "output_closed",
            Self::Interrupt => "interrupt",
            Self::Terminated => "terminated",
            Self::CpuTime => "cpu_time",
            Self::Gap => "gap",
            Self::RenderError => "jq_error",
            Self::Failed => "error",
        }
    }

    /// For the summary: "stopped …".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "at the limit",
            Self::Until => "at --until",
            Self::CaughtUp => "at the live tip",
            Self::Timeout => "by --timeout",
            Self::EndOfRecording => "at the end of the recording",
            Self::OutputClosed => "as the output was closed",
            Self::Interrupt => "by Ctrl-C",
            Self::Terminated => "by a signal",
            Self::CpuTime => "by the limit on CPU time (ulimit -St)",
            Self::Gap => "at a gap",
            Self::RenderError => "at an error of --jq",
            Self::Failed => "by an error",
        }
    }
}

/// A request to stop that everybody shares. The first reason counts.
#[derive(Clone, Debug)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    asked: OnceLock<(StopReason, Instant)>,
    wake: watch::Sender<bool>,
    drain_timeout: Duration,
}

impl Shutdown {
    /// Nobody has asked yet. After the request, `drain_timeout` is left to write what was
    /// received.
    #[must_use]
    pub fn new(drain_timeout: Duration) -> Self {
        let inner =
            Inner { asked: OnceLock::new(), wake: watch::Sender::new(false), drain_timeout };
        Self { inner: Arc::new(inner) }
    }

    /// Asks everybody to stop.
    pub fn request(&self, reason: StopReason) {
        let _ = self.inner.asked.set((reason, Instant::now()));
        self.inner.wake.send_replace(true);
    }

    /// Why the run stops, once it was asked to.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        self.inner.asked.get().map(|(reason, _)| *reason)
    }

    /// When the time to write what was received is over, once a stop was asked for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.asked.get().map(|(_, at)| *at + self.inner.drain_timeout)
    }

    /// Tells a person who asked for it why the run is still there.
    pub fn log_drain_wait(&self) {
        let Some(deadline) = self.deadline() else { return };
        let left_s = deadline.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
        tracing::warn!(
            "waiting for the output to take what was received, {} at most; a second Ctrl-C ends at once",
            counted(left_s as u64, "more second"),
        );
    }

    /// Waits for the request.
    pub async fn requested(&self) {
        let mut wake = self.inner.wake.subscribe();
        // The sender lives in `self`, so this can't fail.
        let _ = wake.wait_for(|asked| *asked).await;
    }
}
