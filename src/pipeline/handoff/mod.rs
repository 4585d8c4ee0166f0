//! The hand-off between the reader task and the writer thread: which side may write, and how
//! each side wakes the other.
//!
//! A slow output must not keep the reader from its connection, so batches go through a queue to
//! a thread that may block. While that thread is idle, the reader writes small batches itself
//! ([`inline_writer`]), because waking a thread takes longer than writing.
//!
//! One mutex guards the queue and the `Ownership`:
//!
//! | ownership | may write | the queue | changes to |
//! |---|---|---|---|
//! | `Free` | neither side | any | `Writer` when `recv` takes an item; `Reader` when `try_acquire` finds the queue empty |
//! | `Writer` | the writer thread | any | `Free` at the next `recv` |
//! | `Reader` | the reader task | empty | `Free` when `release` says that the output took everything; `Resume` if it did not |
//! | `Resume` | neither side | any | `Writer` when `recv` returns [`Recv::Resume`] |
//!
//! These hold in every interleaving; the models in `loom/` check those with up to four
//! preemptions:
//!
//! 1. Each item is written once, in the order in which the reader passed it on, whether it was
//!    queued or written inline. The rest of an inline write comes before queued items.
//! 2. [`Handoff::drained`] returns only after everything passed on was written.
//! 3. No wake-up is lost. The reader wakes the thread after it queues an item, after an inline
//!    write that left something, and when it is gone. The thread wakes the reader after it
//!    takes an item, when it becomes idle, and when it is gone.
//!
//! The module is generic: [`super::channel`] decides what the queue holds, and how much.

pub mod inline_writer;

use std::time::Instant;

use super::sync::{Condvar, Mutex, MutexGuard, Notify, PoisonError};

/// A queue that a [`Handoff`] guards.
pub trait Queue {
    /// What the reader passes to the writer.
    type Item;

    /// Returns whether no item waits.
    fn is_empty(&self) -> bool;

    /// Removes the oldest item.
    fn pop(&mut self) -> Option<Self::Item>;
}

/// The other side has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// The result of [`Handoff::recv`].
#[derive(Debug)]
pub enum Recv<T> {
    /// The oldest item.
    Item(T),
    /// The reader wrote inline, and the output did not take everything: finish that write.
    Resume,
    /// Nothing came before the deadline.
    TimedOut,
    /// The reader has ended, and the queue is empty.
    Closed,
}

/// Which side may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ownership {
    #[default]
    Free,
    Writer,
    Reader,
    Resume,
}

#[derive(Debug)]
struct State<Q> {
    queue: Q,
    ownership: Ownership,
    reader_gone: bool,
    writer_gone: bool,
}

impl<Q: Queue> State<Q> {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.ownership == Ownership::Free
    }
}

/// The state that both sides share. The reader waits asynchronously, the writer blocks its
/// thread.
#[derive(Debug)]
pub struct Handoff<Q> {
    state: Mutex<State<Q>>,
    /// Wakes the writer thread.
    readable: Condvar,
    /// Wakes the reader task.
    progress: Notify,
}

impl<Q: Queue> Handoff<Q> {
    /// Returns a hand-off in which neither side owns the output.
    #[must_use]
    pub fn new(queue: Q) -> Self {
        let ownership = Ownership::Free;
        let state = State { queue, ownership, reader_gone: false, writer_gone: false };
        Self { state: Mutex::new(state), readable: Condvar::new(), progress: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<Q>> {
        // Every change below is complete before its guard is dropped, so a panic elsewhere in
        // the thread that holds it leaves the state sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `access` on the queue and wakes neither side: for what is kept beside the items.
    pub fn with_queue<T>(&self, access: impl FnOnce(&mut Q) -> T) -> T {
        access(&mut self.state().queue)
    }

    /// Reader: runs `send` on the queue and wakes the writer thread.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub fn send_with<T>(&self, send: impl FnOnce(&mut Q) -> T) -> Result<T, Closed> {
        let mut state = self.state();
        if state.writer_gone {
            return Err(Closed);
        }
        let sent = send(&mut state.queue);
        drop(state);
        // broken-handoff: forgets-to-wake-the-writer
        self.readable.notify_one();
        Ok(sent)
    }

    /// Reader: waits until the queue meets `condition`. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub async fn wait_until(&self, condition: impl Fn(&Q) -> bool) -> Result<(), Closed> {
        self.wait(|state| condition(&state.queue)).await
    }

    /// Reader: waits until everything that it passed on was written. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`] if the writer has ended.
    pub async fn drained(&self) -> Result<(), Closed> {
        self.wait(State::is_idle).await
    }

    async fn wait(&self, condition: impl Fn(&State<Q>) -> bool) -> Result<(), Closed> {
        loop {
            {
                let state = self.state();
                if state.writer_gone {
                    return Err(Closed);
                }
                if condition(&state) {
                    return Ok(());
                }
            }
            // A wake-up between the check and this line is not lost: `Notify` stores it.
            self.progress.notified().await;
        }
    }

    /// Reader: acquires the ownership if the writer thread is idle. The reader may then write
    /// inline. It sends nothing until it has called [`Self::release`].
    #[must_use]
    pub fn try_acquire(&self) -> bool {
        let mut state = self.state();
        // broken-handoff: overtakes-the-queue
        let is_free = state.is_idle() && !state.writer_gone;
        if is_free {
            state.ownership = Ownership::Reader;
        }
        is_free
    }

    /// Reader: gives the ownership back. `has_rest` says that the writer thread must finish
    /// the write.
    pub fn release(&self, has_rest: bool) {
        self.state().ownership = if has_rest { Ownership::Resume } else { Ownership::Free };
        if has_rest {
            // broken-handoff: forgets-the-rest
            self.readable.notify_one();
        }
    }

    /// Reader: notes that nothing more will be sent.
    pub fn close_reader(&self) {
        self.state().reader_gone = true;
        self.readable.notify_one();
    }

    /// Writer: notes that nothing more will be received.
    pub fn close_writer(&self) {
        self.state().writer_gone = true;
        // broken-handoff: ends-without-a-word
        self.progress.notify_one();
    }

    /// Writer: takes the oldest item, waiting for it until `deadline` (`None`: not at all).
    /// A call says that everything received before was written.
    pub fn recv(&self, deadline: Option<Instant>) -> Recv<Q::Item> {
        let mut state = self.state();
        if state.ownership == Ownership::Writer {
            state.ownership = Ownership::Free;
        }
        if state.is_idle() {
            // broken-handoff: forgets-to-say-it-is-idle
            self.progress.notify_one();
        }
        loop {
            if state.ownership == Ownership::Resume {
                state.ownership = Ownership::Writer;
                return Recv::Resume;
            }
            // While the reader owns the output the queue is empty.
            if let Some(item) = state.queue.pop() {
                // broken-handoff: writes-without-ownership
                state.ownership = Ownership::Writer;
                drop(state);
                self.progress.notify_one();
                return Recv::Item(item);
            }
            if state.reader_gone {
                return Recv::Closed;
            }
            let wait = deadline.and_then(|at| at.checked_duration_since(Instant::now()));
            let Some(wait) = wait.filter(|wait| !wait.is_zero()) else {
                return Recv::TimedOut;
            };
            let waited = self.readable.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
