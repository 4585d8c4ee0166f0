//! What lies between the thread that writes and the client that publishes: messages that wait,
//! how many are out and not acknowledged, and how far the broker has come. Bounded in both
//! messages and bytes, so that a broker that is slow or down holds up the writer, and through
//! it the stream. One larger message passes alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::error::BrokerError;
use super::message::Message;
use crate::sink::SinkError;

/// Most messages that are not acknowledged. At a round trip of 10 ms enough for 400,000 a
/// second, and far less than any broker's limits.
pub const MOST_MESSAGES: usize = 4_096;
/// Most bytes of them.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How often whoever waits looks whether its time is over.
const RECHECK: Duration = Duration::from_millis(50);

/// The state that both sides share.
#[derive(Debug, Default)]
pub struct InFlight {
    state: Mutex<State>,
    /// Told where something was acknowledged, or failed.
    progress: Condvar,
    /// Told where messages came.
    work: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Message>,
    /// Not acknowledged, and their bytes.
    messages: usize,
    bytes: usize,
    /// How far each partition has come: the number behind its last acknowledged message, for
    /// those that have moved since somebody asked.
    ends: BTreeMap<u32, u64>,
    /// Whether the ends are kept back: see [`InFlight::hold`].
    offsets_withheld: bool,
    failure: Option<BrokerError>,
}

impl State {
    /// Whether whoever waited for room may go on: with some of it at once, so that it is not
    /// woken by every single acknowledgement.
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
    /// No code that holds the lock can panic half-way through a change.
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

    /// Hands over messages, waiting for room where there is none.
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

    /// Waits for room for one message that is handed over by other means, and counts it.
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

    /// Waits until everything is acknowledged, and says how far each partition has come that
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

    /// Whether the ends are kept back, since not all that an earlier run left behind its last
    /// checkpoint has been met again: a run after this one must read it back once more.
    pub fn withhold_offsets(&self, offsets_withheld: bool) {
        self.state().offsets_withheld = offsets_withheld;
    }

    /// Whether they are.
    pub fn offsets_withheld(&self) -> bool {
        self.state().offsets_withheld
    }

    /// The next messages, at most `most`; none where none wait.
    #[cfg(feature = "nats")]
    pub fn take(&self, most: usize) -> Vec<Message> {
        let mut state = self.state();
        let count = most.min(state.queue.len());
        state.queue.drain(..count).collect()
    }

    /// Waits until something may be there to take.
    #[cfg(feature = "nats")]
    pub async fn work(&self) {
        self.work.notified().await;
    }

    /// Messages of so many bytes are acknowledged, or need not be sent; a partition has come to
    /// `end`.
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

    /// Nothing can be published any more. The first failure counts.
    pub fn fail(&self, failure: BrokerError) {
        self.state().failure.get_or_insert(failure);
        self.progress.notify_one();
    }
}
