//! Saved positions: the SQLite store, leases on consumer names, and the thread that commits
//! checkpoints. `docs/reference/state-file.md` describes the file.

pub mod backup;
mod error;
pub mod lease;
mod open;
mod row;
mod schema;
pub mod store;
pub mod transfer;
pub mod worker;

use std::path::PathBuf;

use etcetera::BaseStrategy as _;

use crate::filter::additions::AdditionsCheckpoint;
use crate::position::{FilterStamp, Resume, Seq, TimeUs};
use crate::sink::{Delivered, Output};

/// Why there is no default state file.
#[derive(Debug, thiserror::Error)]
#[error("the system does not say where your home directory is")]
pub struct NoHome;

/// Returns the default state file: `skytail/state.db` under `$XDG_STATE_HOME` (`~/.local/state`),
/// or under the directory for application data on a platform without one for state. Creates
/// nothing.
///
/// # Errors
/// [`NoHome`] if no home directory is known.
pub fn default_state_path() -> Result<PathBuf, NoHome> {
    let base = etcetera::choose_base_strategy().map_err(|_| NoHome)?;
    let directory = base.state_dir().unwrap_or_else(|| base.data_dir());
    Ok(directory.join("skytail").join("state.db"))
}

/// A position and the outputs that prove it. Only a [`Delivered`] can become one.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    resume: Resume,
    filter: Option<FilterStamp>,
    outputs: Vec<Output>,
    additions: Option<AdditionsCheckpoint>,
}

impl Checkpoint {
    /// Returns the checkpoint of the position that `delivered` proves.
    #[must_use]
    pub fn new(delivered: Delivered, resume: Resume) -> Self {
        Self { resume, filter: None, outputs: delivered.into_outputs(), additions: None }
    }

    /// Adds the filter in force at the position.
    #[must_use]
    pub fn with_filter(self, filter: FilterStamp) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Returns the filter in force at the position, if it is known.
    #[must_use]
    pub fn filter(&self) -> Option<&FilterStamp> {
        self.filter.as_ref()
    }

    /// Adds the state of the lists that the same proof covers.
    #[must_use]
    pub fn with_additions(self, additions: Option<AdditionsCheckpoint>) -> Self {
        Self { additions, ..self }
    }

    /// Returns the state of the lists; `None` without `--backfill-new`.
    #[must_use]
    pub fn additions(&self) -> Option<&AdditionsCheckpoint> {
        self.additions.as_ref()
    }

    /// Returns the position.
    #[must_use]
    pub fn resume(&self) -> &Resume {
        &self.resume
    }

    /// Returns the outputs that changed. Their files must be synced before the position is saved.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Adds the outputs of an older checkpoint, which was never saved, that this one does not
    /// have.
    fn supersede(&mut self, older: Self) {
        let is_newer = |old: &Output| {
            self.outputs.iter().any(|output| output.record().path == old.record().path)
        };
        let mut outputs: Vec<Output> =
            older.outputs.into_iter().filter(|old| !is_newer(old)).collect();
        outputs.append(&mut self.outputs);
        self.outputs = outputs;
    }
}

/// A cursor: where to start, as a user gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorValue {
    /// An instant; good on any server. At least [`Seq::LIMIT`] microseconds.
    Time(TimeUs),
    /// A sequence number of one v2 server; at least 1 and below [`Seq::LIMIT`].
    Seq(Seq),
}
