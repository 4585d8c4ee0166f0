//! The status of a run as text, for the progress line, the status line and the service manager.
//! Times are arguments.
//!
//! Costs nothing per event: it reads the counters when the caller samples it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;

use super::status_line::{Priority, StatusLine};
use super::units::{bytes, count, counted, duration, rate};

/// Rates cover this time span: long enough not to flicker, short enough to be current.
const RATE_SPAN_US: u64 = 5_000_000;

/// A stream is live if its lag is below this.
const LIVE_WITHIN_US: u64 = 10_000_000;

/// Maximum number of samples, for callers that sample too often.
const MAX_SAMPLES: usize = 256;

/// The counters of a run and their recent samples.
#[derive(Debug)]
pub struct Status {
    metrics: Arc<Metrics>,
    buffer_bytes: u64,
    buffer_events: u64,
    replay_from_us: Option<u64>,
    samples: VecDeque<Sample>,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at_us: u64,
    received: u64,
    event_us: u64,
    /// The position in the archive.
    at_seq: u64,
}

impl Status {
    /// Creates the status of a run with this queue capacity. `replay_from_us` is the start time of
    /// a replay in Unix microseconds, if it is known.
    #[must_use]
    pub fn new(
        metrics: Arc<Metrics>,
        buffer_bytes: u64,
        buffer_events: u64,
        replay_from_us: Option<u64>,
    ) -> Self {
        Self { metrics, buffer_bytes, buffer_events, replay_from_us, samples: VecDeque::new() }
    }

    /// Takes a sample at `now_us` (Unix microseconds); returns the completed fraction of a replay,
    /// and the line. Rates cover the time since the first sample of the last few seconds.
    pub fn sample(&mut self, now_us: u64) -> (Option<f64>, StatusLine) {
        self.record_sample(now_us);
        self.status_line(now_us)
    }

    /// As [`Self::sample`], as one line without a line feed, followed by what was written so far.
    pub fn line(&mut self, now_us: u64) -> String {
        let (_, line) = self.sample(now_us);
        let metrics = &self.metrics;
        let gaps = match metrics.gaps.get() {
            0 => String::new(),
            gaps => format!(", {}", counted(gaps, "gap")),
        };
        let written = metrics.written.get();
        let size = bytes(metrics.written_bytes.get());
        format!("{}; {}, {size} written{gaps}", line.joined().trim(), counted(written, "event"))
    }

    /// Returns the figures of [`Status::line`] as one JSON object, with `ts`, `level` and `message`
    /// as in every log line.
    pub fn json(&mut self, now_us: u64) -> String {
        self.record_sample(now_us);
        let metrics = &self.metrics;
        let event_us = metrics.last_event_us.get();
        let now =
            i64::try_from(now_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        serde_json::json!({
            "ts": now.map(|now| format!("{now:.3}")),
            "level": "info",
            "message": "status",
            "connected": metrics.connected.get() == 1,
            "events_per_second": self.rates().0,
            "lag_s": (event_us > 0).then(|| self.lag_us(now_us, event_us) as f64 / 1e6),
            "events": metrics.written.get(),
            "received": metrics.received.get(),
            "bytes": metrics.written_bytes.get(),
            "queued": metrics.queue_events.get(),
            "reconnects": metrics.reconnects.get(),
            "dropped": metrics.dropped.get(),
            "gaps": metrics.gaps.get(),
            "additions_pending": metrics.side.pending.get(),
        })
        .to_string()
    }

    fn record_sample(&mut self, now_us: u64) {
        let event_us = self.metrics.last_event_us.get();
        if self.replay_from_us.is_none() && event_us > 0 {
            self.replay_from_us = Some(event_us);
        }
        let received = self.metrics.received.get();
        let at_seq = self.metrics.backfill.at_seq.get();
        self.samples.push_back(Sample { at_us: now_us, received, event_us, at_seq });
        let is_old = |s: &Sample| s.at_us.saturating_add(RATE_SPAN_US) <= now_us;
        while self.samples.len() > MAX_SAMPLES || self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
        }
    }

    /// Returns the completed fraction of a replay, and the line.
    fn status_line(&self, now_us: u64) -> (Option<f64>, StatusLine) {
        let metrics = &self.metrics;
        let mut line = StatusLine::default();
        let (event_rate, time_rate) = self.rates();
        let event_us = metrics.last_event_us.get();
        let lag_us = self.lag_us(now_us, event_us);
        let mut fraction = None;
        if metrics.connected.get() == 0 {
            line.add(
                Priority::State,
                match metrics.backoff_ms.get() {
                    0 => "connecting".to_owned(),
                    ms => format!("reconnecting in {}", duration(Duration::from_millis(ms))),
                },
            );
        } else if metrics.backfill.is_on.get() > 0 {
            fraction = Some(self.backfill_parts(&mut line, event_rate));
        } else if event_us == 0 {
            line.add(Priority::State, "connected, no event yet".into());
        } else if lag_us > LIVE_WITHIN_US {
            let from_us = self.replay_from_us.unwrap_or(event_us).min(event_us);
            let whole_us = event_us.saturating_add(lag_us).saturating_sub(from_us).max(1);
            let done = (event_us - from_us) as f64 / whole_us as f64;
            fraction = Some(done);
            line.add(Priority::State, format!("{:3.0}%", done * 100.0));
            line.add(Priority::Rate, rate(event_rate));
            line.add(Priority::Lag, format!("{} behind", micros(lag_us)));
            // The present advances by one second per second.
            if time_rate > 1.05 {
                let left_us = lag_us as f64 / (time_rate - 1.0);
                line.add(Priority::TimeLeft, format!("{} left", micros(left_us as u64)));
            }
        } else {
            line.add(Priority::State, "live".into());
            line.add(Priority::Rate, rate(event_rate));
            line.add(Priority::Lag, format!("{} behind", micros(lag_us)));
        }
        self.add_extras(&mut line);
        (fraction, line)
    }

    /// Adds the progress of a backfill, counted in seqs from its start to the sealed tip; returns
    /// the completed fraction. Times can't be used: all events that a server bootstrapped share
    /// one.
    fn backfill_parts(&self, line: &mut StatusLine, event_rate: f64) -> f64 {
        let backfill = &self.metrics.backfill;
        let (from, to) = (backfill.from_seq.get(), backfill.to_seq.get());
        let at = backfill.at_seq.get().clamp(from, to.max(from));
        let done = (at - from) as f64 / to.saturating_sub(from).max(1) as f64;
        line.add(Priority::State, format!("archive {:3.0}%", done * 100.0));
        let (parts, all) = (backfill.segments_done.get(), backfill.segments.get());
        line.add(Priority::Segments, format!("segment {} of {all}", parts.min(all)));
        line.add(Priority::Buffer, bytes(self.metrics.wire_bytes.get()));
        line.add(Priority::Rate, rate(event_rate));
        if let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) {
            let seqs = last.at_seq.saturating_sub(first.at_seq);
            let span_us = last.at_us.saturating_sub(first.at_us);
            if first.at_seq >= from && seqs > 0 && span_us > 0 {
                let left_us = to.saturating_sub(at) as f64 * span_us as f64 / seqs as f64;
                line.add(Priority::TimeLeft, format!("{} left", micros(left_us as u64)));
            }
        }
        done
    }

    /// Returns the lag of the newest event. A silent stream has no lag: while the queue is empty,
    /// the lag is the one that the newest event arrived with.
    fn lag_us(&self, now_us: u64, event_us: u64) -> u64 {
        let arrived_us = self.metrics.last_event_at_us.get();
        let is_waiting = self.metrics.queue_events.get() > 0;
        let until_us = if is_waiting || arrived_us == 0 { now_us } else { arrived_us };
        until_us.saturating_sub(event_us)
    }

    /// Adds the parts that are shown only if they are not zero.
    fn add_extras(&self, line: &mut StatusLine) {
        let metrics = &self.metrics;
        let share = |filled: u64, room: u64| filled.saturating_mul(100) / room.max(1);
        let by_bytes = share(metrics.queue_bytes.get(), self.buffer_bytes);
        let by_events = share(metrics.queue_events.get(), self.buffer_events);
        // A message larger than the whole queue may pass alone.
        let filled = by_bytes.max(by_events).min(100);
        if filled > 0 {
            line.add(Priority::Buffer, format!("buffer {filled}%"));
        }
        let (received, written) = (metrics.received.get(), metrics.written.get());
        if metrics.side.pending.get() > 0 {
            let (at, to) = (metrics.side.at_seq.get(), metrics.side.to_seq.get());
            let percent = share(at, to).min(100);
            let waiting = counted(metrics.side.pending.get(), "addition");
            line.add(Priority::Segments, format!("history of {waiting} {percent}%"));
        }
        if metrics.filtered.get() > 0 {
            line.add(
                Priority::Written,
                format!("{} of {} written", count(written), count(received)),
            );
        }
        let (reconnects, dropped) = (metrics.reconnects.get(), metrics.dropped.get());
        if reconnects > 0 {
            line.add(Priority::Reconnects, counted(reconnects, "reconnect"));
        }
        if dropped > 0 {
            line.add(Priority::Drops, counted(dropped, "drop"));
        }
    }

    /// Returns events per second, and seconds of event time per second.
    fn rates(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let span_us = last.at_us.saturating_sub(first.at_us);
        if span_us == 0 {
            return (0.0, 0.0);
        }
        let per_second = |n: u64| n as f64 * 1e6 / span_us as f64;
        let event_time_us = match first.event_us {
            0 => 0,
            from => last.event_us.saturating_sub(from),
        };
        (
            per_second(last.received.saturating_sub(first.received)),
            event_time_us as f64 / span_us as f64,
        )
    }
}

fn micros(us: u64) -> String {
    duration(Duration::from_micros(us))
}
