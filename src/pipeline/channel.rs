//! The bounded channel between reader and writer, and the empty batches on their way back.
//!
//! Bounded in events and in bytes. Full means *wait* by default: the reader stops reading the
//! socket, and the server sees backpressure. An item larger than a bound passes alone, through
//! an empty queue. What is dropped, where a person asked for dropping, is counted.
//!
//! Behind a slow writer the few lines that a quiet stream brings at a time join the batch that
//! waits last: a queue of many small batches would hold far more memory than lines.
//!
//! The sender waits asynchronously, the receiver blocks its thread. While that has nothing in
//! hand and nothing waits, the sender may take the receiver's turn, and deal with lines itself.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::event::batch::Batch;
use crate::metrics::Metrics;
use crate::position::Mark;
use crate::position::gap::Gap;
use crate::settings::{Buffer, WhenFull};
use crate::source::ConnectionInfo;

/// Most bytes of a batch. Larger ones gain nothing, smaller ones cost wake-ups.
pub const BATCH_BYTES: usize = 256 * 1024;

/// The memory of a batch: room for the line that goes beyond that, too. Most are shorter.
pub(super) const ROOM_BYTES: usize = BATCH_BYTES + 16 * 1024;

/// Empty batches kept for reuse: one being filled, one in the writer's hand, two on the way.
const SPARE_BATCHES: usize = 4;

/// Lines of one connection, on their way.
#[derive(Debug)]
pub struct Item {
    /// The lines.
    pub batch: Batch,
    /// Where they came from.
    pub connection: Arc<ConnectionInfo>,
    /// Events that can't be had, in front of the lines.
    pub gap: Option<Gap>,
    /// Whatever is wanted up to here has come with these lines or before them.
    pub through: Option<Mark>,
}

impl Item {
    /// Nothing but lines.
    #[must_use]
    pub fn lines(batch: Batch, connection: Arc<ConnectionInfo>) -> Self {
        Self { batch, connection, gap: None, through: None }
    }

    /// Whether the lines of `next`, which come right behind these, fit into the same batch.
    fn can_absorb(&self, next: &Self, bounds: Buffer) -> bool {
        Arc::ptr_eq(&self.connection, &next.connection)
            && self.through.is_none()
            && next.gap.is_none()
            && self.batch.len() + next.batch.len() <= bounds.batch_events()
            && self.batch.held_bytes() + next.batch.held_bytes() <= BATCH_BYTES
    }
}

/// The other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// What [`Receiver::recv`] saw.
#[derive(Debug)]
pub enum Recv {
    /// Lines.
    Item(Item),
    /// The sender took a turn and left something to do.
    Resume,
    /// Nothing until the deadline.
    TimedOut,
    /// The sender is gone and the queue is empty.
    Closed,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    readable: Condvar,
    /// Told whenever room appears or the receiver has dealt with an item.
    progress: Notify,
    bounds: Buffer,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Item>,
    events: usize,
    bytes: usize,
    spare: Vec<Batch>,
    ownership: Ownership,
    sender_gone: bool,
    receiver_gone: bool,
}

/// Who deals with lines right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ownership {
    #[default]
    Free,
    Writer,
    Reader,
    /// The sender did, and left the rest to the receiver.
    Resume,
}

/// The reader's end.
#[derive(Debug)]
pub struct Sender(Arc<Shared>);

/// The writer's end.
#[derive(Debug)]
pub struct Receiver(Arc<Shared>);

/// Makes a channel with these bounds.
#[must_use]
pub fn channel(bounds: Buffer, metrics: Arc<Metrics>) -> (Sender, Receiver) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        readable: Condvar::new(),
        progress: Notify::new(),
        bounds,
        metrics,
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before its guard goes, so a panic elsewhere in the
        // holding thread leaves the state sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        self.metrics.queue_events.set(state.events as u64);
        self.metrics.queue_bytes.set(state.bytes as u64);
    }

    fn has_room(&self, state: &State, batch: &Batch) -> bool {
        state.queue.is_empty()
            || (state.events + batch.len() <= self.bounds.events
                && state.bytes + batch.held_bytes() <= self.bounds.bytes)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.ownership == Ownership::Free
    }

    fn push(&mut self, item: Item, bounds: Buffer) {
        self.events += item.batch.len();
        match self.queue.back_mut().filter(|last| last.can_absorb(&item, bounds)) {
            Some(last) => {
                let before = last.batch.held_bytes();
                last.batch.append(&item.batch);
                self.bytes += last.batch.held_bytes() - before;
                last.through = item.through;
                self.keep(item.batch);
            }
            None => {
                self.bytes += item.batch.held_bytes();
                self.queue.push_back(item);
            }
        }
    }

    fn keep(&mut self, mut batch: Batch) {
        if self.spare.len() < SPARE_BATCHES {
            batch.reset(ROOM_BYTES);
            self.spare.push(batch);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        self.events -= item.batch.len();
        self.bytes -= item.batch.held_bytes();
        Some(item)
    }
}

impl Sender {
    /// Waits until `batch` may be sent under the channel's policy. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] where the writer is gone.
    pub async fn ready(&self, batch: &Batch) -> Result<(), Closed> {
        self.wait_until(|shared, state| {
            shared.bounds.when_full != WhenFull::Block || shared.has_room(state, batch)
        })
        .await
    }

    /// Waits until there is room for `batch`, whatever the policy: for a source that nobody
    /// hurries. What is sent then is not dropped. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] where the writer is gone.
    pub async fn has_room(&self, batch: &Batch) -> Result<(), Closed> {
        self.wait_until(|shared, state| shared.has_room(state, batch)).await
    }

    /// Sends lines; call it after [`Sender::ready`]. Says how many events were dropped.
    ///
    /// # Errors
    /// [`Closed`] where the writer is gone.
    pub fn send(&self, item: Item) -> Result<u64, Closed> {
        let shared = &self.0;
        let mut state = shared.state();
        if state.receiver_gone {
            return Err(Closed);
        }
        let mut dropped = 0;
        match shared.bounds.when_full {
            WhenFull::Block => state.push(item, shared.bounds),
            WhenFull::DropNewest if shared.has_room(&state, &item.batch) => {
                state.push(item, shared.bounds)
            }
            WhenFull::DropNewest => dropped += item.batch.len(),
            WhenFull::DropOldest => {
                while !shared.has_room(&state, &item.batch) {
                    dropped += state.pop().map_or(0, |oldest| oldest.batch.len());
                }
                state.push(item, shared.bounds);
            }
        }
        shared.metrics.dropped.add(dropped as u64);
        shared.publish(&state);
        drop(state);
        shared.readable.notify_one();
        Ok(dropped as u64)
    }

    /// Waits until the writer has dealt with everything that was sent.
    ///
    /// # Errors
    /// [`Closed`] where the writer is gone.
    pub async fn drained(&self) -> Result<(), Closed> {
        self.wait_until(|_, state| state.is_idle()).await
    }

    /// Takes the receiver's turn, if it has nothing to do: what comes next may be dealt with
    /// here and now. Every turn taken is ended.
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        let mut state = self.0.state();
        let is_free = state.is_idle() && !state.receiver_gone;
        if is_free {
            state.ownership = Ownership::Reader;
        }
        is_free
    }

    /// Ends a turn; `is_left` says that the receiver has something to go on with.
    pub fn release(&self, is_left: bool) {
        self.0.state().ownership = if is_left { Ownership::Resume } else { Ownership::Free };
        if is_left {
            self.0.readable.notify_one();
        }
    }

    /// An empty batch, used before where there is one.
    #[must_use]
    pub fn empty_batch(&self) -> Batch {
        let spare = self.0.state().spare.pop();
        spare.unwrap_or_else(|| Batch::with_capacity(ROOM_BYTES))
    }

    async fn wait_until(&self, met: impl Fn(&Shared, &State) -> bool) -> Result<(), Closed> {
        loop {
            let progress = self.0.progress.notified();
            {
                let state = self.0.state();
                if state.receiver_gone {
                    return Err(Closed);
                }
                if met(&self.0, &state) {
                    return Ok(());
                }
            }
            progress.await;
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state().sender_gone = true;
        self.0.readable.notify_one();
    }
}

impl Receiver {
    /// Takes the next lines, waiting until `deadline` for them (`None`: not at all). Whatever
    /// was taken before counts as dealt with from now on.
    pub fn recv(&self, deadline: Option<Instant>) -> Recv {
        let shared = &self.0;
        let mut state = shared.state();
        if state.ownership == Ownership::Writer {
            state.ownership = Ownership::Free;
        }
        if state.is_idle() {
            shared.progress.notify_one();
        }
        loop {
            if state.ownership == Ownership::Resume {
                state.ownership = Ownership::Writer;
                return Recv::Resume;
            }
            // The sender never sends during its own turn.
            if let Some(item) = state.pop() {
                state.ownership = Ownership::Writer;
                shared.publish(&state);
                drop(state);
                shared.progress.notify_one();
                return Recv::Item(item);
            }
            if state.sender_gone {
                return Recv::Closed;
            }
            let wait = deadline.and_then(|at| at.checked_duration_since(Instant::now()));
            let Some(wait) = wait.filter(|wait| !wait.is_zero()) else {
                return Recv::TimedOut;
            };
            state =
                shared.readable.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives a batch back for reuse.
    pub fn give_back(&self, batch: Batch) {
        self.0.state().keep(batch);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.state().receiver_gone = true;
        self.0.progress.notify_one();
    }
}

#[cfg(test)]
#[path = "channel/tests.rs"]
mod tests;
