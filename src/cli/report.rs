//! What a person is told when a run has ended, and its exit code.

use std::time::Duration;

use super::exit::{Exit, say};
use crate::display::printable::printable;
use crate::display::summary::{Saved, Summary};
use crate::metrics::Metrics;
use crate::pipeline::reader::ReadError;
use crate::pipeline::shutdown::StopReason;
use crate::pipeline::{PipelineError, RunResult};
use crate::position::Position;
use crate::settings::{DisplaySettings, LogFormat, TailSettings};

/// Whether the person left without waiting.
#[must_use]
pub fn is_abandoned(outcome: &RunResult) -> bool {
    matches!(outcome.end, Err(PipelineError::Abandoned))
}

/// Tells the end of a run, and turns it into an exit code.
///
/// # Errors
/// What the run failed with.
pub fn report(
    outcome: RunResult,
    settings: &TailSettings,
    display: &DisplaySettings,
    metrics: &Metrics,
    elapsed: Duration,
) -> anyhow::Result<Exit> {
    if let Err(error @ PipelineError::Abandoned) = &outcome.end {
        tracing::error!("{error}");
        return Ok(Exit::Interrupted);
    }
    // `skytail tail | head` ends without a word.
    let is_silent = matches!(outcome.end, Ok(StopReason::OutputClosed)) && display.verbosity == 0;
    if !display.quiet && !is_silent {
        let summary = summary(&outcome, settings, metrics, elapsed);
        say(&match display.log_format {
            LogFormat::Text => summary.line(),
            LogFormat::Json => summary.json(jiff::Timestamp::now()),
        });
    }
    let is_gap = matches!(outcome.end, Ok(StopReason::Gap));
    let is_failed = matches!(outcome.end, Ok(StopReason::RenderError));
    match outcome.end {
        Ok(_) => {}
        Err(PipelineError::Read(error @ ReadError::GaveUp { .. })) => {
            tracing::error!("{error}");
            return Ok(Exit::GaveUp);
        }
        Err(error) => return Err(error.into()),
    }
    match outcome.saved {
        Some(Err(error)) => Err(anyhow::Error::from(error).context("the position was not saved")),
        _ if is_gap => Ok(Exit::Gap),
        _ if is_failed => Ok(Exit::Failed),
        _ => Ok(Exit::Done),
    }
}

fn summary(
    outcome: &RunResult,
    settings: &TailSettings,
    metrics: &Metrics,
    elapsed: Duration,
) -> Summary {
    let end = outcome.end.as_ref().copied().unwrap_or(StopReason::Failed);
    let saved = match (&outcome.saved, &outcome.position) {
        (Some(Ok(())), Some(position)) => Some(saved(position, &settings.consumer.name)),
        _ => None,
    };
    Summary {
        events: metrics.written.get(),
        received: metrics.received.get(),
        filtered: metrics.filtered.get(),
        bytes: metrics.written_bytes.get(),
        elapsed,
        reconnects: metrics.reconnects.get(),
        dropped: metrics.dropped.get(),
        duplicates: metrics.duplicate.get(),
        malformed: metrics.malformed.get(),
        failed: metrics.failed.get(),
        outputs: settings.render.as_ref().map(|_| metrics.outputs.get()),
        unknown: metrics.unknown.get(),
        gaps: metrics.gaps.get(),
        protocol: match metrics.protocol.get() {
            1 => Some("v1"),
            2 => Some("v2"),
            _ => None,
        },
        saved,
        unsaved: settings.unsaved,
        output: outcome.written_to.clone(),
        reason: end.code(),
        reason_text: end.as_str(),
    }
}

fn saved(position: &Position, consumer: &str) -> Saved {
    Saved {
        consumer: consumer.to_owned(),
        server: printable(position.origin.server.as_bytes(), 100),
        seq: position.newest.seq.map(|seq| seq.0),
        time_us: position.newest.time.0,
        time: position.newest.time.to_seconds().to_string(),
    }
}
