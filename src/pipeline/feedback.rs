//! What the writer reports to the reader: the position of the output, from which a reconnect
//! resumes, and what it noticed about the connection that its lines come from.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::dedup::SideReached;
use crate::position::{Position, Seq, TimeUs};

/// The newest position of the output, and the writer's findings about the connection.
#[derive(Debug)]
pub struct WriterFeedback {
    position: Mutex<Option<Position>>,
    /// `time_us` of the newest event before the instant that the connection asked for; 0 once
    /// it has sent a later one.
    early_us: AtomicU64,
    /// The number of the connection whose sequence numbers contradict the position; 0 for none.
    renumbered: watch::Sender<u64>,
    /// How far side history is delivered.
    side: watch::Sender<Option<SideReached>>,
    /// The server to leave, and the one to read in its place.
    leave: watch::Sender<Option<(Arc<str>, Arc<str>)>>,
}

impl WriterFeedback {
    /// Starts with a saved position.
    #[must_use]
    pub fn new(position: Option<Position>) -> Self {
        Self {
            position: Mutex::new(position),
            early_us: AtomicU64::new(0),
            renumbered: watch::Sender::new(0),
            side: watch::Sender::new(None),
            leave: watch::Sender::new(None),
        }
    }

    /// Sets the position of the output.
    pub fn set(&self, position: Option<&Position>) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position.cloned();
    }

    /// Returns the position of the output.
    #[must_use]
    pub fn get(&self) -> Option<Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the result of [`Self::early`].
    pub fn set_early(&self, newest: Option<TimeUs>) {
        self.early_us.store(newest.map_or(0, |time| time.0), Relaxed);
    }

    /// Returns the newest event's time, as long as the connection has sent only events from
    /// before the instant that it asked for.
    #[must_use]
    pub fn early(&self) -> Option<TimeUs> {
        Some(TimeUs(self.early_us.load(Relaxed))).filter(|time| time.0 > 0)
    }

    /// Sets how far side history is delivered.
    pub fn set_side(&self, reached: Option<&SideReached>) {
        self.side.send_if_modified(|side| {
            let is_new = side.as_ref() != reached;
            if is_new {
                *side = reached.cloned();
            }
            is_new
        });
    }

    /// Returns how far the history of an addition is delivered.
    #[must_use]
    pub fn side_reached(&self, addition: u32) -> Option<SideReached> {
        self.side.borrow().clone().filter(|reached| reached.addition == addition)
    }

    /// Waits until the history of an addition is delivered up to `seq`.
    pub async fn side_delivered(&self, addition: u32, seq: Seq) {
        let is_there = |side: &Option<SideReached>| {
            side.as_ref().is_some_and(|side| side.addition == addition && side.seq >= seq)
        };
        // The sender is a field of `self`, so this can't fail.
        let _ = self.side.subscribe().wait_for(is_there).await;
    }

    /// Asks the reader to leave a server for another one.
    pub fn leave(&self, from: Arc<str>, to: Arc<str>) {
        self.leave.send_replace(Some((from, to)));
    }

    /// Waits until [`Self::leave`] is called for this server; returns the other one.
    pub async fn left(&self, server: &str) -> Arc<str> {
        let mut leave = self.leave.subscribe();
        let other = |leave: &Option<(Arc<str>, Arc<str>)>| {
            let (_, to) = leave.as_ref().filter(|(from, _)| **from == *server)?;
            Some(Arc::clone(to))
        };
        // The sender is a field of `self`, so this can't fail.
        let asked = leave.wait_for(|leave| other(leave).is_some()).await;
        asked.ok().and_then(|asked| other(&asked)).unwrap_or_default()
    }

    /// Forgets what [`Self::leave`] asked for: the connection has ended.
    pub fn clear_leave(&self) {
        self.leave.send_replace(None);
    }

    /// Reports that a connection's sequence numbers contradict the position.
    pub fn reject_numbers(&self, connection: u64) {
        self.renumbered.send_replace(connection);
    }

    /// Waits until [`Self::reject_numbers`] is called for this connection.
    pub async fn numbers_rejected(&self, connection: u64) {
        let mut rejected = self.renumbered.subscribe();
        // The sender is a field of `self`, so this can't fail.
        let _ = rejected.wait_for(|number| *number == connection).await;
    }
}
