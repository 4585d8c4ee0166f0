//! What the state file says of this run: where it starts, and who may save.

use anyhow::Context as _;

use crate::checkpoint::CursorValue;
use crate::checkpoint::lease::Lease;
use crate::checkpoint::saver::{Health, Saver};
use crate::checkpoint::store::{ByHand, SavedCursor, Store};
use crate::position::{Seq, Start};
use crate::settings::{CursorMode, TailSettings};

/// The state of one run. The lease is held for as long as this lives.
#[derive(Debug)]
pub struct State {
    /// Where the run starts.
    pub start: Start,
    /// The seed of the identities.
    pub identity_seed: u64,
    /// Who saves, unless nobody shall.
    pub saver: Option<Saver>,
    _lease: Option<Lease>,
}

impl State {
    /// Opens the state file, takes the lease on the consumer's name, and reads where to start.
    ///
    /// # Errors
    /// Where the file can't be used, or another run has the name.
    pub fn open(settings: &TailSettings) -> anyhow::Result<Self> {
        let Some(path) = &settings.state else {
            let start = explicit_start(settings.cursor).unwrap_or(Start::Live);
            return Ok(Self { start, identity_seed: fastrand::u64(..), saver: None, _lease: None });
        };
        let mut store = Store::open(path)?;
        let consumer = &settings.consumer;
        let lease = Lease::acquire(path, consumer)?;
        let start = match explicit_start(settings.cursor) {
            Some(start) => {
                store.keep_previous(consumer)?;
                start
            }
            None => saved_start(&store, settings)?,
        };
        let identity_seed = store.identity_seed();
        let saver =
            Saver::spawn(store, consumer.clone(), told).context("start the saver thread")?;
        Ok(Self { start, identity_seed, saver: Some(saver), _lease: Some(lease) })
    }

    /// The newest sequence number that was dealt with, if the start is a saved one.
    #[must_use]
    pub fn newest_seq(&self) -> Option<Seq> {
        match &self.start {
            Start::Resume(resume) => resume.position.newest.seq,
            _ => None,
        }
    }
}

/// The start that the flag names by itself; `None` for `auto`.
fn explicit_start(cursor: CursorMode) -> Option<Start> {
    match cursor {
        CursorMode::Auto => None,
        CursorMode::Live => Some(Start::Live),
        CursorMode::Oldest => Some(Start::Oldest),
        CursorMode::Time(time) => Some(Start::Time(time)),
        CursorMode::Seq(seq) => Some(Start::Seq(seq)),
    }
}

fn saved_start(store: &Store, settings: &TailSettings) -> anyhow::Result<Start> {
    let consumer = &settings.consumer;
    match store.load(consumer)? {
        None => {
            tracing::info!("nothing is saved for {consumer:?}: starting at the live tip");
            Ok(Start::Live)
        }
        Some(SavedCursor::Position(resume)) => Ok(Start::Resume(Box::new(resume))),
        Some(SavedCursor::ByHand(ByHand { at: CursorValue::Time(time), .. })) => {
            Ok(Start::Time(time))
        }
        Some(SavedCursor::ByHand(ByHand { at: CursorValue::Seq(seq), server })) => {
            let asks = |label: &str| settings.endpoints.iter().all(|e| *e.label == *label);
            match server {
                Some(label) if !asks(&label) => anyhow::bail!(
                    "the cursor set for {consumer:?} is seq {} of {label}, which means nothing elsewhere: use --host {label} alone, or set a time",
                    seq.0
                ),
                _ => Ok(Start::Seq(seq)),
            }
        }
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
