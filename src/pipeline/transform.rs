//! Between sieve and sink, where events are rendered: a part of a batch at a time becomes bytes
//! and is written, and which events the output took stays exact: one counts when all its bytes
//! were accepted, or when it has none.

use std::sync::Arc;
use std::time::Instant;

use crate::display::log_throttle::CountThrottle;
use crate::display::printable::printable;
use crate::event::batch::{Lines, Span};
use crate::event::shape::Shape;
use crate::metrics::Metrics;
use crate::position::turns::Turn;
use crate::render::{RenderError, Renderer};
use crate::settings::RenderErrors;
use crate::sink::{Announce, Refusal, Sink};

use super::shutdown::StopReason;

/// Rendered bytes that are written at once: enough to cost few calls, and a bound to what an
/// expression that makes much of little can take.
const PART_BYTES: usize = 256 * 1024;

/// Rows of a table after which a field that none of them had is reported.
const ROWS_TO_JUDGE: u64 = 1_000;

/// The stage of a run that renders.
#[derive(Debug)]
pub struct TransformStage {
    renderer: Renderer,
    on_error: RenderErrors,
    /// Stop when so many outputs were written.
    limit: Option<u64>,
    /// Goes in front of the first output; where files are written, they do that themselves.
    header: Vec<u8>,
    outputs: u64,
    /// Events that failed.
    skipped: u64,
    /// Which of them are told of.
    seldom: CountThrottle,
    /// The error that was told last.
    told: String,
    /// Whether the fields that no row had were reported.
    has_told_absent: bool,
    metrics: Arc<Metrics>,
    /// Memory for the next part.
    spare: (Vec<u8>, Vec<Span>),
}

/// How far a batch came.
#[derive(Debug, Default)]
pub struct TransformResult {
    /// Its first events that are dealt with: written, or with nothing to write.
    pub whole: usize,
    /// Those of them that came to something and were written.
    pub written: u64,
    /// Bytes that were accepted, those of events that were not accepted whole included.
    pub bytes: u64,
    /// The bytes of each of the first events.
    pub lengths: Vec<usize>,
    /// Bytes that were accepted of the event behind them.
    pub torn_bytes: usize,
    /// Why no more of it shall be.
    pub end: Option<Ended>,
}

/// Why a batch was not dealt with to its end.
#[derive(Debug)]
pub enum Ended {
    /// As it shall be.
    Stopped(StopReason),
    /// The output took no more.
    Refused(Refusal),
}

impl TransformResult {
    /// Whether all `lines` were dealt with.
    #[must_use]
    pub fn is_whole(&self, lines: &Lines) -> bool {
        self.whole == lines.len() && !matches!(self.end, Some(Ended::Refused(_)))
    }

    /// Why the run shall stop.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        match self.end {
            Some(Ended::Stopped(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Whether the output took everything.
    ///
    /// # Errors
    /// [`Refusal`] where it did not.
    pub fn refused(self) -> Result<(), Refusal> {
        match self.end {
            Some(Ended::Refused(refusal)) => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// Events in a row, rendered.
struct Part {
    lines: Lines,
    /// How many outputs each event came to; `None` for one that failed.
    outputs: Vec<Option<u64>>,
    end: Option<Ended>,
}

impl TransformStage {
    /// A stage that writes `header` once, unless the sink does.
    #[must_use]
    pub fn new(
        renderer: Renderer,
        on_error: RenderErrors,
        limit: Option<u64>,
        header: Vec<u8>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let spare = Default::default();
        Self {
            renderer,
            on_error,
            limit,
            header,
            outputs: 0,
            skipped: 0,
            seldom: CountThrottle::default(),
            told: String::new(),
            has_told_absent: false,
            metrics,
            spare,
        }
    }

    /// Renders `lines` and writes what comes of them.
    pub fn write(
        &mut self,
        lines: &Lines,
        turns: &[Turn],
        sink: &mut Sink,
        deadline: impl Fn() -> Option<Instant>,
        announce: &mut Announce<'_>,
    ) -> TransformResult {
        self.renderer.look_around();
        let mut passed = TransformResult::default();
        while passed.whole < lines.len() && passed.end.is_none() {
            let Part { lines: rendered, outputs, end } = self.part(lines, passed.whole, &deadline);
            let turns = turns_of(turns, passed.whole, rendered.len());
            let bytes = match sink.write(&rendered, Shape::V1, 0, &turns, &deadline, announce) {
                Ok(()) => {
                    passed.end = end;
                    rendered.bytes().len()
                }
                Err(refused) => {
                    passed.end = Some(Ended::Refused(refused.refusal));
                    refused.accepted_bytes
                }
            };
            let taken = rendered.spans().partition_point(|span| span.end <= bytes);
            let whole = rendered.spans().get(..taken).unwrap_or_default();
            passed.torn_bytes = bytes - whole.last().map_or(0, |span| span.end);
            passed.lengths.extend(whole.iter().map(Span::length));
            passed.bytes += bytes as u64;
            passed.whole += taken;
            passed.written += self.count(outputs.get(..taken).unwrap_or_default());
            self.spare = rendered.into_parts();
        }
        if !self.has_told_absent && self.renderer.absent_fields().0 >= ROWS_TO_JUDGE {
            self.warn_absent_fields();
        }
        self.metrics.written.add(passed.written);
        self.metrics.written_bytes.add(passed.bytes);
        passed
    }

    /// Counts what became of events; returns how many came to something.
    fn count(&mut self, outputs: &[Option<u64>]) -> u64 {
        let outcome =
            |is: fn(&Option<u64>) -> bool| outputs.iter().filter(|o| is(o)).count() as u64;
        self.metrics.filtered.add(outcome(|outputs| *outputs == Some(0)));
        self.metrics.failed.add(outcome(Option::is_none));
        let made: u64 = outputs.iter().flatten().sum();
        self.metrics.outputs.add(made);
        self.outputs += made;
        if self.outputs > 0 {
            self.header = Vec::new();
        }
        outcome(|outputs| outputs.is_some_and(|made| made > 0))
    }

    /// Renders from the event `from` on, until there is enough for one write.
    fn part(
        &mut self,
        lines: &Lines,
        from: usize,
        deadline: &impl Fn() -> Option<Instant>,
    ) -> Part {
        let (mut bytes, mut spans) = std::mem::take(&mut self.spare);
        bytes.clear();
        spans.clear();
        let (mut outputs, mut sum, mut end) = (Vec::new(), self.outputs, None);
        for event in lines.iter().skip(from) {
            if bytes.len() >= PART_BYTES {
                break;
            }
            // An expression may be slow, and a stop must not wait for all that was received.
            if deadline().is_some_and(|at| Instant::now() >= at) {
                end = Some(Ended::Refused(Refusal::TimedOut));
                break;
            }
            let start = bytes.len();
            if sum == 0 {
                bytes.extend_from_slice(&self.header);
            }
            let made = match self.renderer.render(event, &mut bytes) {
                Ok(made) => Some(made),
                Err(error) if self.on_error == RenderErrors::Fail => {
                    bytes.truncate(start);
                    self.log_fatal(&error, event);
                    end = Some(Ended::Stopped(StopReason::RenderError));
                    break;
                }
                Err(error) => {
                    self.warn_skipped(&error, event);
                    None
                }
            };
            if made.is_none_or(|made| made == 0) {
                // Without the header.
                bytes.truncate(start);
            }
            sum += made.unwrap_or(0);
            outputs.push(made);
            spans.push(Span { start, end: bytes.len() });
            if self.limit.is_some_and(|limit| sum >= limit) {
                end = Some(Ended::Stopped(StopReason::Limit));
                break;
            }
        }
        Part { lines: Lines::of_parts(bytes, spans), outputs, end }
    }

    /// Reports the fields that no row had, once a run: after its first rows, or at its end.
    pub fn warn_absent_fields(&mut self) {
        let (rows, names) = self.renderer.absent_fields();
        if self.has_told_absent || rows == 0 {
            return;
        }
        if !names.is_empty() {
            let names = printable(names.join(", ").as_bytes(), 300);
            tracing::warn!(
                rows,
                "no event has had these --fields so far, so their columns are empty: {names}; check how they are spelled (skytail tail -n 1 --format pretty shows an event)"
            );
        }
        self.has_told_absent = true;
    }

    fn warn_skipped(&mut self, error: &RenderError, event: &[u8]) {
        self.skipped += 1;
        let total = self.skipped;
        if !self.seldom.is_due(total) {
            return;
        }
        let (what, error) = (self.what(error), error.to_string());
        if error == self.told {
            // One event that shows it is enough.
            tracing::warn!(total, "skipped an event, {what}: {error}");
        } else {
            let head = printable(event, 120);
            tracing::warn!(total, "skipped an event, {what}: {error}; it begins {head}");
            self.told = error;
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

/// The turns of `count` lines from `from` on, as they count.
fn turns_of(turns: &[Turn], from: usize, count: usize) -> Vec<Turn> {
    let lines = from..from + count;
    let turns = turns.iter().filter(|turn| lines.contains(&turn.line));
    turns.map(|turn| Turn { line: turn.line - from, time: turn.time }).collect()
}
