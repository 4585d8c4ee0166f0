//! The latest events of each collection and account, and the handles that the stream named, for the
//! views of `top`. Memory is bounded: at most 32 events of one name, each of at most 16 KiB, at
//! most 4,096 names and 8 MiB for collections, the same for accounts, and 4,096 handles. When a
//! limit is reached, the names that were inactive for longest are forgotten, half of them at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::header::{Header, Kind};

/// Events that are kept of one name.
pub const EVENTS_PER_NAME: usize = 32;
/// Longer events are only counted as events of this many bytes.
const MAX_EVENT_BYTES: usize = 16 << 10;
/// Names of one kind with events.
const MAX_NAMES: usize = 4_096;
/// Bytes of the events of one kind of names.
const MAX_BYTES: usize = 8 << 20;
/// Longer names have no events. Most DIDs have 32 bytes, and an NSID has at most 317.
const MAX_NAME_BYTES: usize = 317;
/// Handles that are kept.
const MAX_HANDLES: usize = 4_096;
/// The longest handle, in bytes, as the AT Protocol limits it.
const MAX_HANDLE_BYTES: usize = 253;
/// What a name and an event cost beside their text, in bytes.
const OVERHEAD_BYTES: usize = 64;

/// The latest events and handles of a stream.
#[derive(Clone, Debug, Default)]
pub struct LatestEvents {
    collections: Rings,
    accounts: Rings,
    handles: Recent<String>,
}

/// One kept event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptEvent {
    /// The event's line.
    Line(Vec<u8>),
    /// The event had this many bytes, which is more than is kept.
    TooLong(usize),
}

impl KeptEvent {
    /// Keeps a line in the memory of another event, unless that is much too large.
    fn new(line: &[u8], oldest: Option<Self>) -> Self {
        if line.len() > MAX_EVENT_BYTES {
            return Self::TooLong(line.len());
        }
        let mut kept = match oldest {
            Some(Self::Line(kept)) if kept.capacity() <= 2 * line.len() => kept,
            _ => Vec::with_capacity(line.len()),
        };
        kept.clear();
        kept.extend_from_slice(line);
        Self::Line(kept)
    }
}

/// Latest events that the pipeline and the screen share.
#[derive(Clone, Debug, Default)]
pub struct SharedLatest(Arc<Mutex<LatestEvents>>);

impl SharedLatest {
    /// Locks the events. If the aggregate is needed, too, lock it first.
    pub fn lock(&self) -> MutexGuard<'_, LatestEvents> {
        // At worst, a panic leaves one event out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LatestEvents {
    /// Keeps an event under its collection and its account.
    pub fn add(&mut self, header: &Header<'_>, line: &[u8]) {
        if let Some(commit) = &header.commit {
            self.collections.add(&commit.collection, line);
        }
        self.accounts.add(&header.did, line);
        if header.kind == Kind::Identity
            && let Some(handle) = handle(line)
        {
            self.add_handle(&header.did, handle);
        }
    }

    /// Keeps the handle of an account.
    pub fn add_handle(&mut self, did: &str, handle: String) {
        if did.len() <= MAX_NAME_BYTES && handle.len() <= MAX_HANDLE_BYTES {
            self.handles.update(did, |known| *known = handle);
            self.handles.forget_down_to(MAX_HANDLES);
        }
    }

    /// Returns the kept events of a collection, the oldest first.
    pub fn of_collection(
        &self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = &KeptEvent> + use<'_> {
        self.collections.events(name)
    }

    /// Returns the kept events of an account, the oldest first.
    pub fn of_account(&self, did: &str) -> impl DoubleEndedIterator<Item = &KeptEvent> + use<'_> {
        self.accounts.events(did)
    }

    /// Returns the handle of an account, if it is known.
    #[must_use]
    pub fn handle(&self, did: &str) -> Option<&str> {
        self.handles.get(did).map(String::as_str)
    }

    /// Returns all known handles with their accounts' DIDs, in no particular order.
    pub fn handles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.handles.values.iter().map(|(did, (_, handle))| (&**did, handle.as_str()))
    }
}

/// Returns the handle that an identity event names, if it is a valid one.
fn handle(line: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Event {
        identity: Identity,
    }
    #[derive(serde::Deserialize)]
    struct Identity {
        handle: Option<String>,
    }
    let handle = serde_json::from_slice::<Event>(line).ok()?.identity.handle?;
    let is_valid = !handle.is_empty() && handle != "handle.invalid";
    is_valid.then_some(handle)
}

/// Values by name. It knows which names were used last.
#[derive(Clone, Debug)]
struct Recent<T> {
    values: HashMap<Box<str>, (u64, T)>,
    /// Counts uses.
    clock: u64,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { values: HashMap::new(), clock: 0 }
    }
}

impl<T: Default> Recent<T> {
    fn get(&self, name: &str) -> Option<&T> {
        self.values.get(name).map(|(_, value)| value)
    }

    /// Changes the value of a name, which is now the one that was used last.
    fn update<R>(&mut self, name: &str, change: impl FnOnce(&mut T) -> R) -> R {
        self.clock += 1;
        if let Some((used, value)) = self.values.get_mut(name) {
            *used = self.clock;
            return change(value);
        }
        let mut value = T::default();
        let result = change(&mut value);
        self.values.insert(name.into(), (self.clock, value));
        result
    }

    /// If there are more than `most` names, forgets the half that was not used for longest.
    fn forget_down_to(&mut self, most: usize) {
        if self.values.len() > most {
            self.forget_half();
        }
    }

    fn forget_half(&mut self) {
        let mut used: Vec<u64> = self.values.values().map(|(used, _)| *used).collect();
        let middle = used.len() / 2;
        if used.is_empty() {
            return;
        }
        let (_, median, _) = used.select_nth_unstable(middle);
        let median = *median;
        self.values.retain(|_, (used, _)| *used >= median);
    }
}

/// The latest events of many names.
#[derive(Clone, Debug, Default)]
struct Rings {
    rings: Recent<VecDeque<KeptEvent>>,
    /// What the events and names cost, in bytes.
    bytes: usize,
}

impl Rings {
    fn events(&self, name: &str) -> impl DoubleEndedIterator<Item = &KeptEvent> + use<'_> {
        self.rings.get(name).into_iter().flatten()
    }

    fn add(&mut self, name: &str, line: &[u8]) {
        if name.len() > MAX_NAME_BYTES {
            return;
        }
        let (added, removed) = self.rings.update(name, |ring| {
            let new_name = if ring.is_empty() { name.len() + OVERHEAD_BYTES } else { 0 };
            let oldest = if ring.len() < EVENTS_PER_NAME { None } else { ring.pop_front() };
            let removed = oldest.as_ref().map_or(0, cost);
            let event = KeptEvent::new(line, oldest);
            let added = cost(&event) + new_name;
            ring.push_back(event);
            (added, removed)
        });
        self.bytes = self.bytes + added - removed;
        if self.rings.values.len() > MAX_NAMES || self.bytes > MAX_BYTES {
            self.forget();
        }
    }

    fn forget(&mut self) {
        while self.rings.values.len() > MAX_NAMES || self.bytes > MAX_BYTES {
            self.rings.forget_half();
            let rings = self.rings.values.iter();
            let costs = rings.map(|(name, (_, ring))| {
                name.len() + OVERHEAD_BYTES + ring.iter().map(cost).sum::<usize>()
            });
            self.bytes = costs.sum();
            if self.rings.values.len() <= 1 {
                return;
            }
        }
    }
}

fn cost(event: &KeptEvent) -> usize {
    OVERHEAD_BYTES
        + match event {
            KeptEvent::Line(line) => line.capacity(),
            KeptEvent::TooLong(_) => 0,
        }
}

#[cfg(test)]
#[path = "latest/tests.rs"]
mod tests;
