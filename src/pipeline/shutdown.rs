//! The request to stop a run, which all its parts share: why, and until when received events
//! may still be written.

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
    /// The replay caught up with the live stream (`--exit-when-live`).
    CaughtUp,
    /// `--timeout` has passed.
    Timeout,
    /// `--archive-max-bytes` were downloaded.
    ArchiveBudget,
    /// The stripe of the archive was read to its end.
    ArchiveStripe,
    /// The server closed the connection at the end of its recording (`--demo`).
    EndOfRecording,
    /// The reader of the output closed it.
    OutputClosed,
    /// SIGINT.
    Interrupt,
    /// SIGTERM or SIGHUP.
    Terminated,
    /// SIGXCPU: the soft limit on CPU time was reached.
    CpuTime,
    /// Events are missing (`--on-gap fail`).
    Gap,
    /// An event can't be rendered (`--jq-errors fail`).
    RenderError,
    /// A part of the pipeline failed and returns the error itself.
    Failed,
}

impl StopReason {
    /// Returns the stable word for programs that read the summary as JSON.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Until => "until",
            Self::CaughtUp => "caught_up",
            Self::Timeout => "timeout",
            Self::ArchiveBudget => "archive_max_bytes",
            Self::ArchiveStripe => "archive_stripe",
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

    /// Returns whether the run has everything that its flags ask for.
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Limit | Self::Until | Self::CaughtUp | Self::ArchiveStripe | Self::EndOfRecording
        )
    }

    /// Returns the words that follow "stopped" in the summary.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "at the limit",
            Self::Until => "at --until",
            Self::CaughtUp => "at the live tip",
            Self::Timeout => "by --timeout",
            Self::ArchiveBudget => "at --archive-max-bytes",
            Self::ArchiveStripe => "at the end of --archive-stripe",
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

/// A request to stop. All clones share it; the first reason counts.
#[derive(Clone, Debug)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    request: OnceLock<(StopReason, Instant)>,
    is_requested: watch::Sender<bool>,
    drain_timeout: Duration,
}

impl Shutdown {
    /// Starts without a request. After one, received events may be written for `drain_timeout`.
    #[must_use]
    pub fn new(drain_timeout: Duration) -> Self {
        let is_requested = watch::Sender::new(false);
        Self { inner: Arc::new(Inner { request: OnceLock::new(), is_requested, drain_timeout }) }
    }

    /// Asks all parts of the run to stop.
    pub fn request(&self, reason: StopReason) {
        let _ = self.inner.request.set((reason, Instant::now()));
        self.inner.is_requested.send_replace(true);
    }

    /// Returns the first request's reason.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        self.inner.request.get().map(|(reason, _)| *reason)
    }

    /// Returns when received events may no longer be written; `None` before a request.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.request.get().map(|(_, at)| *at + self.inner.drain_timeout)
    }

    /// Returns when received events may no longer be written, for a run that ends now without a
    /// request.
    #[must_use]
    pub fn deadline_from_now(&self) -> Instant {
        self.deadline().unwrap_or_else(|| Instant::now() + self.inner.drain_timeout)
    }

    /// Warns the user, after a request, that the run still waits for the output.
    pub fn log_drain_wait(&self) {
        let Some(deadline) = self.deadline() else { return };
        let left_s = deadline.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
        tracing::warn!(
            "waiting for the output to take what was received, {} at most; a second Ctrl-C ends at once",
            counted(left_s as u64, "more second"),
        );
    }

    /// Waits for a request.
    pub async fn requested(&self) {
        let mut is_requested = self.inner.is_requested.subscribe();
        // The sender is a field of `self`, so this can't fail.
        let _ = is_requested.wait_for(|is_requested| *is_requested).await;
    }
}
