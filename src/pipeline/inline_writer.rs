//! Who writes: the writer's thread, or the reader here and now. What the writer does, it knows
//! itself.
//!
//! A slow output must not keep the reader from its connection, so lines go through the channel
//! to a thread that may wait. But while that thread has nothing to do, and the output takes
//! what it is given, waking it takes longer than writing. At the live tip nearly every event
//! comes alone. Measured (`cargo bench --bench pipeline -- --only tip`, 1,000 events a second):
//! 5.3% of a core and 90 us at the median through the thread, 2.7% and 48 us without it; the
//! floor has 1.7% and 41 us. Full batches go to the thread: there both cores have work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard};

use crate::event::batch::Batch;

use super::channel::{Item, ROOM_BYTES, Receiver, Recv, Sender};
use super::writer::{Writer, WriterResult};

/// Larger batches are worth waking a thread: what a pipe holds.
const MAX_INLINE_BYTES: usize = 64 * 1024;

/// The writer, and whoever may use it.
#[derive(Debug)]
pub struct SharedWriter(Mutex<Writer>);

impl SharedWriter {
    /// A desk for this writer.
    #[must_use]
    pub fn new(writer: Writer) -> Self {
        Self(Mutex::new(writer))
    }

    /// The writer's thread: works until the channel ends or the writer does. `None` where a
    /// part of the writer panicked.
    pub fn run(&self, receiver: &Receiver) -> Option<WriterResult> {
        loop {
            let mut writer = self.writer()?;
            let wake_at = writer.on_idle();
            if writer.has_ended() {
                return Some(writer.finish());
            }
            drop(writer);
            let received = receiver.recv(Some(wake_at));
            let mut writer = self.writer()?;
            let batch = match received {
                Recv::Item(item) => writer.write(item),
                Recv::Resume => writer.resume(),
                Recv::TimedOut => None,
                Recv::Closed => return Some(writer.finish()),
            };
            drop(writer);
            if let Some(batch) = batch {
                receiver.give_back(batch);
            }
        }
    }

    /// The writer's turn, if `bytes` bytes of lines can be written here and now: they are few,
    /// the thread has nothing to do, and nothing has to be waited for.
    pub fn try_inline<'a>(&'a self, sender: &'a Sender, bytes: usize) -> Option<InlineWrite<'a>> {
        if bytes > MAX_INLINE_BYTES {
            return None;
        }
        let writer = self.0.try_lock().ok()?;
        (writer.can_write_inline() && sender.try_acquire())
            .then_some(InlineWrite { writer, sender })
    }

    fn writer(&self) -> Option<MutexGuard<'_, Writer>> {
        self.0.lock().ok()
    }
}

/// The right to write some lines, which is used at once.
#[must_use]
pub struct InlineWrite<'a> {
    writer: MutexGuard<'a, Writer>,
    sender: &'a Sender,
}

impl InlineWrite<'_> {
    /// Writes lines, and gives an empty batch. Never waits: what the output does not take is
    /// left to the thread.
    pub fn write(self, item: Item) -> Batch {
        let Self { mut writer, sender } = self;
        // A panic poisons the lock, which tells the thread of it; our own task goes on until
        // that has put an end to the run.
        let written = catch_unwind(AssertUnwindSafe(move || {
            let batch = writer.write_inline(item);
            batch.filter(|_| !writer.has_ended())
        }));
        match written {
            Ok(Some(mut batch)) => {
                sender.release(false);
                batch.reset(ROOM_BYTES);
                batch
            }
            _ => {
                sender.release(true);
                sender.empty_batch()
            }
        }
    }
}
