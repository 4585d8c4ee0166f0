//! Reports the end of a run: the summary line, the errors and the exit code.

use std::time::Duration;

use crate::cli::exit::{Exit, eprint};
use crate::display::log;
use crate::display::printable::printable;
use crate::display::summary::{Saved, Summary, WitnessSummary};
use crate::metrics::Metrics;
use crate::pipeline::reader::ReadError;
use crate::pipeline::shutdown::StopReason;
use crate::pipeline::{PipelineError, RunResult};
use crate::position::{Position, TimeUs};
use crate::settings::{DisplaySettings, LogFormat, TailSettings};

/// Returns whether the user ended the run without waiting for the output.
pub fn is_abandoned(result: &RunResult) -> bool {
    matches!(result.end, Err(PipelineError::Abandoned))
}

/// Prints the summary of the run, and returns its exit code.
///
/// # Errors
/// The error that the run failed with.
pub fn report(
    result: RunResult,
    settings: &TailSettings,
    display: &DisplaySettings,
    metrics: &Metrics,
    elapsed: Duration,
) -> anyhow::Result<Exit> {
    if let Err(error @ PipelineError::Abandoned) = &result.end {
        tracing::error!("{error}");
        return Ok(Exit::Interrupted);
    }
    // `skytail tail | head` ends silently.
    let is_silent = matches!(result.end, Ok(StopReason::OutputClosed)) && display.verbosity == 0;
    if !display.quiet && !is_silent {
        let summary = summary(&result, settings, metrics, elapsed);
        eprint(&match display.log_format {
            LogFormat::Text => summary.line(),
            LogFormat::Json => summary.json(jiff::Timestamp::now()),
        });
    }
    let is_gap = matches!(result.end, Ok(StopReason::Gap));
    let is_failed = matches!(result.end, Ok(StopReason::RenderError));
    match result.end {
        Ok(_) => {}
        Err(PipelineError::Read(error @ ReadError::GaveUp { .. })) => {
            tracing::error!("{error}");
            return Ok(Exit::GaveUp);
        }
        Err(error) => return Err(error.into()),
    }
    match result.saved {
        Some(Err(error)) => Err(anyhow::Error::from(error).context("the position was not saved")),
        _ if is_gap => Ok(Exit::Gap),
        _ if is_failed => Ok(Exit::Failed),
        _ => Ok(Exit::Done),
    }
}

/// Reports a run that ends before it starts, because the saved position has reached `--until`.
pub fn report_nothing_to_do(reached: &TimeUs, settings: &TailSettings, display: &DisplaySettings) {
    let until = settings.stop.until.map(|until| until.to_string()).unwrap_or_default();
    let name = &settings.consumer.name;
    let message =
        format!("nothing to read: {name:?} was read up to {reached}, and --until is {until}");
    if display.quiet {
        return;
    }
    match display.log_format {
        LogFormat::Text => eprint(&format!("skytail: {message}")),
        LogFormat::Json => {
            let summary =
                Summary { complete: true, reason: StopReason::Until.code(), ..Summary::default() };
            eprint(log::info_line(&message).trim_end());
            eprint(&summary.json(jiff::Timestamp::now()));
        }
    }
}

fn summary(
    result: &RunResult,
    settings: &TailSettings,
    metrics: &Metrics,
    elapsed: Duration,
) -> Summary {
    let end = result.end.as_ref().copied().unwrap_or(StopReason::Failed);
    let saved = match (&result.saved, &result.position) {
        (Some(Ok(())), Some(position)) => Some(saved(position, &settings.consumer.name)),
        _ => None,
    };
    Summary {
        events: metrics.written.get(),
        received: metrics.received.get(),
        filtered: metrics.filtered.get(),
        bytes: metrics.written_bytes.get(),
        elapsed,
        archive_bytes: metrics.archive_bytes.get(),
        reconnects: metrics.reconnects.get(),
        dropped: metrics.dropped.get(),
        duplicates: metrics.duplicate.get(),
        malformed: metrics.malformed.get(),
        failed: metrics.failed.get(),
        outputs: settings.render.as_ref().map(|_| metrics.outputs.get()),
        unknown: metrics.unknown.get(),
        gaps: metrics.gaps.get(),
        witness: settings.witness.map(|_| WitnessSummary {
            printed: metrics.witness.printed.get(),
            left: metrics.witness.left.get(),
            missing: metrics
                .witness
                .missing
                .by_server()
                .into_iter()
                .map(|(server, count)| (printable(server.as_bytes(), 200), count))
                .collect(),
        }),
        protocol: match metrics.protocol.get() {
            1 => Some("v1"),
            2 => Some("v2"),
            _ => None,
        },
        saved,
        unsaved: settings.unsaved,
        output: result.written_to.clone(),
        complete: end.is_complete(),
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
