//! From settings to a running pipeline, and from its outcome to an exit code.

use super::exit::Exit;
use crate::settings::{DisplaySettings, TailSettings};

/// Runs one tail to its end.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run_tail(settings: TailSettings, display: DisplaySettings) -> anyhow::Result<Exit> {
    let _ = (settings, display);
    anyhow::bail!("not written yet")
}
