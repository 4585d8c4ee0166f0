//! The stage between deduplication and sink that renders events (`--format`, `--jq`).
//!
//! It renders a batch in chunks and writes each chunk. It knows exactly which events the output
//! accepted: an event counts when all its bytes were accepted, or when it has none.

use std::sync::Arc;
use std::time::Instant;

use crate::display::log_throttle::CountThrottle;
use crate::display::printable::printable;
use crate::event::batch::{CompactBatch, Span};
use crate::event::format::EventFormat;
use crate::event::header::Operation;
use crate::event::header_spans::HeaderSpans;
use crate::metrics::Metrics;
use crate::position::rollover::PeriodStart;
use crate::render::{RenderError, Renderer};
use crate::settings::RenderErrors;
use crate::sink::{Sink, SinkError, WriteContext, WriteRequest};

use super::shutdown::StopReason;

/// Rendered bytes of one write. Enough for few system calls, and a bound on the memory for an
/// expression whose output is much larger than its input.
const CHUNK_BYTES: usize = 256 * 1024;

/// Rows of a table after which a field that none of them had is reported.
const ROWS_BEFORE_WARNING: u64 = 1_000;

/// Renders events and writes the results.
#[derive(Debug)]
pub struct TransformStage {
    renderer: Renderer,
    on_error: RenderErrors,
    /// Stop after this many outputs.
    limit: Option<u64>,
    /// Whether the outputs are records of a database: one object or none for each commit that has a
    /// record. Other events are not rendered.
    makes_records: bool,
    /// Written before the first output; empty if the file sink writes it into each file.
    header: Vec<u8>,
    outputs: u64,
    /// Events that failed.
    skipped: u64,
    skip_log: CountThrottle,
    last_logged_error: String,
    /// Whether the fields that no row had were reported.
    has_warned_of_fields: bool,
    metrics: Arc<Metrics>,
    /// Memory for the next chunk.
    spare: (Vec<u8>, Vec<Span>),
}

/// How much of a batch was rendered and written.
#[derive(Debug, Default)]
pub struct TransformResult {
    /// The number of events, from the first on, that are complete: written, or without output.
    pub whole: usize,
    /// The number of those that had output.
    pub written: u64,
    /// Bytes that were accepted, including those of an event that was not accepted whole.
    pub bytes: u64,
    /// The output bytes of each complete event.
    pub lengths: Vec<usize>,
    /// Bytes that were accepted of the event after them.
    pub torn_bytes: usize,
    /// Why no further event may be written.
    pub end: Option<StopCause>,
}

/// Why a batch was not processed to its end.
#[derive(Debug)]
pub enum StopCause {
    /// The run stops as it should.
    Stopped(StopReason),
    /// The output failed.
    Refused(SinkError),
}

impl TransformResult {
    /// Returns whether all `lines` are complete.
    #[must_use]
    pub fn is_whole(&self, lines: &CompactBatch) -> bool {
        self.whole == lines.len() && !matches!(self.end, Some(StopCause::Refused(_)))
    }

    /// Returns why the run stops, if the output did not fail.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        match self.end {
            Some(StopCause::Stopped(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Returns whether the output accepted everything.
    ///
    /// # Errors
    /// The [`SinkError`] of the output.
    pub fn into_result(self) -> Result<(), SinkError> {
        match self.end {
            Some(StopCause::Refused(refusal)) => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// Consecutive events, rendered.
struct Chunk {
    lines: CompactBatch,
    /// The number of outputs of each event; `None` for one that failed.
    outputs: Vec<Option<u64>>,
    end: Option<StopCause>,
}

impl TransformStage {
    /// Returns a stage that writes `header` before its first output.
    #[must_use]
    pub fn new(
        renderer: Renderer,
        on_error: RenderErrors,
        limit: Option<u64>,
        header: Vec<u8>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            renderer,
            on_error,
            limit,
            makes_records: false,
            header,
            outputs: 0,
            skipped: 0,
            skip_log: CountThrottle::default(),
            last_logged_error: String::new(),
            has_warned_of_fields: false,
            metrics,
            spare: Default::default(),
        }
    }

    /// Returns a stage whose outputs become the records of a database.
    #[must_use]
    pub fn for_records(mut self) -> Self {
        self.makes_records = true;
        self
    }

    /// Renders `lines` and writes the results.
    pub fn write(
        &mut self,
        lines: &CompactBatch,
        period_starts: &[PeriodStart],
        sink: &mut Sink,
        context: &mut WriteContext<'_>,
    ) -> TransformResult {
        self.renderer.refresh_width();
        let mut result = TransformResult::default();
        while result.whole < lines.len() && result.end.is_none() {
            let Chunk { lines: rendered, outputs, end } =
                self.render_chunk(lines, result.whole, &context.deadline);
            let period_starts = period_starts_within(period_starts, result.whole, rendered.len());
            let request = WriteRequest {
                lines: &rendered,
                shape: EventFormat::V1,
                written_bytes: 0,
                period_starts: &period_starts,
                originals: Some((lines, result.whole)),
            };
            let bytes = match sink.write(&request, context) {
                Ok(()) => {
                    result.end = end;
                    rendered.bytes().len()
                }
                Err(refused) => {
                    result.end = Some(StopCause::Refused(refused.error));
                    refused.accepted_bytes
                }
            };
            let accepted = rendered.spans().partition_point(|span| span.end <= bytes);
            let whole = rendered.spans().get(..accepted).unwrap_or_default();
            result.torn_bytes = bytes - whole.last().map_or(0, |span| span.end);
            result.lengths.extend(whole.iter().map(Span::length));
            result.bytes += bytes as u64;
            result.whole += accepted;
            result.written += self.count(outputs.get(..accepted).unwrap_or_default());
            self.spare = rendered.into_parts();
        }
        if !self.has_warned_of_fields && self.renderer.missing_fields().0 >= ROWS_BEFORE_WARNING {
            self.warn_missing_fields();
        }
        self.metrics.written.add(result.written);
        self.metrics.written_bytes.add(result.bytes);
        result
    }

    /// Updates the counters; returns how many events had output.
    fn count(&mut self, outputs: &[Option<u64>]) -> u64 {
        let events = |is: fn(&Option<u64>) -> bool| outputs.iter().filter(|o| is(o)).count() as u64;
        self.metrics.filtered.add(events(|outputs| *outputs == Some(0)));
        self.metrics.failed.add(events(Option::is_none));
        let made: u64 = outputs.iter().flatten().sum();
        self.metrics.outputs.add(made);
        self.outputs += made;
        if self.outputs > 0 {
            self.header = Vec::new();
        }
        events(|outputs| outputs.is_some_and(|made| made > 0))
    }

    /// Renders events, from the one at `from` on, until there is enough for one write.
    fn render_chunk(
        &mut self,
        lines: &CompactBatch,
        from: usize,
        deadline: &impl Fn() -> Option<Instant>,
    ) -> Chunk {
        let (mut bytes, mut spans) = std::mem::take(&mut self.spare);
        bytes.clear();
        spans.clear();
        let (mut outputs, mut sum, mut end) = (Vec::new(), self.outputs, None);
        for (i, event) in lines.iter().enumerate().skip(from) {
            if bytes.len() >= CHUNK_BYTES {
                break;
            }
            // An expression may be slow, and a stop must not wait for a whole batch.
            if deadline().is_some_and(|at| Instant::now() >= at) {
                end = Some(StopCause::Refused(SinkError::TimedOut));
                break;
            }
            let start = bytes.len();
            if sum == 0 {
                bytes.extend_from_slice(&self.header);
            }
            let rendered = match self.makes_records {
                true => self.render_record(event, lines.header(i), &mut bytes),
                false => self.renderer.render(event, &mut bytes),
            };
            let made = match rendered {
                Ok(made) => Some(made),
                Err(error) if self.on_error == RenderErrors::Fail => {
                    bytes.truncate(start);
                    self.log_fatal(&error, event);
                    end = Some(StopCause::Stopped(StopReason::RenderError));
                    break;
                }
                Err(error) => {
                    self.warn_skipped(&error, event);
                    None
                }
            };
            if made.is_none_or(|made| made == 0) {
                // No output, so no header either.
                bytes.truncate(start);
            }
            sum += made.unwrap_or(0);
            outputs.push(made);
            spans.push(Span { start, end: bytes.len() });
            if self.limit.is_some_and(|limit| sum >= limit) {
                end = Some(StopCause::Stopped(StopReason::Limit));
                break;
            }
        }
        Chunk { lines: CompactBatch::from_parts(bytes, spans), outputs, end }
    }

    /// Renders an event of a database, if it has a record.
    fn render_record(
        &mut self,
        event: &[u8],
        header: Option<HeaderSpans>,
        out: &mut Vec<u8>,
    ) -> Result<u64, RenderError> {
        let operation = header.and_then(|header| header.header(event).commit).map(|c| c.operation);
        if !matches!(operation, Some(Operation::Create | Operation::Update)) {
            return Ok(0);
        }
        let from = out.len();
        let problem = match self.renderer.render(event, out)? {
            0 => return Ok(0),
            1 if out.get(from) == Some(&b'{') => return Ok(1),
            1 => "no object",
            _ => "several outputs",
        };
        out.truncate(from);
        Err(RenderError::NoRecord(problem))
    }

    /// Reports the fields that no row had, once a run: after its first rows, or at its end.
    pub fn warn_missing_fields(&mut self) {
        let (rows, names) = self.renderer.missing_fields();
        if self.has_warned_of_fields || rows == 0 {
            return;
        }
        if !names.is_empty() {
            let names = printable(names.join(", ").as_bytes(), 300);
            tracing::warn!(
                rows,
                "no event has had these --fields so far, so their columns are empty: {names}; check how they are spelled (skytail tail -n 1 --format pretty shows an event)"
            );
        }
        self.has_warned_of_fields = true;
    }

    fn warn_skipped(&mut self, error: &RenderError, event: &[u8]) {
        self.skipped += 1;
        let total = self.skipped;
        if !self.skip_log.is_due(total) {
            return;
        }
        let (what, error) = (self.what(error), error.to_string());
        if error == self.last_logged_error {
            // One event that shows the error is enough.
            tracing::warn!(total, "skipped an event, {what}: {error}");
        } else {
            let head = printable(event, 120);
            tracing::warn!(total, "skipped an event, {what}: {error}; it begins {head}");
            self.last_logged_error = error;
        }
    }

    fn log_fatal(&self, error: &RenderError, event: &[u8]) {
        let (what, head) = (self.what(error), printable(event, 120));
        tracing::error!(
            "stopped in front of an event, as --jq-errors fail asks, {what}: {error}; it begins {head}"
        );
    }

    fn what(&self, error: &RenderError) -> &'static str {
        if self.renderer.has_program() && !matches!(error, RenderError::Write(_)) {
            "an error of --jq"
        } else {
            "which --format can't lay out"
        }
    }
}

/// Returns the period starts within `count` lines from `from` on, with line numbers relative to
/// `from`.
fn period_starts_within(
    period_starts: &[PeriodStart],
    from: usize,
    count: usize,
) -> Vec<PeriodStart> {
    let lines = from..from + count;
    let period_starts = period_starts.iter().filter(|start| lines.contains(&start.line));
    period_starts.map(|start| PeriodStart { line: start.line - from, time: start.time }).collect()
}
