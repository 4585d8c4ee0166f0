//! What the state file says of this run: where it starts, which files it goes on with, and
//! who may save.

use anyhow::Context as _;

use super::departure;
use super::exit::UsageError;
use super::open_output;

use crate::checkpoint::CursorValue;
use crate::checkpoint::lease::{self, Lease};
use crate::checkpoint::saver::{Health, Saver};
use crate::checkpoint::store::{ByHand, SavedCursor, Store, StoreError};
use crate::event::identity::IdentitySecrets;
use crate::metrics::now_us;
use crate::position::{Seq, StartPosition, TimeUs};
use crate::settings::{CursorMode, TailSettings, Unsaved};
use crate::sink::Sink;
use crate::sink::broker::{Broker, BrokerSettings};
use crate::sink::file::FileSink;
use crate::sink::record::OutputRecord;

/// The state of one run. The lease is held for as long as this lives.
#[derive(Debug)]
pub struct State {
    /// Where the run starts.
    pub start: StartPosition,
    /// The secrets of the identities.
    pub secrets: IdentitySecrets,
    /// Who saves, unless nobody shall.
    pub saver: Option<Saver>,
    /// What to write to; `None` for standard output.
    pub output: Option<Sink>,
    /// The name under which it saves.
    pub consumer: String,
    /// Why nothing is saved, if so.
    pub unsaved: Option<Unsaved>,
    _lease: Option<Lease>,
}

impl State {
    /// Opens the state file, takes the lease on the consumer's name, and reads where to start.
    ///
    /// # Errors
    /// Where a file can't be used, or another run has the name.
    pub fn open(settings: &TailSettings) -> anyhow::Result<Self> {
        let Some(path) = &settings.state else {
            return Self::unsaved(settings, settings.unsaved);
        };
        let mut store = Store::open(path)?;
        let consumer = &departure::own_name(&store, settings)?;
        if let Some(why) = departure::leaves_alone(&store, consumer, settings)? {
            return Self::unsaved(settings, Some(why));
        }
        let lease = Lease::acquire(path, consumer)?;
        lease::remove_unused(path, || store.names().ok());
        departure::take_over_local(&mut store, path, consumer, settings)?;
        departure::check_repetition(&store, consumer, settings)?;
        let output = open_sink(&mut store, consumer, settings)?;
        store.set_asked_for(departure::is_asked_for(settings));
        let start = match explicit_start(settings.cursor) {
            Some(start) => {
                departure::depart(&mut store, consumer, &start, TimeUs(now_us()));
                start
            }
            None => saved_start(&store, consumer, settings)?,
        };
        let secrets = store.identity_secrets(consumer)?;
        let told = if settings.output.is_some() { told_of_files } else { told };
        let saver =
            Saver::spawn(store, consumer.clone(), told).context("start the saver thread")?;
        Ok(Self {
            start,
            secrets,
            saver: Some(saver),
            output,
            consumer: consumer.clone(),
            unsaved: None,
            _lease: Some(lease),
        })
    }

    /// A run that saves nothing, and needs no lease.
    fn unsaved(settings: &TailSettings, why: Option<Unsaved>) -> anyhow::Result<Self> {
        let consumer = settings.consumer.name.clone();
        let output = match (&settings.output, &settings.to) {
            (Some(output), _) => Some(file(open_output::open(output, None, &consumer)?)),
            (None, Some(to)) => Some(connect(to, &[])?),
            (None, None) => None,
        };
        Ok(Self {
            start: explicit_start(settings.cursor).unwrap_or(StartPosition::Live),
            secrets: IdentitySecrets::random(),
            saver: None,
            output,
            consumer,
            unsaved: why,
            _lease: None,
        })
    }

    /// The newest sequence number that was dealt with, if the start is a saved one.
    #[must_use]
    pub fn newest_seq(&self) -> Option<Seq> {
        match &self.start {
            StartPosition::Resume(resume) => resume.position.newest.seq,
            _ => None,
        }
    }
}

/// Opens what to write to, and cuts back what a killed run left.
fn open_sink(
    store: &mut Store,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<Option<Sink>> {
    if let Some(output) = &settings.output {
        store.make_durable()?;
        return Ok(Some(file(open_output::open(output, Some(store), consumer)?)));
    }
    let mut records = store.outputs(consumer)?;
    open_output::recover(store, consumer, &mut records)?;
    if settings.to.is_some() {
        store.make_durable()?;
    }
    settings.to.as_ref().map(|to| connect(to, &records)).transpose()
}

fn file(files: FileSink) -> Sink {
    Sink::File(Box::new(files))
}

/// Connects to a broker, before any server of events is dialled.
fn connect(to: &BrokerSettings, known: &[OutputRecord]) -> anyhow::Result<Sink> {
    match Broker::open(to, known) {
        Ok(broker) => Ok(Sink::Broker(Box::new(broker))),
        Err(error) if error.is_usage() => Err(UsageError(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// The start that the flag names by itself; `None` for `auto`.
fn explicit_start(cursor: CursorMode) -> Option<StartPosition> {
    match cursor {
        CursorMode::Auto => None,
        CursorMode::Live => Some(StartPosition::Live),
        CursorMode::Oldest => Some(StartPosition::Oldest),
        CursorMode::Time(time) => Some(StartPosition::Time(time)),
        CursorMode::Seq(seq) => Some(StartPosition::Seq(seq)),
    }
}

fn saved_start(
    store: &Store,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<StartPosition> {
    match store.load(consumer)? {
        None => {
            let start = explicit_start(settings.from).unwrap_or(StartPosition::Live);
            if start == StartPosition::Live {
                tracing::info!("nothing is saved for {consumer:?}: starting at the live tip");
            }
            Ok(start)
        }
        Some(SavedCursor::Position(mut resume)) => {
            let saved = resume.position.latest_time;
            if resume.position.recover(TimeUs(crate::metrics::now_us())) {
                tracing::warn!(
                    "the time saved for {consumer:?}, {saved}, lies ahead of this machine's clock, and one event alone supports it: continuing at {}",
                    resume.position.latest_time,
                );
            }
            Ok(StartPosition::Resume(Box::new(resume)))
        }
        Some(SavedCursor::ByHand(ByHand { at: CursorValue::Time(time), .. })) => {
            Ok(StartPosition::Time(time))
        }
        Some(SavedCursor::ByHand(ByHand { at: CursorValue::Seq(seq), server })) => {
            let asks = |label: &str| settings.endpoints.iter().all(|e| *e.label == *label);
            match server {
                Some(label) if !asks(&label) => anyhow::bail!(
                    "the cursor set for {consumer:?} is seq {} of {label}, which means nothing elsewhere: use --host {label} alone, or set a time",
                    seq.0
                ),
                _ => Ok(StartPosition::Seq(seq)),
            }
        }
    }
}

/// As [`told`], for a run that writes files: what is not saved is cut off and read again.
fn told_of_files(health: Health<'_>) {
    match health {
        // The run ends, and says this as its error.
        Health::Failing(StoreError::Output { .. }) => {}
        Health::Failing(error) => tracing::warn!(
            "the position can't be saved: {error}; events go on, and a restart would cut them off and read them again"
        ),
        Health::Recovered => told(health),
    }
}

/// Says that saving fails, or works again.
fn told(health: Health<'_>) {
    match health {
        Health::Failing(error) => tracing::warn!(
            "the position can't be saved: {error}; events go on, and a restart would repeat them"
        ),
        Health::Recovered => tracing::warn!("the position is saved again"),
    }
}
