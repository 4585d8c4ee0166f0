//! The metrics of a run: written by the pipeline, and read by the status line, the summary and the
//! metrics endpoint. Only health checks and hints depend on them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A metric that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// Subtracts `n` that was added too early.
    pub fn subtract(&self, n: u64) {
        self.0.fetch_sub(n, Relaxed);
    }

    /// Returns the current value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A metric that grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Returns the current value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The metrics of a run. Threads share them by reference; each field can be read at any time.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Events that the server sent, malformed ones included.
    pub received: Counter,
    /// Bytes of those events, decompressed, without line feeds.
    pub received_bytes: Counter,
    /// Bytes read from the network.
    pub wire_bytes: Counter,
    /// Bytes downloaded from archives: the bodies of all responses. Part of `wire_bytes`.
    pub archive_bytes: Counter,
    /// Lines that the sink accepted.
    pub written: Counter,
    /// Bytes that the sink accepted.
    pub written_bytes: Counter,
    /// Events that the filters exclude, but the server sent.
    pub filtered: Counter,
    /// How long the current stream may bring no event, in milliseconds; 0 for no limit, and before
    /// the limit is known.
    pub stall_limit_ms: Gauge,
    /// Events that were written before.
    pub duplicate: Counter,
    /// Events before the requested time (a v2 server starts up to an hour early).
    pub early: Counter,
    /// Events dropped by `--when-full`.
    pub dropped: Counter,
    /// Events that could not be rendered because `--jq` raised an error.
    pub failed: Counter,
    /// Outputs of `--jq` and `--format` that the sink accepted.
    pub outputs: Counter,
    /// Messages that were not events.
    pub malformed: Counter,
    /// Events of a type that this version does not know.
    pub unknown: Counter,
    /// Events whose sequence number was not higher than the previous one.
    pub disordered: Counter,
    /// Gaps: stretches of events that no server sent.
    pub gaps: Counter,
    /// Changes of the filter while the run was active.
    pub filter_changes: Counter,
    /// When the filter was changed last, in microseconds of this machine's clock; 0 for never.
    pub filter_changed_at_us: Gauge,
    /// Connections after the first one.
    pub reconnects: Counter,
    /// The wait before the next connection, in milliseconds; 0 while connected.
    pub backoff_ms: Gauge,
    /// The server of the last connection attempt, counted from 1 in the order of the settings; 0
    /// before the first attempt.
    pub server: Gauge,
    /// 1 while connected, else 0.
    pub connected: Gauge,
    /// The protocol of the last connection: 1 or 2; 0 before the first one.
    pub protocol: Gauge,
    /// `time_us` of the newest processed event; 0 before the first.
    pub last_event_us: Gauge,
    /// When that event was processed, in microseconds of this machine's clock; 0 before the first.
    pub last_event_at_us: Gauge,
    /// Events in the queue between reader and writer.
    pub queue_events: Gauge,
    /// Bytes in the queue between reader and writer.
    pub queue_bytes: Gauge,
    /// Progress of the backfill from the archive.
    pub backfill: BackfillProgress,
    /// The comparison with a second server.
    pub witness: WitnessMetrics,
    /// Progress of the history of what lists gained.
    pub side: SideBackfillProgress,
}

/// The comparison with a second server (`--witness`).
#[derive(Debug, Default)]
pub struct WitnessMetrics {
    /// 1 if the run has a witness, else 0.
    pub is_on: Gauge,
    /// 1 while connected to it, else 0.
    pub connected: Gauge,
    /// Events that it sent.
    pub received: Gauge,
    /// Bytes read from the network for it.
    pub wire_bytes: Gauge,
    /// The latest time of its stream; 0 before the first event.
    pub last_event_us: Gauge,
    /// Events that only the witness has so far.
    pub pending_events: Gauge,
    /// Bytes of those events.
    pub pending_bytes: Gauge,
    /// Events that wait for the comparison (`--witness-hold`).
    pub held_events: Gauge,
    /// Bytes of those events.
    pub held_bytes: Gauge,
    /// Events of the witness that were printed because the server in use did not send them.
    pub printed: Counter,
    /// Servers that were left because they lack events (`--witness-leave`).
    pub left: Counter,
    /// What either server did not send.
    pub missing: MissingCounts,
}

/// Most collections with a count of their own, and most servers.
const MAX_MISSING_LABELS: usize = 32;
const MAX_MISSING_SERVERS: usize = 16;

/// The collection of the events that have no count of their own.
const OTHER_COLLECTION: &str = "other";

/// Counts by collection.
type CollectionCounts = BTreeMap<Box<str>, u64>;

/// Counts of events that a server did not send, by server and collection.
#[derive(Debug, Default)]
pub struct MissingCounts(Mutex<BTreeMap<Arc<str>, CollectionCounts>>);

impl MissingCounts {
    /// Begins the counts of a server, so that its first missing event is an increase.
    pub fn register(&self, server: &Arc<str>) {
        self.add_some(server, OTHER_COLLECTION, 0);
    }

    /// Counts one event.
    pub fn add(&self, server: &Arc<str>, collection: &str) {
        self.add_some(server, collection, 1);
    }

    fn add_some(&self, server: &Arc<str>, collection: &str, events: u64) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= MAX_MISSING_SERVERS && !servers.contains_key(server) {
            return;
        }
        let counts = servers.entry(Arc::clone(server)).or_default();
        let has_room = counts.len() < MAX_MISSING_LABELS || counts.contains_key(collection);
        let label = if has_room { collection } else { OTHER_COLLECTION };
        match counts.get_mut(label) {
            Some(count) => *count += events,
            None => {
                counts.insert(label.into(), events);
            }
        }
    }

    /// Returns all counts: server, collection and number.
    #[must_use]
    pub fn list(&self) -> Vec<(Arc<str>, String, u64)> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = servers.iter().flat_map(|(server, counts)| {
            counts.iter().map(|(name, count)| (Arc::clone(server), name.to_string(), *count))
        });
        counts.collect()
    }

    /// Returns the number of events that one of the servers did not send.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_server().into_iter().map(|(_, count)| count).sum()
    }

    /// Returns the number of events that each server did not send.
    #[must_use]
    pub fn by_server(&self) -> Vec<(Arc<str>, u64)> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().map(|(server, counts)| (Arc::clone(server), counts.values().sum())).collect()
    }
}

/// Progress of `--backfill-new`. All seqs are the server's.
#[derive(Debug, Default)]
pub struct SideBackfillProgress {
    /// Accounts and collections that wait for their history, or whose history is being read.
    pub pending: Gauge,
    /// The seq up to which the history is delivered; 0 while none is read.
    pub at_seq: Gauge,
    /// The seq at which it ends; 0 while none is read.
    pub to_seq: Gauge,
    /// Events of histories that were passed to the output.
    pub events: Counter,
    /// Accounts and collections whose history is complete.
    pub completed: Counter,
    /// Accounts and collections that became live without their whole history.
    pub given_up: Counter,
}

/// Progress of the backfill from the archive. All seqs are the server's.
#[derive(Debug, Default)]
pub struct BackfillProgress {
    /// 1 while a backfill runs, else 0.
    pub is_on: Gauge,
    /// The seq after which the first backfill of the run began.
    pub from_seq: Gauge,
    /// The sealed tip: the last seq of the backfill.
    pub to_seq: Gauge,
    /// All events up to this seq were forwarded.
    pub at_seq: Gauge,
    /// Segments in the plan.
    pub segments: Counter,
    /// Segments that were processed or skipped.
    pub segments_done: Counter,
}

impl BackfillProgress {
    /// Begins a backfill after the seq `after` up to `tip`. A later backfill of the same run
    /// continues the earlier one, and the two are shown as one.
    pub fn begin(&self, after: u64, tip: u64) {
        if self.to_seq.get() == 0 {
            self.from_seq.set(after);
        }
        // The new plan contains the segments that the old one did not reach.
        let unreached = self.segments.get().saturating_sub(self.segments_done.get());
        self.segments.subtract(unreached);
        self.to_seq.set(tip);
        self.at_seq.set(after);
        self.is_on.set(1);
    }

    /// Ends the backfill.
    pub fn end(&self) {
        self.is_on.set(0);
    }
}

/// Returns the time of this machine's clock in Unix microseconds; 0 before 1970.
#[must_use]
pub fn now_us() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
