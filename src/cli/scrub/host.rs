//! `--markers-host`: reads the account and sync events of a v2 server's archive and stream.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use clap::{Args as _, Command, FromArgMatches as _};

use super::ScrubArgs;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::tail::args::TailArgs;
use crate::cli::tail::session::Session;
use crate::cli::tail::settings::tail_settings;
use crate::cli::tail::startup::{find_dictionaries, prepare};
use crate::cli::values::OrNever;
use crate::event::batch::CompactBatch;
use crate::event::header::Kind;
use crate::metrics::Metrics;
use crate::pipeline::filter_updates::FilterUpdates;
use crate::pipeline::shutdown::{Shutdown, StopReason};
use crate::pipeline::{self, PipelineInputs, RunObserver};
use crate::scrub::run::{Scrub, ScrubError};
use crate::settings::{OnGap, ProtocolPreference, TailSettings};
use crate::sink::{Sink, Tap};

/// Failed attempts in a row before a scrub gives up: a person waits for it, and nothing is lost if
/// it is run again. A tail retries longer.
const MAX_RETRIES: u32 = 3;

/// Returns the settings of a `skytail tail` that reads these events from the oldest on.
///
/// # Errors
/// [`UsageError`] if the host or the key is wrong.
pub fn settings(
    args: &ScrubArgs,
    sources: &ValueSources,
    now_us: u64,
) -> Result<TailSettings, UsageError> {
    let defaults = TailArgs::augment_args(Command::new("tail"));
    let defaults = defaults.try_get_matches_from(["tail"]);
    let tail = defaults.and_then(|matches| TailArgs::from_arg_matches(&matches));
    let mut tail = tail.map_err(|error| UsageError(error.to_string()))?;
    tail.source.host = args.markers_host.iter().cloned().collect();
    tail.source.protocol = ProtocolPreference::V2;
    tail.source.ca_file.clone_from(&args.ca_file);
    tail.archive.api_key_file.clone_from(&args.api_key_file);
    tail.filters.kind = vec![Kind::Account, Kind::Sync];
    tail.cursor.cursor = Some("oldest".to_owned());
    tail.cursor.no_checkpoint = true;
    tail.cursor.on_gap = OnGap::Fail;
    tail.output.exit_when_live = true;
    tail.source.max_retries = Some(OrNever(Some(MAX_RETRIES)));
    // The user has named the server with another flag.
    let named = |error: UsageError| UsageError(error.0.replace("--host", "--markers-host"));
    tail_settings(&tail, sources, now_us, false).map_err(named)
}

/// Gives each line to a scrub.
#[derive(Debug)]
struct MarkerTap(Arc<Mutex<Received>>);

#[derive(Debug)]
struct Received {
    scrub: Scrub,
    failure: Option<ScrubError>,
    stop: Shutdown,
}

impl Tap for MarkerTap {
    fn observe(&mut self, lines: &CompactBatch) {
        let mut received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.iter() {
            if received.failure.is_some() {
                return;
            }
            if let Err(error) = received.scrub.add_marker(line) {
                received.failure = Some(error);
                received.stop.request(StopReason::Failed);
            }
        }
    }
}

/// Reads the events into `scrub`.
///
/// # Errors
/// If the server can't be read from its first event to the present: without all deletes, the files
/// would only look clean.
pub fn read(scrub: Scrub, mut settings: TailSettings) -> anyhow::Result<Scrub> {
    prepare(&mut settings)?;
    let session = Session::open(&settings)?;
    let dictionaries = find_dictionaries(&settings)?;
    let stop = Shutdown::new(settings.drain_timeout);
    let received = Received { scrub, failure: None, stop: stop.clone() };
    let received = Arc::new(Mutex::new(received));
    let inputs = PipelineInputs {
        start: session.start,
        filter_since: None,
        filters: FilterUpdates::none(),
        side: None,
        history: None,
        history_start: None,
        checkpoint_worker: None,
        output: Some(Sink::Tap(Box::new(MarkerTap(Arc::clone(&received))))),
        renderer: None,
        stop,
        secrets: session.secrets,
        v1_dictionary: dictionaries.v1,
        dictionaries: dictionaries.v2,
        metrics: Arc::new(Metrics::default()),
    };
    let observer = RunObserver { tick_every: None, on_event: &mut |_| {} };
    let result = pipeline::run(&settings, inputs, observer);
    let received = Arc::into_inner(received).context("the run did not end")?;
    let received = received.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = received.failure {
        return Err(failure.into());
    }
    match result.end {
        Ok(StopReason::CaughtUp) => Ok(received.scrub),
        Ok(StopReason::Gap) => Err(anyhow!(
            "--markers-host: the server does not have all of its account and sync events, as the warning above says (its archive may need --api-key-file); nothing was changed"
        )),
        Ok(_) => Err(anyhow!("--markers-host: stopped before the present; nothing was changed")),
        Err(error) => Err(anyhow::Error::from(error).context(
            "--markers-host: the server can't be read, and nothing was changed; check its name, or run this again later",
        )),
    }
}
