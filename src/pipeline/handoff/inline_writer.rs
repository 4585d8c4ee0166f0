//! A writer that both sides of the hand-off may run: the writer thread, or the reader task if
//! the thread is idle and the output takes data without blocking.
//!
//! At the live tip nearly every event comes alone, and waking a thread for it takes longer than
//! writing it. Measured (`cargo bench --bench pipeline -- --only tip`, 1,000 events a second):
//! 5.3% of a core and 90 us at the median through the thread, 2.7% and 48 us inline; the floor
//! has 1.7% and 41 us. Full batches go to the thread, so that both cores have work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::super::sync::{Mutex, MutexGuard};
use super::{Handoff, Queue, Recv};

/// Larger batches are worth waking a thread. This is what a pipe holds.
const MAX_INLINE_BYTES: usize = 64 * 1024;

/// The work that a [`SharedWriter`] protects.
pub trait BatchWriter {
    /// A batch to write.
    type Item;
    /// The memory of a batch that was written, for reuse.
    type Batch;
    /// How the writer ended.
    type Output;

    /// Does what is due while nothing comes; returns when to call it again at the latest.
    fn on_idle(&mut self) -> Instant;
    /// Returns whether nothing more will be written.
    fn has_ended(&self) -> bool;
    /// Writes a batch, blocking until the output has taken it.
    fn write(&mut self, item: Self::Item) -> Option<Self::Batch>;
    /// Returns whether [`Self::write_inline`] may be called.
    fn can_write_inline(&self) -> bool;
    /// Writes as much of a batch as the output takes without blocking. `None` if something is
    /// left for [`Self::resume`], or if the writer has ended.
    fn write_inline(&mut self, item: Self::Item) -> Option<Self::Batch>;
    /// Writes what an inline write left, blocking until the output has taken it.
    fn resume(&mut self) -> Option<Self::Batch>;
    /// Ends the work.
    fn finish(&mut self) -> Self::Output;
}

/// A writer that runs on the thread of the side that owns the output.
#[derive(Debug)]
pub struct SharedWriter<W>(Mutex<W>);

impl<W: BatchWriter> SharedWriter<W> {
    /// Shares `writer`.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }

    /// The writer thread: works until the hand-off closes or the writer ends, and passes each
    /// written batch to `recycle`. Returns `None` if the writer panicked on either side.
    pub fn run<Q>(&self, handoff: &Handoff<Q>, recycle: impl Fn(W::Batch)) -> Option<W::Output>
    where
        Q: Queue<Item = W::Item>,
    {
        loop {
            let mut writer = self.lock()?;
            let wake_at = writer.on_idle();
            if writer.has_ended() {
                return Some(writer.finish());
            }
            drop(writer);
            let received = handoff.recv(Some(wake_at));
            let mut writer = self.lock()?;
            let batch = match received {
                Recv::Item(item) => writer.write(item),
                Recv::Resume => writer.resume(),
                Recv::TimedOut => None,
                Recv::Closed => return Some(writer.finish()),
            };
            drop(writer);
            if let Some(batch) = batch {
                recycle(batch);
            }
        }
    }

    /// The reader task: acquires the right to write `bytes` bytes inline, if they are few, the
    /// thread is idle and the output does not block.
    pub fn try_inline<'a, Q: Queue>(
        &'a self,
        handoff: &'a Handoff<Q>,
        bytes: usize,
    ) -> Option<InlineWrite<'a, W, Q>> {
        if bytes > MAX_INLINE_BYTES {
            return None;
        }
        let writer = self.0.try_lock().ok()?;
        let can_write = writer.can_write_inline() && handoff.try_acquire();
        can_write.then_some(InlineWrite { writer, handoff })
    }

    fn lock(&self) -> Option<MutexGuard<'_, W>> {
        self.0.lock().ok()
    }
}

/// The right to write one batch inline.
#[must_use = "the writer thread waits until the ownership is released"]
pub struct InlineWrite<'a, W, Q> {
    writer: MutexGuard<'a, W>,
    handoff: &'a Handoff<Q>,
}

impl<W: BatchWriter, Q: Queue<Item = W::Item>> InlineWrite<'_, W, Q> {
    /// Writes the batch without blocking, and returns its memory. `None` if the writer thread
    /// must finish the write.
    pub fn write(self, item: W::Item) -> Option<W::Batch> {
        let Self { mut writer, handoff } = self;
        // A panic poisons the lock, so the thread ends the run. Until then the reader task
        // continues.
        let written = catch_unwind(AssertUnwindSafe(move || {
            let batch = writer.write_inline(item);
            batch.filter(|_| !writer.has_ended())
        }));
        let batch = written.ok().flatten();
        handoff.release(batch.is_none());
        batch
    }
}
