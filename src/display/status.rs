//! How a run stands, in words: what the progress line, the status line and a service manager
//! are told. It knows no screen. Times come in as arguments.
//!
//! Costs nothing per event: it looks at the counters when it is asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;

use super::status_line::{Priority, StatusLine};
use super::units::{bytes, count, counted, duration, rate};

/// Rates are those of the last few seconds: long enough not to flicker, short enough to show
/// what is going on.
const RATE_SPAN_US: u64 = 5_000_000;

/// A stream this close to its server's clock is live.
const LIVE_WITHIN_US: u64 = 10_000_000;

/// Most samples kept, should looks come too often.
const MAX_SAMPLES: usize = 256;

/// The counters of a run and what they were lately.
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
    /// The place in the archive.
    at_seq: u64,
}

impl Status {
    /// Of a run whose queue holds so many bytes and events. `replay_from_us` is the instant
    /// that a replay starts from (Unix microseconds), where it is known.
    #[must_use]
    pub fn new(
        metrics: Arc<Metrics>,
        buffer_bytes: u64,
        buffer_events: u64,
        replay_from_us: Option<u64>,
    ) -> Self {
        Self { metrics, buffer_bytes, buffer_events, replay_from_us, samples: VecDeque::new() }
    }

    /// How it stands at `now_us` (Unix microseconds): the share of a replay that is done, and
    /// the words. Rates are those since the last look that is a few seconds old, or the first.
    pub fn sample(&mut self, now_us: u64) -> (Option<f64>, StatusLine) {
        self.record_sample(now_us);
        self.status_line(now_us)
    }

    /// The same as one line without a line feed, and what was written so far.
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

    /// The figures behind [`Status::line`] as one JSON object: `ts`, `level` and `message` as
    /// in every log line.
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
        })
        .to_string()
    }

    fn record_sample(&mut self, now_us: u64) {
        let event_us = self.metrics.last_event_us.get();
        if self.replay_from_us.is_none() && event_us > 0 {
            self.replay_from_us = Some(event_us);
        }
        let received = self.metrics.received.get();
        let at_seq = self.metrics.history.at_seq.get();
        self.samples.push_back(Sample { at_us: now_us, received, event_us, at_seq });
        let is_old = |s: &Sample| s.at_us.saturating_add(RATE_SPAN_US) <= now_us;
        while self.samples.len() > MAX_SAMPLES || self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
        }
    }

    /// The share of a replay that is done, and the words.
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
        } else if metrics.history.is_on.get() > 0 {
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
            // The present runs away from us at one second a second.
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

    /// The way through an archive, counted in seqs from where the run began to the sealed tip;
    /// the share of it that is done. (Times don't tell: what was there when a server began
    /// shares one.)
    fn backfill_parts(&self, line: &mut StatusLine, event_rate: f64) -> f64 {
        let history = &self.metrics.history;
        let (from, to) = (history.from_seq.get(), history.to_seq.get());
        let at = history.at_seq.get().clamp(from, to.max(from));
        let done = (at - from) as f64 / to.saturating_sub(from).max(1) as f64;
        line.add(Priority::State, format!("archive {:3.0}%", done * 100.0));
        let (parts, all) = (history.segments_done.get(), history.segments.get());
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

    /// How far the newest event is behind the clock. A stream that has nothing to say is not
    /// behind: while nothing waits, the lag is the one that the newest event arrived with.
    fn lag_us(&self, now_us: u64, event_us: u64) -> u64 {
        let arrived_us = self.metrics.last_event_at_us.get();
        let is_waiting = self.metrics.queue_events.get() > 0;
        let until_us = if is_waiting || arrived_us == 0 { now_us } else { arrived_us };
        until_us.saturating_sub(event_us)
    }

    /// What is worth a word only when it isn't zero.
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

    /// Events a second, and seconds of event time a second.
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
