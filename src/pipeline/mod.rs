//! A run: reader → channel → writer, the threads and tasks that do it, and how it ends.
//!
//! The reader is a task on the calling thread. The writer is a thread of its own, and while that
//! is idle the reader task writes small batches itself ([`handoff`]). [`run`] returns when
//! everything that it started has ended. The one exception is a second Ctrl-C: then the writer
//! thread ends with the process.

mod build;
pub mod channel;
pub mod continuity;
mod driver;
pub mod feedback;
pub mod handoff;
pub mod queue_monitor;
pub mod reader;
pub mod shutdown;
pub mod sieve;
pub mod signals;
mod sync;
pub mod transform;
pub mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::worker::CheckpointWorker;
use crate::compression::dictionary::Dictionary;
use crate::event::identity::IdentitySecrets;
use crate::metrics::Metrics;
use crate::position::{Position, StartPosition, TimeUs};
use crate::render::{self, Renderer};
use crate::settings::{RenderErrors, TailSettings};
use crate::sink::file::rotation::Rotate;
use crate::sink::stdout::Stdout;
use crate::sink::{Sink, SinkError};
use crate::source::client::Client;
use crate::source::negotiation::Negotiator;
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;
use crate::source::v2::dictionaries::Dictionaries;

use build::build;
use driver::drive;
use reader::ReadError;
use shutdown::{Shutdown, StopReason};

/// What a run needs beside its settings.
#[derive(Debug)]
pub struct PipelineInputs {
    /// Where the run starts.
    pub start: StartPosition,
    /// Who saves positions, if anybody.
    pub saver: Option<CheckpointWorker>,
    /// Where lines go; `None` for standard output.
    pub output: Option<Sink>,
    /// Renders events; `None` if they are written as they are.
    pub renderer: Option<Renderer>,
    /// Stops the run; made anew for each run.
    pub stop: Shutdown,
    /// The secrets that event identities are hashed with.
    pub secrets: IdentitySecrets,
    /// The v1 dictionary; `None` if v1 servers are not asked for zstd.
    pub v1_dictionary: Option<Dictionary>,
    /// The dictionaries of v2 servers.
    pub dictionaries: Dictionaries,
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
    /// Whether that position was saved; `None` if the run saves none.
    pub saved: Option<Result<(), StoreError>>,
    /// The name of the output; `None` for standard output.
    pub written_to: Option<String>,
}

impl RunResult {
    fn failed(error: PipelineError) -> Self {
        Self { end: Err(error), position: None, saved: None, written_to: None }
    }
}

/// What a [`RunObserver`] is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// The run starts: signals no longer end the process by themselves.
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
    outcome.unwrap_or_else(RunResult::failed)
}

/// The parts, connected.
struct Pipeline {
    reader: Reader,
    written: oneshot::Receiver<WriterResult>,
    thread: std::thread::JoinHandle<()>,
    stop: Shutdown,
    metrics: Arc<Metrics>,
}

fn wire(
    settings: &TailSettings,
    inputs: PipelineInputs,
) -> Result<(Pipeline, Signals), PipelineError> {
    let system = |what| move |source| PipelineError::System { what, source };
    let signals = Signals::listen().map_err(system("listen for signals"))?;
    let PipelineInputs {
        start,
        saver,
        output,
        renderer,
        stop,
        secrets,
        v1_dictionary,
        dictionaries,
        metrics,
    } = inputs;
    let sink = match output {
        Some(sink) => sink,
        None => Sink::Stdout(Stdout::open().map_err(system("use standard output"))?),
    };
    if settings.stop.limit == Some(0) {
        stop.request(StopReason::Limit);
    }
    let (sender, receiver) = channel::channel(settings.buffer, Arc::clone(&metrics));
    let position = match &start {
        StartPosition::Resume(resume) => Some(resume.position.clone()),
        _ => None,
    };
    let settled = position.clone();
    let feedback = Arc::new(WriterFeedback::new(position));
    let rules = Rules {
        filter: settings.filter.clone(),
        strict: settings.strict,
        // Where events are rendered, what comes of them is counted.
        limit: settings.stop.limit.filter(|_| renderer.is_none()),
        until: settings.stop.until,
        live_at: settings.stop.exit_when_live.then(|| TimeUs(crate::metrics::now_us())),
        rewind_us: settings.connection.rewind_us,
        secrets,
        on_gap: settings.on_gap,
        period_us: settings
            .output
            .as_ref()
            .and_then(|output| output.naming.rotate)
            .map(Rotate::period_us),
    };
    let beginning = match (&start, settings.endpoints.len()) {
        (StartPosition::Resume(_), _) => None,
        (_, 0 | 1) => Some(Beginning::Exact),
        _ => Some(Beginning::ByTime),
    };
    let mut thread = std::thread::Builder::new().name("writer".into());
    if renderer.is_some() {
        thread = thread.stack_size(render::jq::STACK_BYTES);
    }
    let outlet = WriterConfig {
        transform: renderer.map(|renderer| transform(settings, renderer, &metrics)),
        sink,
        saver,
        every: settings.checkpoint,
        on_gap: settings.on_gap,
        beginning,
        feedback: Arc::clone(&feedback),
        metrics: Arc::clone(&metrics),
        stop: stop.clone(),
    };
    let sieve = Sieve::new(rules, &start, Arc::clone(&metrics));
    let shared_writer = Arc::new(SharedWriter::new(Writer::new(outlet, sieve, settled)));
    let writers = Arc::clone(&shared_writer);
    let (done, written) = oneshot::channel();
    let work = move || {
        if let Some(written) = writers.run(&receiver) {
            // Whoever waits for it may be gone after a second Ctrl-C.
            let _ = done.send(written);
        }
    };
    let thread = thread.spawn(work).map_err(system("start the writer thread"))?;
    let reader = Reader {
        endpoints: settings.endpoints.clone(),
        client: Client {
            filter: settings.filter.clone(),
            negotiator: Negotiator::new(settings.protocol),
            shape: settings.shape,
            v1_dictionary,
            dictionaries,
            proxies: Arc::new(Proxies::from_env()),
            tls: Arc::new(TlsContext::platform_with(settings.ca_file.clone())),
            connect_timeout: settings.connection.connect_timeout,
            max_message_bytes: settings.connection.max_message_bytes,
            metrics: Arc::clone(&metrics),
        },
        start,
        limits: settings.connection,
        archive: settings.archive.clone(),
        compress: settings.compression.mode,
        // A small buffer still holds several batches, so that neither side waits for the
        // other's whole share.
        batch_events: settings.buffer.batch_events(),
        on_idle: on_idle(settings),
        ends_with_server: settings.demo,
        sender,
        shared_writer,
        feedback,
        metrics: Arc::clone(&metrics),
        stop: stop.clone(),
    };
    Ok((Pipeline { reader, written, thread, stop, metrics }, signals))
}

fn transform(
    settings: &TailSettings,
    renderer: Renderer,
    metrics: &Arc<Metrics>,
) -> TransformStage {
    let on_error = settings.render.as_ref().map_or(RenderErrors::Skip, |render| render.on_error);
    // Files begin with it by themselves, each of them.
    let header = match settings.output {
        Some(_) => Vec::new(),
        None => renderer.header(),
    };
    TransformStage::new(renderer, on_error, settings.stop.limit, header, Arc::clone(metrics))
}

fn on_idle(settings: &TailSettings) -> OnIdle {
    match (settings.stop.exit_when_live, settings.stop.until) {
        (true, _) => OnIdle::CaughtUp,
        (false, Some(until)) => OnIdle::Until(until),
        (false, None) => OnIdle::Wait,
    }
}

async fn drive(
    settings: &TailSettings,
    wired: Pipeline,
    mut signals: Signals,
    observer: RunObserver<'_>,
) -> RunResult {
    let RunObserver { tick_every, on_event } = observer;
    let Pipeline { reader, mut written, thread, stop, metrics } = wired;
    on_event(RunEvent::Started);
    let mut reader = pin!(reader.run());
    let mut read = None;
    let mut stop_signals = StopSignals::default();
    let mut silence = pin!(sleep_or_never(None));
    let mut has_told = false;
    let mut timeout = pin!(sleep_or_never(settings.stop.timeout));
    let mut has_timed_out = false;
    let watches = settings.buffer.max_lag_events.is_some()
        || settings.buffer.when_full != crate::settings::WhenFull::Block;
    let mut monitor = QueueMonitor::new(settings.buffer.max_lag_events);
    let mut watch_tick = tokio::time::interval(WATCH_EVERY);
    let mut tick = tokio::time::interval(tick_every.unwrap_or(WATCH_EVERY));
    let mut is_stopping = false;
    let written = loop {
        tokio::select! {
            result = &mut reader, if read.is_none() => {
                if result.is_err() {
                    stop.request(StopReason::Failed);
                }
                read = Some(result);
            }
            result = &mut written => break result,
            asked = signals.next() => match asked {
                Asked::Status => on_event(RunEvent::StatusRequested),
                Asked::Stop(reason) => match stop_signals.respond(reason, Instant::now()) {
                    Response::Stop => {
                        stop.request(reason);
                        silence.set(sleep_or_never(Some(SILENCE)));
                    }
                    Response::Ignore => {}
                    Response::Leave => return RunResult::failed(PipelineError::Abandoned),
                },
            },
            () = &mut silence, if !has_told => {
                has_told = true;
                stop.log_drain_wait();
            }
            () = stop.requested(), if !is_stopping => {
                is_stopping = true;
                on_event(RunEvent::Stopping);
            }
            () = &mut timeout, if !has_timed_out => {
                has_timed_out = true;
                stop.request(StopReason::Timeout);
            }
            _ = watch_tick.tick(), if watches => {
                let word = monitor.observe(Instant::now(), metrics.queue_events.get(), metrics.dropped.get());
                if let Some(word) = word {
                    word.log();
                }
            }
            _ = tick.tick(), if tick_every.is_some() => on_event(RunEvent::Tick),
        }
    };
    // The writer has ended: whatever the reader still waits for, nobody takes its lines.
    stop.request(StopReason::Failed);
    let read = match read {
        Some(read) => read,
        None => reader.await,
    };
    let _ = thread.join();
    conclude(read, written.ok(), &stop)
}

fn conclude(
    read: Result<(), ReadError>,
    written: Option<WriterResult>,
    stop: &Shutdown,
) -> RunResult {
    let Some(written) = written else { return RunResult::failed(PipelineError::Panicked) };
    let end = match (read, written.failure) {
        (_, Some(SinkError::TimedOut)) => {
            tracing::warn!(
                "the output took nothing more; what it was not given is read again with --cursor auto"
            );
            Ok(stop.reason().unwrap_or(StopReason::Failed))
        }
        (_, Some(refusal)) => Err(refusal.into()),
        (Err(error), None) => Err(error.into()),
        (Ok(()), None) => Ok(stop.reason().unwrap_or(StopReason::Failed)),
    };
    RunResult {
        end,
        position: written.position,
        saved: written.saved,
        written_to: written.written_to,
    }
}

async fn sleep_or_never(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}
