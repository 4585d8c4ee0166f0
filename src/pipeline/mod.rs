//! A run: reader → channel → writer, the threads and tasks that do it, and how it ends.
//!
//! The reader is a task on the calling thread. The writer is a thread of its own, and while that
//! is idle the reader task writes small batches itself ([`handoff`]). [`run`] returns when
//! everything that it started has ended. The one exception is a second Ctrl-C: then the writer
//! thread ends with the process.

mod build;
pub mod channel;
pub mod dedup;
mod driver;
pub mod feedback;
pub mod filter_updates;
pub mod gap_detector;
pub mod handoff;
pub mod history;
pub mod queue_monitor;
pub mod reader;
pub mod shutdown;
pub mod side_lists;
pub mod signals;
mod sync;
pub mod transform;
mod when_woken;
pub mod witness;
mod witness_reader;
mod witness_setup;
pub mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::store::StoreError;
use crate::checkpoint::worker::CheckpointWorker;
use crate::compression::dictionary::Dictionary;
use crate::event::event_id::EventIdSecrets;
use crate::metrics::Metrics;
use crate::position::{FilterSince, Position, Resume, StartPosition, TimeUs};
use crate::render::Renderer;
use crate::settings::TailSettings;
use crate::sink::{Sink, SinkError};
use crate::source::v2::dictionaries::Dictionaries;

use build::build;
use driver::drive;
use filter_updates::FilterUpdates;
use history::History;
use reader::ReadError;
use shutdown::{Shutdown, StopReason};
use side_lists::SideLists;

/// What a run needs beside its settings.
#[derive(Debug)]
pub struct PipelineInputs {
    /// Where the run starts.
    pub start: StartPosition,
    /// Where an earlier run changed the filter, if the run resumes.
    pub filter_since: Option<FilterSince>,
    /// The filters to change to while the run is active.
    pub filters: FilterUpdates,
    /// The lists of `--backfill-new`, whose live filter is that of the settings; `None` without it.
    pub side: Option<SideLists>,
    /// Lines to write before all others.
    pub history: Option<History>,
    /// The requested time of a run that reads history, which may begin later without a gap.
    pub history_start: Option<TimeUs>,
    /// Saves positions; `None` if the run saves none.
    pub checkpoint_worker: Option<CheckpointWorker>,
    /// Where lines go; `None` for standard output.
    pub output: Option<Sink>,
    /// Renders events; `None` if they are written as they are.
    pub renderer: Option<Renderer>,
    /// Stops the run. Each run needs a new one.
    pub stop: Shutdown,
    /// The secrets that event identities are hashed with.
    pub secrets: EventIdSecrets,
    /// The v1 dictionary; `None` if v1 servers are not asked for zstd.
    pub v1_dictionary: Option<Dictionary>,
    /// The dictionaries of v2 servers. Runs of one process may share them.
    pub dictionaries: Arc<Dictionaries>,
    /// The counters of the run.
    pub metrics: Arc<Metrics>,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// No server can be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output failed.
    #[error(transparent)]
    Output(#[from] SinkError),
    /// The system refused something that every run needs.
    #[error("can't {what}: {source}")]
    System {
        /// What skytail tried to do.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The writer panicked; the last saved position is kept.
    #[error("the writer failed unexpectedly; this is a bug in skytail")]
    Panicked,
    /// The user interrupted twice.
    #[error(
        "interrupted again: leaving at once; what the output has not accepted is not written, and the last position is not saved"
    )]
    Abandoned,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunResult {
    /// The reason, or the error that the run failed with.
    pub end: Result<StopReason, PipelineError>,
    /// The last position that the output proves.
    pub position: Option<Position>,
    /// What a run needs to continue after the last written line.
    pub resume: Option<Resume>,
    /// The time of the first event, if [`PipelineInputs::history_start`] was set and the server
    /// holds nothing as old as that.
    pub history_limit: Option<TimeUs>,
    /// Whether that position was saved; `None` if the run saves none.
    pub saved: Option<Result<(), StoreError>>,
    /// The name of the output; `None` for standard output.
    pub written_to: Option<String>,
}

impl RunResult {
    fn failed(error: PipelineError) -> Self {
        let (resume, history_limit) = (None, None);
        Self {
            end: Err(error),
            position: None,
            resume,
            history_limit,
            saved: None,
            written_to: None,
        }
    }
}

/// What a [`RunObserver`] is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// The run starts: the default action of signals no longer ends the process.
    Started,
    /// [`RunObserver::tick_every`] has passed, and the run's own loop is alive.
    Tick,
    /// SIGUSR1 asks for the status.
    StatusRequested,
    /// The run begins to stop.
    Stopping,
}

/// Follows a run from outside, on the calling thread.
pub struct RunObserver<'a> {
    /// The time between two [`RunEvent::Tick`]; `None` for no ticks.
    pub tick_every: Option<Duration>,
    /// Called for each event. The run waits for it, so it must not block.
    pub on_event: &'a mut dyn FnMut(RunEvent),
}

/// Runs until there is a reason to stop, and returns when everything has ended.
pub fn run(
    settings: &TailSettings,
    inputs: PipelineInputs,
    observer: RunObserver<'_>,
) -> RunResult {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            let what = "start the runtime";
            return RunResult::failed(PipelineError::System { what, source });
        }
    };
    let result = runtime.block_on(async {
        let (pipeline, signals) = build(settings, inputs)?;
        Ok(drive(settings, pipeline, signals, observer).await)
    });
    // A name lookup in progress can't be interrupted, and its result is not needed any more.
    runtime.shutdown_timeout(Duration::ZERO);
    result.unwrap_or_else(RunResult::failed)
}
