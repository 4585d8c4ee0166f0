//! Opens what a run keeps between starts: the state file, the lease on its consumer, the start
//! position and the outputs that it continues.

use anyhow::Context as _;

use super::filter_since::filter_since;
use super::open_database::{self, DatabaseLease};
use super::{backfill_new, departure, legacy_names, open_output};
use crate::checkpoint::CursorValue;
use crate::checkpoint::lease::{self, Lease};
use crate::checkpoint::store::{ManualCursor, SavedCursor, Store, StoreError};
use crate::checkpoint::worker::{CheckpointWorker, SaveHealth};
use crate::cli::exit::UsageError;
use crate::display::summary::UnsavedReason;
use crate::event::event_id::EventIdSecrets;
use crate::metrics::now_us;
use crate::pipeline::side_lists::SideLists;
use crate::position::{FilterSince, Seq, StartPosition, TimeUs};
use crate::settings::{CursorMode, TailSettings, To};
use crate::sink::Sink;
use crate::sink::broker::{Broker, BrokerSettings};
use crate::sink::file::FileSink;
use crate::sink::output_record::OutputRecord;
use crate::sink::sqlite::Database;

/// The saved state of one run. It holds the lease on the consumer until it is dropped.
#[derive(Debug)]
pub struct Session {
    pub start: StartPosition,
    /// Where an earlier run changed the filter, or where this one resumes with another.
    pub filter_since: Option<FilterSince>,
    /// The lists of `--backfill-new`.
    pub side: Option<SideLists>,
    /// The secrets of the dedup keys.
    pub secrets: EventIdSecrets,
    /// Saves checkpoints; `None` if the run saves nothing.
    pub checkpoint_worker: Option<CheckpointWorker>,
    /// The output; `None` for standard output.
    pub output: Option<Sink>,
    /// The name that the position is saved under.
    pub consumer: String,
    /// Why the run saves nothing, if so.
    pub unsaved: Option<UnsavedReason>,
    _lease: Option<Lease>,
    /// The lock on the database, which may be reached with several state files.
    _database_lease: Option<DatabaseLease>,
}

impl Session {
    /// Opens the state file, acquires the lease on the consumer, and reads where to start.
    ///
    /// # Errors
    /// If a file can't be used, or another run has the lease.
    pub fn open(settings: &TailSettings) -> anyhow::Result<Self> {
        let Some(path) = &settings.state else {
            return Self::unsaved(settings, settings.unsaved);
        };
        let mut store = Store::open(path)?;
        let consumer = &legacy_names::effective_name(&store, settings)?;
        if let Some(reason) = departure::keeps_saved_position(&store, consumer, settings)? {
            return Self::unsaved(settings, Some(reason));
        }
        let lease = Lease::acquire(path, consumer)?;
        store.settle_rewrites()?;
        lease::remove_unused(path, || store.names().ok());
        legacy_names::adopt_content_cursor(&mut store, path, consumer, settings)?;
        legacy_names::adopt_local_cursor(&mut store, path, consumer, settings)?;
        departure::check_repetition(&store, consumer, settings)?;
        let (mut output, database_lease) = open_sink(&mut store, consumer, settings)?;
        store.set_asked_for(departure::is_requested(settings));
        let mut database = output.as_mut().and_then(Sink::database);
        let mut start = find_start(&mut store, &mut database, consumer, settings)?;
        let side = backfill_new::lists(&mut store, database.as_deref(), consumer, settings)?;
        let stamp = match &database {
            Some(database) => database.filter_stamp()?,
            None => store.filter_stamp(consumer)?,
        };
        let filter = side.as_ref().map(SideLists::live);
        let filter = filter.as_deref().unwrap_or(&settings.filter);
        let filter_since = filter_since(stamp, &mut start, filter, settings.witness.is_some());
        let secrets = match database {
            Some(database) => database.secrets()?,
            None => store.identity_secrets(consumer)?,
        };
        let log_health = match settings.output {
            Some(_) => log_health_of_files,
            None => log_health,
        };
        let checkpoint_worker = CheckpointWorker::spawn(store, consumer.clone(), log_health)
            .context("start the checkpoint thread")?;
        Ok(Self {
            start,
            filter_since,
            side,
            secrets,
            checkpoint_worker: Some(checkpoint_worker),
            output,
            consumer: consumer.clone(),
            unsaved: None,
            _lease: Some(lease),
            _database_lease: database_lease,
        })
    }

    /// Returns a session that saves nothing, and needs no lease.
    fn unsaved(settings: &TailSettings, reason: Option<UnsavedReason>) -> anyhow::Result<Self> {
        let consumer = settings.consumer.name.clone();
        let output = match (&settings.output, &settings.to) {
            (Some(output), _) => Some(file_sink(open_output::open(output, None, &consumer)?)),
            (None, Some(To::Broker(to))) => Some(connect(to, &[])?),
            (None, Some(To::Database(_))) => {
                anyhow::bail!(
                    "--to: the run of a database needs a state file: name one with --state"
                )
            }
            (None, None) => None,
        };
        Ok(Self {
            start: explicit_start(settings.cursor).unwrap_or(StartPosition::Live),
            filter_since: None,
            side: backfill_new::first_lists(settings),
            secrets: EventIdSecrets::random(),
            checkpoint_worker: None,
            output,
            consumer,
            unsaved: reason,
            _lease: None,
            _database_lease: None,
        })
    }

    /// Returns the sequence number of the newest event of the saved position, if the run resumes
    /// from one.
    pub fn newest_seq(&self) -> Option<Seq> {
        match &self.start {
            StartPosition::Resume(resume) => resume.position.newest.seq,
            _ => None,
        }
    }
}

/// Returns where a run starts, and records what a start of its own leaves.
fn find_start(
    store: &mut Store,
    database: &mut Option<&mut Database>,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<StartPosition> {
    match (explicit_start(settings.cursor), database) {
        (Some(start), database) => {
            let skipped = departure::record_departure(store, consumer, &start, TimeUs(now_us()));
            if let (Some(gap), Some(database)) = (skipped, database) {
                database.record_gap(&gap);
            }
            Ok(start)
        }
        (None, None) => saved_start(store, consumer, settings),
        (None, Some(database)) => {
            open_database::saved_start(database, store, consumer, settings, || {
                saved_start(store, consumer, settings)
            })
        }
    }
}

/// Returns where a run would start, without opening its outputs or taking its lease.
///
/// # Errors
/// If the state file can't be read.
pub fn planned_start(settings: &TailSettings) -> anyhow::Result<StartPosition> {
    if let Some(start) = explicit_start(settings.cursor) {
        return Ok(start);
    }
    let store = settings.state.as_deref().map(Store::open_existing).transpose()?.flatten();
    match store {
        Some(store) => {
            let consumer = legacy_names::saved_name(&store, settings)?;
            saved_start(&store, &consumer, settings)
        }
        None => Ok(explicit_start(settings.from).unwrap_or(StartPosition::Live)),
    }
}

/// Returns the saved time from which `--cursor auto` would continue, if `--until` is not after it:
/// then there is nothing to read.
///
/// # Errors
/// If the state file can't be read.
pub fn reached_end(settings: &TailSettings) -> anyhow::Result<Option<TimeUs>> {
    let (CursorMode::Auto, Some(until)) = (settings.cursor, settings.stop.until) else {
        return Ok(None);
    };
    // The state file has only a copy of a database's position.
    if settings.to.as_ref().and_then(To::database).is_some() {
        return Ok(None);
    }
    let store = settings.state.as_deref().map(Store::open_existing).transpose()?.flatten();
    let Some(store) = store else { return Ok(None) };
    let saved = store.load(&legacy_names::saved_name(&store, settings)?)?;
    let reached = match saved {
        Some(SavedCursor::Position(resume)) => Some(resume.position.newest.time),
        Some(SavedCursor::Manual(ManualCursor { at: CursorValue::Time(time), .. })) => Some(time),
        Some(SavedCursor::Manual(_)) | None => None,
    };
    // A time ahead of this machine's clock may be a server's mistake.
    Ok(reached.filter(|time| until <= *time && time.0 <= now_us()))
}

/// Opens the output, and truncates what a killed run wrote after its last checkpoint.
fn open_sink(
    store: &mut Store,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<(Option<Sink>, Option<DatabaseLease>)> {
    if let Some(output) = &settings.output {
        store.make_durable()?;
        let files = open_output::open(output, Some(store), consumer)?;
        return Ok((Some(file_sink(files)), None));
    }
    let mut records = store.outputs(consumer)?;
    open_output::truncate_unsaved(store, consumer, &mut records)?;
    match &settings.to {
        Some(To::Broker(to)) => {
            store.make_durable()?;
            Ok((Some(connect(to, &records)?), None))
        }
        Some(To::Database(to)) => {
            let (database, lease) = open_database::open(to)?;
            Ok((Some(Sink::Database(Box::new(database))), Some(lease)))
        }
        None => Ok((None, None)),
    }
}

fn file_sink(files: FileSink) -> Sink {
    Sink::File(Box::new(files))
}

/// Connects to a broker, before any connection to a Jetstream server.
fn connect(to: &BrokerSettings, known: &[OutputRecord]) -> anyhow::Result<Sink> {
    match Broker::open(to, known) {
        Ok(broker) => Ok(Sink::Broker(Box::new(broker))),
        Err(error) if error.is_usage() => Err(UsageError(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the start that a cursor names without the state file; `None` for `auto`.
pub(super) fn explicit_start(cursor: CursorMode) -> Option<StartPosition> {
    match cursor {
        CursorMode::Auto => None,
        CursorMode::Live => Some(StartPosition::Live),
        CursorMode::Oldest => Some(StartPosition::Oldest),
        CursorMode::Time(time) => Some(StartPosition::Time(time)),
        CursorMode::Seq(seq) => Some(StartPosition::Seq(seq)),
    }
}

/// Returns where `--cursor auto` starts.
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
            let saved = resume.position.max_time;
            if resume.position.recover(TimeUs(now_us())) {
                tracing::warn!(
                    "the time saved for {consumer:?}, {saved}, lies ahead of this machine's clock, and only one event supports it: continuing at {}",
                    resume.position.max_time,
                );
            }
            Ok(StartPosition::Resume(Box::new(resume)))
        }
        Some(SavedCursor::Manual(ManualCursor { at: CursorValue::Time(time), .. })) => {
            Ok(StartPosition::Time(time))
        }
        Some(SavedCursor::Manual(ManualCursor { at: CursorValue::Seq(seq), server })) => {
            start_at_seq(seq, server.as_deref(), consumer, settings)
        }
    }
}

/// Returns the start at a sequence number, if the run reads its server only.
pub(super) fn start_at_seq(
    seq: Seq,
    server: Option<&str>,
    consumer: &str,
    settings: &TailSettings,
) -> anyhow::Result<StartPosition> {
    let is_only = |label: &str| settings.endpoints.iter().all(|e| *e.label == *label);
    match server {
        Some(label) if !is_only(label) => anyhow::bail!(
            "the cursor set for {consumer:?} is seq {} of {label}, which means nothing on another server: use --host {label} alone, or set a time",
            seq.0
        ),
        _ => Ok(StartPosition::Seq(seq)),
    }
}

/// Logs changes of the checkpoint worker's health for a run that writes files: a restart truncates
/// what was not saved, and reads it again.
fn log_health_of_files(health: SaveHealth<'_>) {
    match health {
        // The run ends with this error, and logs it then.
        SaveHealth::Failing(StoreError::Output { .. }) => {}
        SaveHealth::Failing(error) => tracing::warn!(
            "the position can't be saved: {error}; the run continues, and a restart would cut off the events written since then and read them again"
        ),
        SaveHealth::Recovered => log_health(health),
    }
}

/// Logs that saving fails, or works again.
fn log_health(health: SaveHealth<'_>) {
    match health {
        SaveHealth::Failing(error) => tracing::warn!(
            "the position can't be saved: {error}; the run continues, and a restart would repeat the events written since then"
        ),
        SaveHealth::Recovered => tracing::warn!("the position is saved again"),
    }
}
