//! Makes reader, channel and writer from settings, and starts the writer thread.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::compression::dictionary::Dictionary;
use crate::event::event_id::EventIdSecrets;
use crate::metrics::Metrics;
use crate::platform::Signals;
use crate::position::{Position, StartPosition, TimeUs};
use crate::render::{self, Renderer};
use crate::settings::{RenderErrors, TailSettings, To};
use crate::sink::Sink;
use crate::sink::file::rotation::Rotate;
use crate::sink::stdout::Stdout;
use crate::source::client::Client;
use crate::source::negotiation::Negotiator;
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;
use crate::source::v2::dictionaries::Dictionaries;

use super::channel::{Receiver, channel};
use super::dedup::{EventProcessor, ProcessorConfig};
use super::feedback::WriterFeedback;
use super::filter_updates::Nudge;
use super::handoff::inline_writer::SharedWriter;
use super::reader::{OnIdle, Reader, SideState};
use super::shutdown::{Shutdown, StopReason};
use super::side_lists::SideLists;
use super::transform::TransformStage;
use super::witness_reader::{WitnessParts, WitnessReader};
use super::witness_setup::{self, WitnessSetup};
use super::writer::{RunStart, Writer, WriterConfig, WriterResult};
use super::{PipelineError, PipelineInputs};

/// A run whose writer thread has started.
pub(super) struct Pipeline {
    pub(super) reader: Reader,
    /// Reads the witness, if there is one.
    pub(super) witness: Option<WitnessReader>,
    /// Sent by the writer thread at its end; dropped unsent if the writer panicked.
    pub(super) written: oneshot::Receiver<WriterResult>,
    pub(super) thread: JoinHandle<()>,
    /// Asks for a look at the files of the filter.
    pub(super) nudge: Nudge,
    pub(super) stop: Shutdown,
    pub(super) metrics: Arc<Metrics>,
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> PipelineError {
    move |source| PipelineError::System { what, source }
}

/// Builds the pipeline, and listens for signals before its thread starts.
pub(super) fn build(
    settings: &TailSettings,
    mut inputs: PipelineInputs,
) -> Result<(Pipeline, Signals), PipelineError> {
    let signals = Signals::listen().map_err(system("listen for signals"))?;
    stop_at_zero(settings, &inputs.stop);
    let nudge = inputs.filters.take_nudge();
    let shared = shared_parts(settings, &inputs);
    let (rules, feedback) = (shared.rules.clone(), Arc::clone(&shared.feedback));
    let PipelineInputs { start, checkpoint_worker, output, renderer, stop, metrics, .. } = inputs;
    let (sink, saved) = (output.map_or_else(open_stdout, Ok)?, saved_position(&start));
    let (sender, receiver) = channel(settings.buffer, Arc::clone(&metrics));
    let renders = renderer.is_some();
    let WitnessSetup { side, arrival, reader: witness } = witness_setup::set_up(settings, shared);
    let config = WriterConfig {
        transform: renderer.map(|renderer| transform_stage(settings, renderer, &metrics)),
        sink,
        checkpoint_worker,
        every: settings.checkpoint,
        on_gap: settings.on_gap,
        run_start: run_start(&start, settings.endpoints.len()),
        history_start: inputs.history_start,
        feedback: Arc::clone(&feedback),
        witness: side,
        arrival,
        metrics: Arc::clone(&metrics),
        stop: stop.clone(),
    };
    let processor = witness_setup::processor(settings, &rules, &start, &metrics);
    let mut processor = processor.with_filter_since(inputs.filter_since);
    let side = share_lists(inputs.side, &mut processor);
    let writer = Arc::new(SharedWriter::new(Writer::new(config, processor, saved)));
    let (thread, written) = start_writer(Arc::clone(&writer), receiver, renders)?;
    let reader = Reader {
        endpoints: settings.endpoints.clone(),
        client: client(settings, inputs.v1_dictionary, inputs.dictionaries, &metrics),
        start,
        history: inputs.history,
        limits: witness_setup::limits(settings),
        archive: settings.archive.clone(),
        until: settings.stop.until,
        compress: settings.compression.mode,
        batch_events: settings.buffer.batch_events(),
        on_idle: on_idle(settings),
        ends_with_server: settings.demo,
        is_witness: false,
        sender,
        writer: Some(writer),
        feedback,
        filters: inputs.filters,
        side,
        side_state: SideState::default(),
        metrics: Arc::clone(&metrics),
        stop: stop.clone(),
    };
    Ok((Pipeline { reader, witness, written, thread, nudge, stop, metrics }, signals))
}

/// Returns what the two readers of a run with a witness share.
fn shared_parts(settings: &TailSettings, inputs: &PipelineInputs) -> WitnessParts {
    WitnessParts {
        rules: processor_config(settings, inputs.secrets, inputs.renderer.is_some()),
        start: inputs.start.clone(),
        feedback: Arc::new(WriterFeedback::new(saved_position(&inputs.start))),
        v1_dictionary: inputs.v1_dictionary.clone(),
        dictionaries: Arc::clone(&inputs.dictionaries),
        metrics: Arc::clone(&inputs.metrics),
        stop: inputs.stop.clone(),
    }
}

fn stop_at_zero(settings: &TailSettings, stop: &Shutdown) {
    if settings.stop.limit == Some(0) {
        stop.request(StopReason::Limit);
    }
}

/// Shares the lists of `--backfill-new`, and makes the first checkpoint save them.
fn share_lists(lists: Option<SideLists>, processor: &mut EventProcessor) -> Option<Arc<SideLists>> {
    let lists = Arc::new(lists?);
    processor.set_additions(lists.additions());
    Some(lists)
}

fn open_stdout() -> Result<Sink, PipelineError> {
    Ok(Sink::Stdout(Stdout::open().map_err(system("use standard output"))?))
}

/// Returns the position that the run resumes from; `None` if it starts elsewhere.
fn saved_position(start: &StartPosition) -> Option<Position> {
    match start {
        StartPosition::Resume(resume) => Some(resume.position.clone()),
        _ => None,
    }
}

/// Returns what the run asks of deduplication.
fn processor_config(
    settings: &TailSettings,
    secrets: EventIdSecrets,
    renders: bool,
) -> ProcessorConfig {
    ProcessorConfig {
        filter: Arc::new(settings.filter.clone()),
        strict: settings.strict,
        limit: settings.stop.limit.filter(|_| !renders || settings.filter.markers.is_on()),
        until: settings.stop.until,
        until_margin_us: witness_setup::until_margin_us(settings),
        live_at: settings.stop.exit_when_live.then(|| TimeUs(crate::metrics::now_us())),
        rewind_us: witness_setup::rewind_us(settings),
        secrets,
        on_gap: settings.on_gap,
        period_us: settings
            .output
            .as_ref()
            .and_then(|output| output.naming.rotate)
            .map(Rotate::period_us),
    }
}

pub(super) fn client(
    settings: &TailSettings,
    v1_dictionary: Option<Dictionary>,
    dictionaries: Arc<Dictionaries>,
    metrics: &Arc<Metrics>,
) -> Client {
    Client {
        filter: Mutex::new(Arc::new(settings.filter.clone())),
        negotiator: Negotiator::new(settings.protocol),
        shape: settings.shape,
        v1_dictionary,
        dictionaries,
        proxies: Arc::new(Proxies::from_env()),
        tls: Arc::new(TlsContext::platform_with(settings.ca_file.clone())),
        connect_timeout: settings.connection.connect_timeout,
        max_message_bytes: settings.connection.max_message_bytes,
        metrics: Arc::clone(metrics),
    }
}

fn start_writer(
    writer: Arc<SharedWriter<Writer>>,
    receiver: Receiver,
    renders: bool,
) -> Result<(JoinHandle<()>, oneshot::Receiver<WriterResult>), PipelineError> {
    let mut thread = std::thread::Builder::new().name("writer".into());
    if renders {
        thread = thread.stack_size(render::jq::STACK_BYTES);
    }
    let (done, written) = oneshot::channel();
    let work = move || {
        let result = writer.run(receiver.handoff(), |batch| receiver.recycle(batch));
        if let Some(result) = result {
            // After a second Ctrl-C the other end is gone.
            let _ = done.send(result);
        }
    };
    let thread = thread.spawn(work).map_err(system("start the writer thread"))?;
    Ok((thread, written))
}

/// Returns how to save the start of a run that has no saved position yet.
fn run_start(start: &StartPosition, endpoints: usize) -> Option<RunStart> {
    match (start, endpoints) {
        (StartPosition::Resume(_), _) => None,
        (_, 0 | 1) => Some(RunStart::Exact),
        _ => Some(RunStart::ByTime),
    }
}

fn transform_stage(
    settings: &TailSettings,
    renderer: Renderer,
    metrics: &Arc<Metrics>,
) -> TransformStage {
    let on_error = settings.render.as_ref().map_or(RenderErrors::Skip, |render| render.on_error);
    // The file sink writes the header into each file.
    let header = match settings.output {
        Some(_) => Vec::new(),
        None => renderer.header(),
    };
    // The limit counts what comes of events. Only the dedup stage knows which are markers, and no
    // format that is allowed with markers makes anything but one output of each event.
    let limit = settings.stop.limit.filter(|_| !settings.filter.markers.is_on());
    let metrics = Arc::clone(metrics);
    let stage = TransformStage::new(renderer, on_error, limit, header, metrics);
    match settings.to.as_ref().and_then(To::database) {
        Some(_) => stage.for_records(),
        None => stage,
    }
}

fn on_idle(settings: &TailSettings) -> OnIdle {
    match (settings.stop.exit_when_live, settings.stop.until) {
        (true, _) => OnIdle::CaughtUp,
        (false, Some(until)) => OnIdle::Until(until),
        (false, None) => OnIdle::Wait,
    }
}
