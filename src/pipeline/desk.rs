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

    /// The writer's turn, if `bytes` bytes of lines can be written here and now: they are few,
    /// the thread has nothing to do, and nothing has to be waited for.
    pub fn turn<'a>(&'a self, sender: &'a Sender, bytes: usize) -> Option<Turn<'a>> {
        if bytes > AT_ONCE_BYTES {
            return None;
        }
        let writer = self.0.try_lock().ok()?;
        (writer.takes_at_once() && sender.take_turn()).then_some(Turn { writer, sender })
    }

    fn writer(&self) -> Option<MutexGuard<'_, Writer>> {
        self.0.lock().ok()
    }
}

/// The right to write some lines, which is used at once.
#[must_use]
pub struct Turn<'a> {
    writer: MutexGuard<'a, Writer>,
    sender: &'a Sender,
}

impl Turn<'_> {
    /// Writes lines, and gives an empty batch. Never waits: what the output does not take is
    /// left to the thread.
    pub fn write(self, item: Item) -> Batch {
        let Self { mut writer, sender } = self;
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
                batch
            }
            _ => {
                sender.end_turn(true);
                sender.empty_batch()
            }
        }
    }
}
