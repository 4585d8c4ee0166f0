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

use super::channel::{Item, ROOM_BYTES, Received, Receiver, Sender};
use super::writer::{Writer, Written};

/// Larger batches are worth waking a thread: what a pipe holds.
const AT_ONCE_BYTES: usize = 64 * 1024;

/// The writer, and whoever may use it.
#[derive(Debug)]
pub struct Desk(Mutex<Writer>);

impl Desk {
    /// A desk for this writer.
    #[must_use]
    pub fn new(writer: Writer) -> Self {
        Self(Mutex::new(writer))
    }

    /// The writer's thread: works until the channel ends or the writer does. `None` where a
    /// part of the writer panicked.
    pub fn run(&self, receiver: &Receiver) -> Option<Written> {
        loop {
            let mut writer = self.writer()?;
            let look_again = writer.look_after();
            if writer.has_ended() {
                return Some(writer.finish());
            }
            drop(writer);
            let received = receiver.recv(Some(look_again));
            let mut writer = self.writer()?;
            let batch = match received {
                Received::Item(item) => writer.write(item),
                Received::Left => writer.go_on(),
                Received::Nothing => None,
                Received::End => return Some(writer.finish()),
            };
            drop(writer);
            if let Some(batch) = batch {
                receiver.give_back(batch);
            }
        }
    }

    /// Writes lines here and now, and gives an empty batch. The lines come back where they are
    /// to be sent instead. Never waits.
    ///
    /// # Errors
    /// The lines.
    pub fn write_here(&self, sender: &Sender, item: Item) -> Result<Batch, Item> {
        if item.batch.held_bytes() > AT_ONCE_BYTES {
            return Err(item);
        }
        let Ok(mut writer) = self.0.try_lock() else { return Err(item) };
        if !writer.takes_at_once() || !sender.take_turn() {
            return Err(item);
        }
        // A panic poisons the lock, which tells the thread of it; our own task goes on until
        // that has put an end to the run.
        let written = catch_unwind(AssertUnwindSafe(move || {
            let batch = writer.write_at_once(item);
            batch.filter(|_| !writer.has_ended())
        }));
        match written {
            Ok(Some(mut batch)) => {
                sender.end_turn(false);
                batch.reset(ROOM_BYTES);
                Ok(batch)
            }
            _ => {
                sender.end_turn(true);
                Ok(sender.empty_batch())
            }
        }
    }

    fn writer(&self) -> Option<MutexGuard<'_, Writer>> {
        self.0.lock().ok()
    }
}
