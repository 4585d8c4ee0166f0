//! The saved position: the SQLite store, leases on consumer names, and the thread that saves.

pub mod saver;
pub mod store;

use crate::position::Resume;
use crate::sink::Delivered;

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

/// TEMPORARY body, replaced by the checkpoint branch.
///
/// # Errors
/// Where the system does not say whose home this is.
pub fn default_state_path() -> Result<std::path::PathBuf, etcetera::HomeDirError> {
    use etcetera::BaseStrategy as _;
    let base = etcetera::choose_base_strategy()?;
    let dir = base.state_dir().unwrap_or_else(|| base.data_dir());
    Ok(dir.join("skytail").join("state.db"))
}
