//! Where the output stands, told by the writer to the reader: what a reconnect starts from,
//! and what the writer thinks of the connection that it gets lines from.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::position::{Position, TimeUs};

/// The newest position that was dealt with, and the writer's complaints.
#[derive(Debug)]
pub struct WriterFeedback {
    position: Mutex<Option<Position>>,
    /// `time_us` of the newest event that came too early to be wanted; 0 once a connection has
    /// reached the instant it was asked for.
    early_us: AtomicU64,
    /// The number of the connection whose sequence numbers are not to be trusted; 0 for none.
    renumbered: watch::Sender<u64>,
}

impl WriterFeedback {
    /// A stand that begins at a saved position.
    #[must_use]
    pub fn new(position: Option<Position>) -> Self {
        Self {
            position: Mutex::new(position),
            early_us: AtomicU64::new(0),
            renumbered: watch::Sender::new(0),
        }
    }

    /// Replaces the position.
    pub fn set(&self, position: Option<&Position>) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position.cloned();
    }

    /// The position now.
    #[must_use]
    pub fn get(&self) -> Option<Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the present connection is still in front of the instant it was asked for.
    pub fn set_early(&self, newest: Option<TimeUs>) {
        self.early_us.store(newest.map_or(0, |time| time.0), Relaxed);
    }

    /// The newest event's time, while nothing but events from before the instant that was
    /// asked for has come.
    #[must_use]
    pub fn early(&self) -> Option<TimeUs> {
        Some(TimeUs(self.early_us.load(Relaxed))).filter(|time| time.0 > 0)
    }

    /// Refuses a connection's sequence numbers.
    pub fn refuse_numbers(&self, connection: u64) {
        self.renumbered.send_replace(connection);
    }

    /// Waits until this connection's sequence numbers are refused.
    pub async fn numbers_refused(&self, connection: u64) {
        let mut refused = self.renumbered.subscribe();
        // The sender lives in `self`, so this can't fail.
        let _ = refused.wait_for(|number| *number == connection).await;
    }
}
