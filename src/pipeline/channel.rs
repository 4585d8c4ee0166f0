//! The bounded channel between reader and writer, and the empty batches on their way back.
//!
//! It is bounded in events and in bytes. By default a full channel makes the reader wait: the
//! reader stops reading the socket, and the server sees backpressure. An item larger than a
//! bound passes alone, through an empty queue. Events are dropped only if the user asked for it,
//! and drops are counted.
//!
//! After a slow writer, the few lines that a quiet stream brings at a time are appended to the
//! last queued batch: a queue of many small batches would hold far more memory than lines.
//!
//! Side history (`--backfill-new`) has a place for one item beside the queue, which the writer takes
//! only while the queue is empty: so the stream never waits for more than one batch of it.
//!
//! This module decides what the queue holds; [`super::handoff`] decides who may write, and
//! wakes the two sides.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use crate::event::batch::Batch;
use crate::filter::Filter;
use crate::filter::additions::Additions;
use crate::metrics::Metrics;
use crate::position::EventPosition;
use crate::position::gap::Gap;
use crate::settings::{Buffer, WhenFull};
use crate::source::ConnectionInfo;

use super::dedup::SideFeed;
pub use super::handoff::Closed;
use super::handoff::{Handoff, Queue};

/// The result of [`Receiver::recv`].
pub type Recv = super::handoff::Recv<Item>;

/// Most bytes of a batch. Larger ones gain nothing, smaller ones cost wake-ups.
pub const BATCH_BYTES: usize = 256 * 1024;

/// The memory of a batch, in bytes: a full batch and one more line of usual length.
pub(super) const BATCH_CAPACITY: usize = BATCH_BYTES + 16 * 1024;

/// Empty batches kept for reuse: one that the reader fills, one that the writer writes, two on
/// the way.
const SPARE_BATCHES: usize = 4;

/// Lines of one connection on their way to the writer.
#[derive(Debug)]
pub struct Item {
    /// The lines.
    pub batch: Batch,
    /// The connection that received them.
    pub connection: Arc<ConnectionInfo>,
    /// Events before these lines that no server can deliver.
    pub gap: Option<Gap>,
    /// Every wanted event up to this position is in these lines or in earlier ones.
    pub through: Option<EventPosition>,
    /// Whether an earlier run of this process has chosen these lines: see [`Item::history`].
    pub is_history: bool,
    /// The filter for these lines and all later ones, if it changes here.
    pub filter: Option<Arc<Filter>>,
    /// What the lines belong to, if they are side history. They move no position.
    pub side: Option<Arc<SideFeed>>,
    /// The state of the lists from these lines on.
    pub additions: Option<Arc<Additions>>,
}

impl Item {
    /// Returns an item without a gap and without a watermark.
    #[must_use]
    pub fn lines(batch: Batch, connection: Arc<ConnectionInfo>) -> Self {
        Self {
            batch,
            connection,
            gap: None,
            through: None,
            is_history: false,
            filter: None,
            side: None,
            additions: None,
        }
    }

    /// An item of lines to write as they are, before any other.
    #[must_use]
    pub fn history(batch: Batch, connection: Arc<ConnectionInfo>) -> Self {
        Self { is_history: true, ..Self::lines(batch, connection) }
    }

    /// Returns an item of this item's first lines, which takes the gap before them.
    pub fn split_lines(&mut self, first: Batch) -> Self {
        let lines = Self::lines(first, Arc::clone(&self.connection));
        Self { gap: self.gap.take(), ..lines }
    }

    /// An item without lines, at which the filter changes.
    #[must_use]
    pub fn filter_change(filter: Arc<Filter>, connection: Arc<ConnectionInfo>) -> Self {
        Self { filter: Some(filter), ..Self::history(Batch::default(), connection) }
    }

    /// Returns whether the lines of `next`, which directly follow, fit into this item's batch.
    fn can_absorb(&self, next: &Self, bounds: Buffer) -> bool {
        Arc::ptr_eq(&self.connection, &next.connection)
            && self.is_history == next.is_history
            && self.filter.is_none()
            && self.through.is_none()
            && next.gap.is_none()
            && self.batch.is_encoded() == next.batch.is_encoded()
            && next.filter.is_none()
            && self.side.is_none()
            && next.side.is_none()
            && next.additions.is_none()
            && self.batch.len() + next.batch.len() <= bounds.batch_events()
            && self.batch.buffered_bytes() + next.batch.buffered_bytes() <= BATCH_BYTES
    }
}

/// The queued items, their size, and spare batches.
#[derive(Debug)]
pub struct ItemQueue {
    items: VecDeque<Item>,
    events: usize,
    bytes: usize,
    spare: Vec<Batch>,
    /// An item of side history.
    side: Option<Item>,
    /// Wakes the source of side history when its place is free again.
    side_taken: Arc<Notify>,
    bounds: Buffer,
    metrics: Arc<Metrics>,
}

impl Queue for ItemQueue {
    type Item = Item;

    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.side.is_none()
    }

    fn pop(&mut self) -> Option<Item> {
        let Some(item) = self.items.pop_front() else {
            self.side_taken.notify_one();
            return self.side.take();
        };
        self.events -= item.batch.len();
        self.bytes -= item.batch.queued_bytes();
        self.publish();
        Some(item)
    }
}

impl ItemQueue {
    fn new(bounds: Buffer, metrics: Arc<Metrics>) -> Self {
        Self {
            items: VecDeque::new(),
            events: 0,
            bytes: 0,
            spare: Vec::new(),
            side: None,
            side_taken: Arc::new(Notify::new()),
            bounds,
            metrics,
        }
    }

    fn publish(&self) {
        self.metrics.queue_events.set(self.events as u64);
        self.metrics.queue_bytes.set(self.bytes as u64);
    }

    fn has_room(&self, batch: &Batch) -> bool {
        self.items.is_empty()
            || (self.events + batch.len() <= self.bounds.events
                && self.bytes + batch.queued_bytes() <= self.bounds.bytes)
    }

    /// Queues an item under the policy for a full queue; returns how many events were dropped.
    fn send(&mut self, item: Item) -> u64 {
        let mut dropped = 0;
        match self.bounds.when_full {
            WhenFull::DropNewest if item.filter.is_none() && !self.has_room(&item.batch) => {
                dropped += item.batch.len();
            }
            WhenFull::Block | WhenFull::DropNewest => self.push(item),
            WhenFull::DropOldest => {
                let (mut filter, mut additions) = (None, None);
                while !self.has_room(&item.batch) {
                    let Some(oldest) = self.pop() else { break };
                    dropped += oldest.batch.len();
                    filter = oldest.filter.or(filter);
                    additions = oldest.additions.or(additions);
                }
                self.push(item);
                // The lines are dropped, and a change of the filter and of the lists is not.
                if let Some(front) = self.items.front_mut() {
                    front.filter = front.filter.take().or(filter);
                    front.additions = front.additions.take().or(additions);
                }
            }
        }
        self.metrics.dropped.add(dropped as u64);
        self.publish();
        dropped as u64
    }

    fn push(&mut self, item: Item) {
        self.events += item.batch.len();
        let bounds = self.bounds;
        match self.items.back_mut().filter(|last| last.can_absorb(&item, bounds)) {
            Some(last) => {
                let before = last.batch.queued_bytes();
                last.batch.append(&item.batch);
                self.bytes += last.batch.queued_bytes() - before;
                last.through = item.through;
                self.recycle(item.batch);
            }
            None => {
                self.bytes += item.batch.queued_bytes();
                self.items.push_back(item);
            }
        }
    }

    fn recycle(&mut self, mut batch: Batch) {
        if self.spare.len() < SPARE_BATCHES {
            batch.reset(BATCH_CAPACITY);
            self.spare.push(batch);
        }
    }
}

/// The reader's end.
#[derive(Debug)]
pub struct Sender(Arc<Handoff<ItemQueue>>);

/// The writer's end.
#[derive(Debug)]
pub struct Receiver(Arc<Handoff<ItemQueue>>);

/// Makes a channel with these bounds.
#[must_use]
pub fn channel(bounds: Buffer, metrics: Arc<Metrics>) -> (Sender, Receiver) {
    let handoff = Arc::new(Handoff::new(ItemQueue::new(bounds, metrics)));
    (Sender(Arc::clone(&handoff)), Receiver(handoff))
}

impl Sender {
    /// Waits until `batch` may be sent under the channel's policy. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub async fn ready(&self, batch: &Batch) -> Result<(), Closed> {
        let is_ready =
            |queue: &ItemQueue| queue.bounds.when_full != WhenFull::Block || queue.has_room(batch);
        self.0.wait_until(is_ready).await
    }

    /// Waits until there is room for `batch`, whatever the policy: for a source that can wait.
    /// What is sent then is not dropped. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub async fn has_room(&self, batch: &Batch) -> Result<(), Closed> {
        self.0.wait_until(|queue| queue.has_room(batch)).await
    }

    /// Sends an item after [`Sender::ready`]; returns how many events were dropped for it.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub fn send(&self, item: Item) -> Result<u64, Closed> {
        self.0.send_with(|queue| queue.send(item))
    }

    /// Sends an item of side history as soon as the writer has taken the one before. Cancel-safe: an
    /// item that was not sent is dropped.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub async fn send_side(&self, item: Item) -> Result<(), Closed> {
        let taken = self.0.with_queue(|queue| Arc::clone(&queue.side_taken));
        while self.0.with_queue(|queue| queue.side.is_some()) {
            // A wake-up between the check and this line is not lost: `Notify` stores it.
            taken.notified().await;
        }
        self.0.send_with(|queue| queue.side = Some(item))
    }

    /// Waits until everything that was sent is written.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub async fn drained(&self) -> Result<(), Closed> {
        self.0.drained().await
    }

    /// Returns an empty batch, a spare one if there is one.
    #[must_use]
    pub fn empty_batch(&self) -> Batch {
        self.take_spare().unwrap_or_else(|| Batch::with_capacity(BATCH_CAPACITY))
    }

    /// Takes an empty batch that the writer has given back, if there is one.
    #[must_use]
    pub fn take_spare(&self) -> Option<Batch> {
        self.0.with_queue(|queue| queue.spare.pop())
    }

    /// Returns an empty batch: the memory of one that was written inline, or another one.
    #[must_use]
    pub fn reuse(&self, written: Option<Batch>) -> Batch {
        let Some(mut batch) = written else { return self.empty_batch() };
        batch.reset(BATCH_CAPACITY);
        batch
    }

    /// Returns the hand-off, for inline writes.
    pub(super) fn handoff(&self) -> &Handoff<ItemQueue> {
        &self.0
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.close_reader();
    }
}

impl Receiver {
    /// Takes the next item, waiting for it until `deadline` (`None`: not at all). A call says
    /// that everything received before was written.
    pub fn recv(&self, deadline: Option<Instant>) -> Recv {
        self.0.recv(deadline)
    }

    /// Gives a batch back for reuse.
    pub fn recycle(&self, batch: Batch) {
        self.0.with_queue(|queue| queue.recycle(batch));
    }

    /// Returns the hand-off, for the writer thread.
    pub(super) fn handoff(&self) -> &Handoff<ItemQueue> {
        &self.0
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.close_writer();
    }
}

#[cfg(test)]
mod tests;
