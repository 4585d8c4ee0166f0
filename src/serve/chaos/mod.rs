//! Fault injection: the state of `--chaos` and all of its decisions. `connection` applies faults to
//! sockets; faults of times and seqs are applied to `stamps` before the server starts.
//!
//! No delivery fault may lose an event: a client that resumes as the protocol requires receives all
//! events. Only `clamp`, `behind`, `omit` and `blind` change which events are available.

mod clock;
mod fault;
mod garbage;
mod instance;
mod loss;
mod random;
mod reuse;
mod spec;
mod swap_buffer;
mod v2;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use fault::Fault;
pub use spec::{ChaosError, ChaosSpec, Odds};

pub(super) use clock::shown_times;
pub(super) use garbage::{bomb, damage, garbage, oversized, violation};
pub(super) use instance::{clock_error_us, first_seq, reorder_for_instance};
pub(super) use loss::missing_events;
pub(super) use random::Draw;
pub(super) use swap_buffer::{SwapBuffer, SwapPolicy};
pub(super) use v2::{consumer_too_slow, internal_error, unknown_message};

use crate::event::header;
use reuse::SeqReuse;

/// The faults of a server and their state.
#[derive(Debug)]
pub(super) struct Chaos {
    spec: ChaosSpec,
    refusals: AtomicU64,
    /// Number of compressed connections to the v2 stream.
    compressed: AtomicU64,
    archive: Mutex<Requests>,
    reuse: Option<SeqReuse>,
    /// Number of crashes so far.
    crashes: watch::Sender<u64>,
}

/// The history of archive requests.
#[derive(Debug, Default)]
struct Requests {
    /// How often each fault was considered for each target.
    considered: HashMap<(Fault, u64), u64>,
    /// How often each segment was rewritten.
    rewrites: HashMap<u64, u64>,
}

/// Maximum number of remembered targets; a hostile client could name any number.
const MAX_TARGETS: usize = 1 << 20;

/// How a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Status 429 instead of 503.
    pub too_many: bool,
    pub retry_after_s: u64,
}

impl Chaos {
    /// Creates the state for a recording of `events` events; `account` returns the account of an
    /// event.
    pub(super) fn new(spec: ChaosSpec, events: u64, account: impl Fn(u64) -> String) -> Self {
        let reuse = spec.odds(Fault::Reuse).map(|_| SeqReuse::new(&spec, events, account));
        let crashes = watch::Sender::new(0);
        let (refusals, compressed) = (AtomicU64::new(0), AtomicU64::new(0));
        let archive = Mutex::default();
        Self { spec, refusals, compressed, archive, reuse, crashes }
    }

    /// Returns a draw if this fault happens at this event of this connection.
    pub(super) fn injects(&self, fault: Fault, connection: u64, event: u64) -> Option<Draw> {
        random::injects(&self.spec, fault, connection, event)
    }

    pub(super) fn odds(&self, fault: Fault) -> Option<Odds> {
        self.spec.odds(fault)
    }

    /// Returns the refusal of a connection, if it is refused. 429 and 503 alternate.
    pub(super) fn refusal(&self, connection: u64) -> Option<Refusal> {
        let odds = self.spec.odds(Fault::Refuse)?;
        random::injects(&self.spec, Fault::Refuse, connection, 0)?;
        let before = self.refusals.fetch_add(1, Ordering::Relaxed);
        let too_many = before.is_multiple_of(2);
        Some(Refusal { too_many, retry_after_s: odds.duration.as_secs() })
    }

    /// Returns the wrong subprotocol that a v2 handshake confirms, if this fault happens.
    pub(super) fn echo(&self, connection: u64) -> Option<Option<&'static str>> {
        let draw = random::injects(&self.spec, Fault::Echo, connection, 0)?;
        Some((draw.below(0, 2) == 0).then_some("xrpc.v0.chaos"))
    }

    /// Counts a compressed connection to the v2 stream.
    pub(super) fn record_compressed(&self) {
        self.compressed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often the id of the v2 dictionary has changed.
    pub(super) fn generation(&self) -> u32 {
        let every = self.spec.odds(Fault::Rotate).map(|odds| odds.one_in);
        let compressed = self.compressed.load(Ordering::Relaxed);
        let generation = every.and_then(|every| compressed.checked_div(every)).unwrap_or(0);
        u32::try_from(generation).unwrap_or(u32::MAX)
    }

    /// Returns whether this connection's request for the current dictionary is rejected.
    pub(super) fn denies_dictionary(&self, connection: u64) -> bool {
        random::injects(&self.spec, Fault::Deny, connection, 0).is_some()
    }

    /// Returns a draw if a fault happens to a target that may be requested repeatedly; each request
    /// gets its own draw.
    pub(super) fn injects_again(&self, fault: Fault, target: u64) -> Option<Draw> {
        self.spec.odds(fault)?;
        let mut requests = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.considered.len() >= MAX_TARGETS {
            requests.considered.clear();
        }
        let times = requests.considered.entry((fault, target)).or_default();
        *times += 1;
        random::injects(&self.spec, fault, target, *times)
    }

    /// Returns the draw and the wait if an archive request is refused temporarily.
    pub(super) fn throttles(&self, target: u64) -> Option<(Draw, Duration)> {
        let draw = self.injects_again(Fault::Throttle, target)?;
        Some((draw, self.spec.odds(Fault::Throttle)?.duration))
    }

    /// Returns whether a plan makes no progress.
    pub(super) fn is_stuck(&self, after_seq: u64) -> bool {
        self.injects_again(Fault::Stuck, after_seq).is_some()
    }

    /// Returns the number of entries per plan page, if it is limited.
    pub(super) fn plan_entries(&self) -> Option<usize> {
        self.spec.page.map(|entries| usize::try_from(entries).unwrap_or(usize::MAX))
    }

    /// Returns after how many segments with events the archive has an empty one.
    pub(super) fn empty_after(&self) -> Option<u64> {
        self.spec.empty
    }

    /// Rewrites a segment if this fault happens.
    pub(super) fn rewrite(&self, index: u64) {
        if self.injects_again(Fault::Rewrite, index).is_some() {
            let mut requests = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
            *requests.rewrites.entry(index).or_default() += 1;
        }
    }

    /// Returns how often a segment was rewritten.
    pub(super) fn rewrites(&self, index: u64) -> u64 {
        let requests = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        requests.rewrites.get(&index).copied().unwrap_or(0)
    }

    /// Returns the event in a slot of the log (see `reuse`) after this many crashes.
    pub(super) fn event(&self, slot: u64, crashes: u64) -> u64 {
        self.reuse.as_ref().map_or(slot, |reuse| reuse.event(slot, crashes))
    }

    /// Returns a receiver of the number of crashes.
    pub(super) fn crashes(&self) -> watch::Receiver<u64> {
        self.crashes.subscribe()
    }

    /// Records that a slot was sent; returns whether this crashed the server.
    pub(super) fn record_sent(&self, slot: u64) -> bool {
        let Some(reuse) = &self.reuse else { return false };
        let by_now = reuse.crashes_by(slot);
        self.crashes.send_if_modified(|crashes| {
            let more = by_now > *crashes;
            *crashes = by_now.max(*crashes);
            more
        })
    }
}

/// Returns the DID of a line that was validated when the recording was read.
pub(super) fn account(line: &[u8]) -> String {
    header::parse(line).map(|header| header.did.into_owned()).unwrap_or_default()
}
