//! Faults on purpose: what `--chaos` asks for, and every decision about it. Pure but for two
//! counters: the tricks on the socket are in `connection`, and what a fault does to times and
//! seqs is put into `stamps` before the server starts.
//!
//! No fault of delivery may lose an event: whoever goes on as the protocol says ends up with
//! the same events. Only `clamp` and `behind` change what there is to be had.

mod clock;
mod fault;
mod garbage;
mod instance;
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
pub(super) use random::Draw;
pub(super) use swap_buffer::{SwapBuffer, SwapPolicy};
pub(super) use v2::{failed, too_slow, unknown};

use crate::event::header;
use reuse::SeqReuse;

/// The faults of a server, and how far it has come in them.
#[derive(Debug)]
pub(super) struct Chaos {
    spec: ChaosSpec,
    refusals: AtomicU64,
    /// Connections to the v2 stream that were compressed.
    compressed: AtomicU64,
    archive: Mutex<Requests>,
    reuse: Option<SeqReuse>,
    /// How often the server has crashed.
    crashes: watch::Sender<u64>,
}

/// What was asked of the archive.
#[derive(Debug, Default)]
struct Requests {
    /// How often each fault was considered for each target.
    considered: HashMap<(Fault, u64), u64>,
    /// How often each segment was rewritten.
    rewrites: HashMap<u64, u64>,
}

/// Targets of faults that are remembered; a hostile client could name any number.
const MAX_TARGETS: usize = 1 << 20;

/// How a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// 429, or else 503.
    pub too_many: bool,
    pub retry_after_s: u64,
}

impl Chaos {
    /// The chaos of a recording of `events` events; `account` tells whose each is.
    pub(super) fn new(spec: ChaosSpec, events: u64, account: impl Fn(u64) -> String) -> Self {
        let reuse = spec.odds(Fault::Reuse).map(|_| SeqReuse::new(&spec, events, account));
        let crashes = watch::Sender::new(0);
        let (refusals, compressed) = (AtomicU64::new(0), AtomicU64::new(0));
        let archive = Mutex::default();
        Self { spec, refusals, compressed, archive, reuse, crashes }
    }

    /// Whether a fault happens at an event of a connection.
    pub(super) fn injects(&self, fault: Fault, connection: u64, event: u64) -> Option<Draw> {
        random::injects(&self.spec, fault, connection, event)
    }

    pub(super) fn odds(&self, fault: Fault) -> Option<Odds> {
        self.spec.odds(fault)
    }

    /// Whether a connection is refused. 429 and 503 take turns.
    pub(super) fn refusal(&self, connection: u64) -> Option<Refusal> {
        let odds = self.spec.odds(Fault::Refuse)?;
        random::injects(&self.spec, Fault::Refuse, connection, 0)?;
        let before = self.refusals.fetch_add(1, Ordering::Relaxed);
        let too_many = before.is_multiple_of(2);
        Some(Refusal { too_many, retry_after_s: odds.duration.as_secs() })
    }

    /// What a handshake of the v2 stream echoes instead of what is right, where it does.
    pub(super) fn echo(&self, connection: u64) -> Option<Option<&'static str>> {
        let draw = random::injects(&self.spec, Fault::Echo, connection, 0)?;
        Some((draw.below(0, 2) == 0).then_some("xrpc.v0.chaos"))
    }

    /// Takes note of a compressed connection to the v2 stream.
    pub(super) fn compressed(&self) {
        self.compressed.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the dictionary of the v2 stream has got another id.
    pub(super) fn generation(&self) -> u32 {
        let every = self.spec.odds(Fault::Rotate).map(|odds| odds.one_in);
        let compressed = self.compressed.load(Ordering::Relaxed);
        let generation = every.and_then(|every| compressed.checked_div(every)).unwrap_or(0);
        u32::try_from(generation).unwrap_or(u32::MAX)
    }

    /// Whether the current dictionary is denied to a connection that asks for it.
    pub(super) fn denies_dictionary(&self, connection: u64) -> bool {
        random::injects(&self.spec, Fault::Deny, connection, 0).is_some()
    }

    /// Whether a fault happens to something that may be asked for many times; the luck changes
    /// from time to time.
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

    /// Whether a request of the archive is to come again, and after which time.
    pub(super) fn throttles(&self, target: u64) -> Option<(Draw, Duration)> {
        let draw = self.injects_again(Fault::Throttle, target)?;
        Some((draw, self.spec.odds(Fault::Throttle)?.duration))
    }

    /// Whether a plan makes no progress.
    pub(super) fn is_stuck(&self, after_seq: u64) -> bool {
        self.injects_again(Fault::Stuck, after_seq).is_some()
    }

    /// The entries of a plan's page, where they are limited.
    pub(super) fn plan_entries(&self) -> Option<usize> {
        self.spec.page.map(|entries| usize::try_from(entries).unwrap_or(usize::MAX))
    }

    /// After how many segments of events the archive has one without any.
    pub(super) fn empty_after(&self) -> Option<u64> {
        self.spec.empty
    }

    /// Lets a segment be rewritten, perhaps.
    pub(super) fn rewrite(&self, index: u64) {
        if self.injects_again(Fault::Rewrite, index).is_some() {
            let mut requests = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
            *requests.rewrites.entry(index).or_default() += 1;
        }
    }

    /// How often a segment was rewritten.
    pub(super) fn rewrites(&self, index: u64) -> u64 {
        let requests = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        requests.rewrites.get(&index).copied().unwrap_or(0)
    }

    /// The event that stands in a slot of the log (see `reuse`) after this many crashes.
    pub(super) fn event(&self, slot: u64, crashes: u64) -> u64 {
        self.reuse.as_ref().map_or(slot, |reuse| reuse.event(slot, crashes))
    }

    /// The crashes so far; changes when the server crashes.
    pub(super) fn crashes(&self) -> watch::Receiver<u64> {
        self.crashes.subscribe()
    }

    /// Takes note that a slot was sent, and returns whether that was one too many: the server
    /// has crashed.
    pub(super) fn sent(&self, slot: u64) -> bool {
        let Some(reuse) = &self.reuse else { return false };
        let by_now = reuse.crashes_by(slot);
        self.crashes.send_if_modified(|crashes| {
            let more = by_now > *crashes;
            *crashes = by_now.max(*crashes);
            more
        })
    }
}

/// The DID of a line that was checked when the recording was read.
pub(super) fn account(line: &[u8]) -> String {
    header::parse(line).map(|header| header.did.into_owned()).unwrap_or_default()
}
