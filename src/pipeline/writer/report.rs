//! The log lines about malformed events, gaps, and sequence numbers that contradict the position.

use std::time::Duration;

use crate::display::printable::printable;
use crate::display::units::duration;
use crate::pipeline::gap_detector::Anomaly;
use crate::pipeline::shutdown::StopReason;
use crate::position::gap::Gap;
use crate::settings::OnGap;

use super::Writer;

impl Writer {
    pub(super) fn report_rejected(&mut self) {
        let Some(rejected) = self.processor.take_rejected() else { return };
        let total = self.config.metrics.malformed.get();
        if self.malformed_log.is_due(total) {
            tracing::warn!(
                total,
                "skipped a malformed event: {}; it begins {}",
                rejected.error,
                printable(&rejected.head, 120),
            );
        }
    }

    /// Logs what a connection's first events revealed, and reports it to the reader if that has
    /// to reconnect.
    pub(super) fn report_anomaly(&mut self, connection: u64) {
        match self.processor.take_anomaly() {
            None => {}
            Some(Anomaly::Gap(gap)) => self.report_gap(gap),
            Some(Anomaly::Renumbered { requested: asked, got }) => {
                tracing::warn!(
                    "the server has renumbered its events (seq {} was asked for, and seq {} is another event now): resuming by time",
                    asked.0,
                    got.0,
                );
                self.config.feedback.reject_numbers(connection);
            }
            Some(Anomaly::Reused { seq }) => tracing::warn!(
                "seq {} held another event before: the server assigned used sequence numbers again, as after a crash; no event that it still has is lost or repeated, but what it lost itself can't be known",
                seq.0,
            ),
            Some(Anomaly::Ahead { requested: asked, got }) => tracing::warn!(
                "seq {} lies ahead of the server's newest event: it began at its live tip, seq {}",
                asked.0,
                got.0,
            ),
        }
    }

    fn report_gap(&mut self, gap: Gap) {
        let start = self.config.history_start;
        if start.is_some() && gap.from_time == start {
            self.history_limit = gap.to_time;
            return;
        }
        let missing = length(&gap);
        match self.config.on_gap {
            OnGap::Warn => tracing::warn!("gap {gap}{missing}: {}", gap.reason),
            OnGap::Fail => tracing::error!(
                "gap {gap}{missing}: {}; stopped in front of it, as --on-gap fail asks: run once with --on-gap warn to continue after it",
                gap.reason,
            ),
        }
        self.record_gap(gap);
    }

    /// Reports a gap that was found after the events behind it were written.
    pub(super) fn report_past_gap(&mut self, gap: Gap) {
        let missing = length(&gap);
        match self.config.on_gap {
            OnGap::Warn => tracing::warn!("gap {gap}{missing}: {}", gap.reason),
            OnGap::Fail => tracing::error!(
                "gap {gap}{missing}: {}; stopped after it, as --on-gap fail asks: the next run continues",
                gap.reason,
            ),
        }
        self.record_gap(gap);
        if self.config.on_gap == OnGap::Fail {
            self.publish_position(Some(StopReason::Gap));
        }
    }

    fn record_gap(&mut self, gap: Gap) {
        self.config.metrics.gaps.add(1);
        if let Some(database) = self.config.sink.database() {
            database.record_gap(&gap);
        }
        if let Some(checkpoint_worker) = &self.config.checkpoint_worker {
            checkpoint_worker.record_gap(gap);
        }
    }
}

/// Returns how long a gap is, in parentheses; empty if that is not known.
fn length(gap: &Gap) -> String {
    let missing = gap.missing_us().map(|us| duration(Duration::from_micros(us)));
    missing.map(|text| format!(" ({text})")).unwrap_or_default()
}
