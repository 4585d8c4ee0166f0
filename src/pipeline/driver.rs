//! The loop of a run: waits for reader, writer, signals and timers, and reports how it ended.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::metrics::Metrics;
use crate::platform::{Signal, Signals};
use crate::settings::TailSettings;
use crate::sink::SinkError;

use super::build::Pipeline;
use super::filter_updates::Nudge;
use super::queue_monitor::QueueMonitor;
use super::reader::ReadError;
use super::shutdown::{Shutdown, StopReason};
use super::signals::{SignalRequest, SignalResponse, StopSignals};
use super::when_woken::WhenWoken;
use super::witness_reader::WitnessReader;
use super::writer::WriterResult;
use super::{PipelineError, RunEvent, RunObserver, RunResult};

/// After a stop signal, how long the output may take before the user is warned of the wait.
const WARN_OF_DRAIN_AFTER: Duration = Duration::from_secs(1);

/// The time between two checks of the queue.
const CHECK_QUEUE_EVERY: Duration = Duration::from_millis(250);

/// What the writer returned; an error if it panicked.
type Written = Result<WriterResult, oneshot::error::RecvError>;

/// What a run waits for beside its events.
struct Attendance<'a> {
    settings: &'a TailSettings,
    witness: Option<WitnessReader>,
    written: oneshot::Receiver<WriterResult>,
    signals: Signals,
    nudge: Nudge,
    stop: &'a Shutdown,
    metrics: Arc<Metrics>,
    observer: RunObserver<'a>,
}

/// Runs a pipeline to its end.
pub(super) async fn drive(
    settings: &TailSettings,
    pipeline: Pipeline,
    signals: Signals,
    observer: RunObserver<'_>,
) -> RunResult {
    let Pipeline { reader, witness, written, thread, nudge, stop, metrics } = pipeline;
    let RunObserver { tick_every, on_event } = observer;
    on_event(RunEvent::Started);
    let attendance = Attendance {
        settings,
        witness,
        written,
        signals,
        nudge,
        stop: &stop,
        metrics,
        observer: RunObserver { tick_every, on_event },
    };
    let (mut reader, mut attendance) = (pin!(reader.run()), pin!(attendance.run()));
    let mut attendance = WhenWoken::new(attendance.as_mut());
    let mut read = None;
    let ended = loop {
        tokio::select! {
            biased;
            result = &mut reader, if read.is_none() => {
                read = Some(result.inspect_err(|_| stop.request(StopReason::Failed)));
            }
            ended = &mut attendance => break ended,
        }
    };
    let Some(written) = ended else { return RunResult::failed(PipelineError::Abandoned) };
    // The writer has ended, so nothing that the reader could still receive is written.
    stop.request(StopReason::Failed);
    let read = match read {
        Some(read) => read,
        None => reader.await,
    };
    let _ = thread.join();
    run_result(read, written.ok(), &stop)
}

impl Attendance<'_> {
    /// Obeys signals and timers until the writer has ended; `None` if the user does not wait for that.
    async fn run(self) -> Option<Written> {
        let Self { settings, witness, mut written, mut signals, nudge, stop, metrics, observer } =
            self;
        let RunObserver { tick_every, on_event } = observer;
        let mut witness = pin!(read_witness(witness));
        let mut is_stopping = false;
        let mut stop_signals = StopSignals::default();
        let mut drain_warning = pin!(sleep_or_never(None));
        let mut timeout = pin!(sleep_or_never(settings.stop.timeout));
        let mut monitor = QueueMonitor::new(settings.buffer.max_lag_events);
        let monitors_queue = QueueMonitor::is_needed(&settings.buffer);
        let mut queue_tick = tokio::time::interval(CHECK_QUEUE_EVERY);
        let mut tick = tokio::time::interval(tick_every.unwrap_or(CHECK_QUEUE_EVERY));
        loop {
            tokio::select! {
                result = &mut written => return Some(result),
                () = &mut witness => {}
                signal = signals.next() => {
                    match on_signal(signal.into(), &mut stop_signals, stop) {
                        None if signal == Signal::Reload => look_at_filters(&nudge),
                        None => on_event(RunEvent::StatusRequested),
                        Some(SignalResponse::Stop) => {
                            drain_warning.set(sleep_or_never(Some(WARN_OF_DRAIN_AFTER)));
                        }
                        Some(SignalResponse::Ignore) => {}
                        Some(SignalResponse::Leave) => return None,
                    }
                }
                () = &mut drain_warning => {
                    drain_warning.set(sleep_or_never(None));
                    stop.log_drain_wait();
                }
                () = stop.requested(), if !is_stopping => {
                    is_stopping = true;
                    on_event(RunEvent::Stopping);
                }
                () = &mut timeout => {
                    timeout.set(sleep_or_never(None));
                    stop.request(StopReason::Timeout);
                }
                _ = queue_tick.tick(), if monitors_queue => {
                    monitor.check(&metrics, Instant::now());
                }
                _ = tick.tick(), if tick_every.is_some() => on_event(RunEvent::Tick),
            }
        }
    }
}

/// Obeys SIGUSR2.
fn look_at_filters(nudge: &Nudge) {
    if !nudge.look() {
        tracing::warn!(
            "SIGUSR2 asks for a look at the files of -c, -d and --exclude, and none is given with @FILE"
        );
    }
}

/// Passes a stop request on, if it is the first; `None` for a request that does not stop the run.
fn on_signal(
    request: SignalRequest,
    stop_signals: &mut StopSignals,
    stop: &Shutdown,
) -> Option<SignalResponse> {
    let SignalRequest::Stop(reason) = request else { return None };
    let response = stop_signals.respond(reason, Instant::now());
    if response == SignalResponse::Stop {
        stop.request(reason);
    }
    Some(response)
}

fn run_result(
    read: Result<(), ReadError>,
    written: Option<WriterResult>,
    stop: &Shutdown,
) -> RunResult {
    let Some(written) = written else { return RunResult::failed(PipelineError::Panicked) };
    let end = match (read, written.failure) {
        (_, Some(SinkError::TimedOut)) => {
            tracing::warn!(
                "the output did not accept all data within --drain-timeout; run again with --cursor auto to resume"
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
        resume: written.resume,
        history_limit: written.history_limit,
        saved: written.saved,
        written_to: written.written_to,
    }
}

/// Reads the witness for as long as the run lasts.
async fn read_witness(witness: Option<WitnessReader>) {
    if let Some(witness) = witness {
        witness.run().await;
    }
    std::future::pending().await
}

async fn sleep_or_never(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}
