//! From settings to a running pipeline, and from its outcome to an exit code.

use std::sync::Arc;

use super::exit::Exit;
use crate::metrics::Metrics;
use crate::pipeline::{self, Parts};
use crate::position::Start;
use crate::settings::{CursorMode, DisplaySettings, TailSettings};

/// Runs one tail to its end.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run_tail(settings: TailSettings, display: DisplaySettings) -> anyhow::Result<Exit> {
    let _ = display;
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).try_init();
    let start = match settings.cursor {
        CursorMode::Live | CursorMode::Auto => Start::Live,
        CursorMode::Oldest => Start::Oldest,
        CursorMode::Time(t) => Start::Time(t),
        CursorMode::Seq(s) => Start::Seq(s),
    };
    let dictionary =
        crate::compression::dictionary::find(settings.compression.dictionary.as_deref())?;
    let parts = Parts {
        start,
        saver: None,
        identity_seed: 7,
        dictionary,
        metrics: Arc::new(Metrics::default()),
    };
    let outcome = pipeline::run(&settings, parts, None, &mut || {});
    eprintln!("{outcome:?}");
    outcome.end?;
    Ok(Exit::Done)
}
