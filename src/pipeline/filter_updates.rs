//! The filters that a run is to change to while it is active.

use std::sync::Arc;
use std::sync::mpsc;

use tokio::sync::watch;

use crate::filter::Filter;

/// Makes the two ends: the watcher sends filters, and the run takes the newest one.
#[must_use]
pub fn filter_updates() -> (FilterSender, FilterUpdates) {
    let (wanted, updates) = watch::channel(None);
    let (nudge, nudges) = mpsc::sync_channel(1);
    (FilterSender { wanted, nudges }, FilterUpdates { wanted: updates, nudge: Some(nudge) })
}

/// The watcher's end.
#[derive(Debug)]
pub struct FilterSender {
    wanted: watch::Sender<Option<Arc<Filter>>>,
    nudges: mpsc::Receiver<()>,
}

/// What a wait of the watcher ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time has passed.
    TimedOut,
    /// The user asked for a look at once.
    Requested,
    /// The run has ended.
    RunEnded,
}

impl FilterSender {
    /// Passes a filter to the run, in place of one that it has not taken yet.
    pub fn send(&self, filter: Arc<Filter>) {
        self.wanted.send_replace(Some(filter));
    }

    /// Waits for `time`, or less if the user asks for a look or the run ends.
    #[must_use]
    pub fn wait(&self, time: std::time::Duration) -> Wake {
        match self.nudges.recv_timeout(time) {
            Ok(()) => Wake::Requested,
            Err(mpsc::RecvTimeoutError::Timeout) => Wake::TimedOut,
            Err(mpsc::RecvTimeoutError::Disconnected) => Wake::RunEnded,
        }
    }
}

/// The run's end.
#[derive(Debug)]
pub struct FilterUpdates {
    wanted: watch::Receiver<Option<Arc<Filter>>>,
    nudge: Option<mpsc::SyncSender<()>>,
}

impl FilterUpdates {
    /// Returns the updates of a run whose filter never changes.
    #[must_use]
    pub fn none() -> Self {
        Self { wanted: watch::channel(None).1, nudge: None }
    }

    /// Returns another end, which gets the same filters.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { wanted: self.wanted.clone(), nudge: None }
    }

    /// Takes what asks the watcher for a look at once: once, for the task that gets the signals.
    pub fn take_nudge(&mut self) -> Nudge {
        Nudge(self.nudge.take())
    }

    /// Returns the newest filter that was sent.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<Filter>> {
        self.wanted.borrow().clone()
    }

    /// Returns a receiver of each filter that is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Filter>>> {
        self.wanted.clone()
    }
}

/// Asks the watcher for a look at once. The watcher ends when this is dropped.
#[derive(Debug)]
pub struct Nudge(Option<mpsc::SyncSender<()>>);

impl Nudge {
    /// Asks for a look; returns whether there is a watcher.
    pub fn look(&self) -> bool {
        // A full channel means that a look is due already.
        self.0.as_ref().map(|nudge| nudge.try_send(())).is_some()
    }
}
