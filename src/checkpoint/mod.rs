//! The saved position: the SQLite store, leases on consumer names, and the thread that saves.

mod error;
pub mod lease;
mod open;
mod row;
pub mod saver;
mod schema;
pub mod store;

use std::path::PathBuf;

use etcetera::BaseStrategy as _;

use crate::position::{Resume, Seq, TimeUs};
use crate::sink::Delivered;

/// Why there is no default state file.
#[derive(Debug, thiserror::Error)]
#[error("the system does not say where your home directory is")]
pub struct NoHome;

/// The state file where nobody named one: `skytail/state.db` under `$XDG_STATE_HOME`
/// (`~/.local/state`), or under the directory for application data on a platform that has
/// none for state. Nothing is created.
///
/// # Errors
/// [`NoHome`] where no home directory is known.
pub fn default_state_path() -> Result<PathBuf, NoHome> {
    let base = etcetera::choose_base_strategy().map_err(|_| NoHome)?;
    let directory = base.state_dir().unwrap_or_else(|| base.data_dir());
    Ok(directory.join("skytail").join("state.db"))
}

/// What is saved for a consumer. Only delivered output can become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    resume: Resume,
}

impl Checkpoint {
    /// The position that `delivered` proves.
    #[must_use]
    pub fn new(_delivered: &Delivered, resume: Resume) -> Self {
        Self { resume }
    }

    /// The position.
    #[must_use]
    pub fn resume(&self) -> &Resume {
        &self.resume
    }
}

/// A place in a stream that a person can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorValue {
    /// An instant; good on any server. At least [`Seq::LIMIT`] microseconds.
    Time(TimeUs),
    /// A sequence number of one v2 server; at least 1 and below [`Seq::LIMIT`].
    Seq(Seq),
}
