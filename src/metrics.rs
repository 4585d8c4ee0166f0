//! The counters of a run. One struct, written by the pipeline, read by everything that shows
//! numbers. It measures; it decides nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Takes back `n` that turned out not to have happened.
    pub fn take_back(&self, n: u64) {
        self.0.fetch_sub(n, Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the number.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Everything that a run counts. Shared by reference; every field can be read at any time.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Events that the server sent, malformed ones included.
    pub received: Counter,
    /// Bytes of those events, decompressed, without line feeds.
    pub received_bytes: Counter,
    /// Bytes read from the network.
    pub wire_bytes: Counter,
    /// Lines that the sink accepted.
    pub written: Counter,
    /// Bytes that the sink accepted.
    pub written_bytes: Counter,
    /// Events that the flags exclude and the server sent all the same.
    pub filtered: Counter,
    /// How long the present stream may bring no event, in milliseconds; 0 for no limit, or
    /// before that is known.
    pub stall_limit_ms: Gauge,
    /// Events that had been written already.
    pub duplicate: Counter,
    /// Events before the instant that was asked for (a v2 server starts up to an hour early).
    pub early: Counter,
    /// Events dropped by `--when-full`.
    pub dropped: Counter,
    /// Events that could not be rendered: their `--jq` expression raised an error.
    pub failed: Counter,
    /// Outputs that were made of events and accepted, where events are rendered.
    pub outputs: Counter,
    /// Messages that were no event.
    pub malformed: Counter,
    /// Events of types that only later servers know.
    pub unknown: Counter,
    /// Events whose sequence number was not higher than the one before.
    pub disordered: Counter,
    /// Holes in the stream: events that could not be had.
    pub gaps: Counter,
    /// Connections beyond the first.
    pub reconnects: Counter,
    /// The wait before the next connection, in milliseconds; 0 while connected.
    pub backoff_ms: Gauge,
    /// The number of the server that was dialled last, among those of the run, from 1; 0
    /// before the first.
    pub server: Gauge,
    /// 1 while a connection is up.
    pub connected: Gauge,
    /// The protocol spoken last: 1 or 2; 0 before the first connection.
    pub protocol: Gauge,
    /// `time_us` of the newest event dealt with; 0 before the first.
    pub last_event_us: Gauge,
    /// When that event was dealt with, in microseconds of our own clock; 0 before the first.
    pub last_event_at_us: Gauge,
    /// Events waiting between reader and writer.
    pub queue_events: Gauge,
    /// Bytes waiting between reader and writer.
    pub queue_bytes: Gauge,
    /// The sweep through the archive.
    pub history: History,
}

/// How far a sweep through the archive is. Seqs are the server's.
#[derive(Debug, Default)]
pub struct History {
    /// 1 while one is on its way.
    pub is_on: Gauge,
    /// The seq behind which the first sweep of the run began.
    pub from_seq: Gauge,
    /// The sealed tip that it leads to.
    pub to_seq: Gauge,
    /// Everything up to here was handed on.
    pub at_seq: Gauge,
    /// Segments that the plan names.
    pub segments: Counter,
    /// Those that were dealt with.
    pub segments_done: Counter,
}

impl History {
    /// A sweep begins behind `after` and leads to `tip`. A later one of the same run goes on
    /// where the one before stopped: it is shown as one.
    pub fn begin(&self, after: u64, tip: u64) {
        if self.to_seq.get() == 0 {
            self.from_seq.set(after);
        }
        // What was planned and not reached is planned again.
        let left = self.segments.get().saturating_sub(self.segments_done.get());
        self.segments.take_back(left);
        self.to_seq.set(tip);
        self.at_seq.set(after);
        self.is_on.set(1);
    }

    /// The sweep is over.
    pub fn end(&self) {
        self.is_on.set(0);
    }
}

/// Our own clock: microseconds since the Unix epoch.
#[must_use]
pub fn now_us() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
