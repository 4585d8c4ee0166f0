//! Decides about one line.

use crate::event::error::Malformed;
use crate::event::header_spans::HeaderSpans;
use crate::filter::Taken;
use crate::pipeline::gap_detector::{Anomaly, Observation};
use crate::pipeline::shutdown::StopReason;
use crate::position::{EventPosition, TimeUs};
use crate::settings::OnGap;

use super::{Decision, EventProcessor, PassedEvent, Rejected};

/// How many bytes of a malformed line a warning shows.
const REJECTED_HEAD_BYTES: usize = 200;

impl EventProcessor {
    /// Decides whether a line is written, and moves the position past its event. `parsed` is the
    /// line's entry of the sidecar, which is filled unless the line is malformed.
    pub(super) fn decide(&mut self, line: &[u8], parsed: &mut Option<HeaderSpans>) -> Decision {
        let header = match parsed {
            Some(header) => &*header,
            None => match self.shape.parse_next(&mut self.lines, line) {
                Ok(header) => &*parsed.insert(header),
                Err(error) => return self.reject(line, error),
            },
        };
        if self.config.strict
            && let Err(error) = check_grammar(line)
        {
            return self.reject(line, error);
        }
        let (at, time) = (self.place(header), TimeUs(header.time_us));
        if !self.is_absurd(time) && self.is_surplus(time) {
            self.metrics.early.add(1);
            return Decision::Discard;
        }
        if self.is_past_until(time) {
            return Decision::Discard;
        }
        let taken = match self.is_unfiltered {
            true => Some(Taken::Wanted),
            false if !self.config.filter.may_take(header, line) => None,
            false => self.config.filter.take(&header.header(line), line, self.shape),
        };
        let found = taken.is_some().then(|| self.identify(header, line));
        let is_known = found.is_some_and(|identity| self.window.contains(identity));
        let precedes = !is_known && self.precedes_filter(at, found.is_some(), header, line);
        let identity = found.filter(|_| !precedes);
        let is_wanted = identity.is_some();
        let is_claim = !is_known && self.is_claim(time);
        // A gap stops a run with `--on-gap fail` before its first event. An absurd time is placed
        // where the event came, and shows no gap.
        let is_observable = !is_claim || self.is_absurd(time) || self.config.on_gap == OnGap::Fail;
        // mutant: takes-time-for-identity
        if is_observable && !self.continuity_ok(Observation { at, is_wanted, is_known }) {
            return Decision::Discard;
        }
        if let Some(identity) = identity.filter(|_| is_known) {
            self.discard_duplicate(identity, at, time);
            return Decision::Discard;
        }
        if precedes {
            self.note_unwanted(found);
            return self.filter_out();
        }
        // The clock does not note a claim either: the surplus between two of them contradicts them,
        // and it is not noted.
        if !is_claim {
            self.report_reuse(at, identity);
            self.advance(at, time, is_wanted);
        }
        self.check_caught_up();
        let Some(identity) = identity else { return self.filter_out() };
        self.emit(at, identity, taken == Some(Taken::Wanted));
        Decision::Emit
    }

    fn filter_out(&self) -> Decision {
        self.metrics.filtered.add(1);
        Decision::Discard
    }

    /// Returns whether only the event itself claims its time, in the surplus of another server. Such
    /// an event may have been written long ago, so that the position waits for the next event.
    fn is_claim(&self, time: TimeUs) -> bool {
        self.surplus_until.is_some()
            && self.window.is_jump(time)
            && self.position.is_some()
            && !self.connection.as_ref().is_some_and(|c| self.is_at_stream_of(c))
    }

    /// Stages an event. `counts` says whether it counts for the limit.
    fn emit(&mut self, at: EventPosition, identity: u64, counts: bool) {
        self.window.insert_new(identity);
        if let Some(passed) = &mut self.passed {
            passed.push(PassedEvent { identity, clock: self.window.latest(), counts });
        }
        self.backlog.stage(at, identity, self.window.latest());
        self.rollovers.note(self.window.latest());
        self.emitted += u64::from(counts);
        if counts && self.config.limit.is_some_and(|limit| self.emitted >= limit) {
            self.stop_reason = Some(StopReason::Limit);
        }
    }

    fn discard_duplicate(&mut self, identity: u64, at: EventPosition, time: TimeUs) {
        self.metrics.duplicate.add(1);
        self.on_duplicate(identity, at);
        // What was written before may have come from the present, too.
        if self.config.live_at.is_some() {
            self.window.see_time(time);
            self.check_caught_up();
        }
    }

    /// Returns the dedup key under which the window knows the event, or else the event's own.
    ///
    /// A position saved by 0.1.0 has XXH3 keys, and the file does not say which function made
    /// one. So both are looked up until the keys of the earlier run have left the rewind margin;
    /// what this run writes is remembered under its own function only.
    #[inline]
    fn identify(&mut self, header: &HeaderSpans, line: &[u8]) -> u64 {
        let identity = self.identities.of_line(header, line);
        let Some(seed) = self.legacy_seed else { return identity };
        let former = self.identities.legacy_id(seed);
        let is_former = !self.window.contains(identity) && self.window.contains(former);
        if is_former { former } else { identity }
    }

    /// Returns whether the stream may continue with this event. Records the anomaly between the
    /// position and the event, if there is one.
    fn continuity_ok(&mut self, observation: Observation) -> bool {
        let Some(anomaly) = self.gap_detector.observe(observation, self.now) else { return true };
        let is_ok = match &anomaly {
            Anomaly::Gap(_) if self.config.on_gap == OnGap::Fail => {
                self.stop_reason = Some(StopReason::Gap);
                false
            }
            Anomaly::Gap(_) | Anomaly::Ahead { .. } | Anomaly::Reused { .. } => true,
            Anomaly::Renumbered { .. } => {
                self.renumbered_connection = self.connection.as_ref().map(|c| c.number);
                false
            }
        };
        self.anomaly = Some(anomaly);
        is_ok
    }

    pub(super) fn reject(&mut self, line: &[u8], error: Malformed) -> Decision {
        self.metrics.malformed.add(1);
        let head = line.get(..REJECTED_HEAD_BYTES).unwrap_or(line).to_vec();
        self.rejected = Some(Rejected { error, head });
        Decision::Discard
    }
}

/// Checks the whole JSON grammar, for `--strict`.
pub(super) fn check_grammar(line: &[u8]) -> Result<(), Malformed> {
    serde_json::from_slice::<serde::de::IgnoredAny>(line)
        .map(drop)
        .map_err(|e| Malformed { what: "invalid JSON", at: e.column() })
}
