//! The queue between the writer and the client that publishes: waiting messages, the count of
//! unacknowledged ones, and the acknowledged end offsets. Bounded in both messages and bytes, so a
//! broker that is slow or down blocks the writer, and through it the stream. A message larger than
//! the bound passes alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::error::BrokerError;
use super::message::Message;
use crate::sink::SinkError;

/// Most unacknowledged messages: at a round trip of 10 ms enough for 400,000 a second, and far
/// below the limits of any broker.
pub const MOST_MESSAGES: usize = 4_096;
/// Most bytes of unacknowledged messages.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How often a blocked writer checks its deadline.
const RECHECK: Duration = Duration::from_millis(50);

/// The state that the writer and the client share.
#[derive(Debug, Default)]
pub struct InFlight {
    state: Mutex<State>,
    /// Notified when something was acknowledged, or failed.
    progress: Condvar,
    /// Notified when messages were added.
    work: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Message>,
    /// Unacknowledged messages, and their bytes.
    messages: usize,
    bytes: usize,
    /// The offset after the last acknowledged message of each partition that moved since the last
    /// checkpoint.
    ends: BTreeMap<u32, u64>,
    /// See [`InFlight::withhold_offsets`].
    offsets_withheld: bool,
    failure: Option<BrokerError>,
}

impl State {
    /// Returns whether a blocked writer may continue: only when a quarter is free, so that not
    /// every single acknowledgement wakes it.
    fn has_room(&self) -> bool {
        self.messages <= MOST_MESSAGES / 4 * 3 && self.bytes <= MOST_BYTES / 4 * 3
    }

    fn takes(&self, bytes: usize) -> bool {
        self.messages == 0
            || (self.messages < MOST_MESSAGES && self.bytes.saturating_add(bytes) <= MOST_BYTES)
    }

    fn count(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

impl InFlight {
    /// A poisoned lock is still valid: no code that holds it can panic within a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: &impl Fn() -> Option<Instant>,
        is_met: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'a, State>, SinkError> {
        loop {
            if let Some(failure) = &state.failure {
                return Err(SinkError::Broker(failure.clone()));
            }
            if is_met(&state) {
                return Ok(state);
            }
            if deadline().is_some_and(|at| Instant::now() >= at) {
                return Err(SinkError::TimedOut);
            }
            let waited = self.progress.wait_timeout(state, RECHECK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Adds messages. Blocks until there is room.
    pub fn put(
        &self,
        messages: impl Iterator<Item = Message>,
        deadline: &impl Fn() -> Option<Instant>,
    ) -> Result<(), SinkError> {
        let mut state = self.wait_for(self.state(), deadline, |_| true)?;
        for message in messages {
            let bytes = message.bytes();
            if !state.takes(bytes) {
                self.work.notify_one();
                state = self.wait_for(state, deadline, |state| {
                    state.takes(bytes) && (state.has_room() || state.messages == 0)
                })?;
            }
            state.count(bytes);
            state.queue.push_back(message);
        }
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Blocks until there is room for one message, and counts it. librdkafka has a queue of its
    /// own.
    #[cfg(feature = "kafka")]
    pub fn admit(
        &self,
        bytes: usize,
        deadline: &impl Fn() -> Option<Instant>,
    ) -> Result<(), SinkError> {
        let mut state = self.wait_for(self.state(), deadline, |state| state.takes(bytes))?;
        state.count(bytes);
        Ok(())
    }

    /// Blocks until everything is acknowledged. Returns the end offsets of the partitions that
    /// moved since the last call.
    pub fn wait_acknowledged(
        &self,
        deadline: &impl Fn() -> Option<Instant>,
    ) -> Result<BTreeMap<u32, u64>, SinkError> {
        let mut state = self.wait_for(self.state(), deadline, |state| state.messages == 0)?;
        match state.offsets_withheld {
            true => Ok(BTreeMap::new()),
            false => Ok(std::mem::take(&mut state.ends)),
        }
    }

    /// Sets whether checkpoints have no end offsets. They have none until all messages that an
    /// earlier run published after its last checkpoint have come again, because a later run must
    /// read those messages back, too.
    pub fn withhold_offsets(&self, offsets_withheld: bool) {
        self.state().offsets_withheld = offsets_withheld;
    }

    /// Returns whether end offsets are withheld.
    pub fn offsets_withheld(&self) -> bool {
        self.state().offsets_withheld
    }

    /// Takes at most `most` messages; none if the queue is empty.
    #[cfg(feature = "nats")]
    pub fn take(&self, most: usize) -> Vec<Message> {
        let mut state = self.state();
        let count = most.min(state.queue.len());
        state.queue.drain(..count).collect()
    }

    /// Waits until the queue may have messages.
    #[cfg(feature = "nats")]
    pub async fn work(&self) {
        self.work.notified().await;
    }

    /// Records that messages of `bytes` bytes are acknowledged or need not be sent, and the new end
    /// offset of a partition.
    pub fn acknowledge(&self, messages: usize, bytes: usize, end: Option<(u32, u64)>) {
        let mut state = self.state();
        state.messages = state.messages.saturating_sub(messages);
        state.bytes = state.bytes.saturating_sub(bytes);
        if let Some((partition, end)) = end {
            let known = state.ends.entry(partition).or_default();
            *known = end.max(*known);
        }
        if state.messages == 0 || state.has_room() {
            self.progress.notify_one();
        }
    }

    /// Records that nothing can be published any more. Only the first failure is kept.
    pub fn fail(&self, failure: BrokerError) {
        self.state().failure.get_or_insert(failure);
        self.progress.notify_one();
    }
}
