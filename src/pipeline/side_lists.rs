//! The lists of a run with `--backfill-new`: the one place in which a wanted filter becomes the
//! filter of the live stream and the histories that are read beside it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::filter::Filter;
use crate::filter::additions::{Addition, Additions, Lists, SideFilter};

/// The lists. The reader's tasks share them.
#[derive(Debug)]
pub struct SideLists {
    state: Mutex<ListState>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct ListState {
    wanted: Arc<Filter>,
    additions: Arc<Additions>,
    live: Arc<Filter>,
    /// The addition whose history is being read.
    begun: Option<u32>,
}

impl SideLists {
    /// Returns the lists of a run that wants `wanted`, after a run that ended with `saved`.
    #[must_use]
    pub fn new(wanted: Arc<Filter>, saved: Option<Additions>) -> Self {
        let lists = Lists::of(&wanted);
        let additions = match saved {
            None => Additions::all_live(lists),
            Some(mut saved) => {
                saved.update(lists, None);
                saved
            }
        };
        let live = Arc::new(additions.live_filter(&wanted));
        let state = ListState { wanted, additions: Arc::new(additions), live, begun: None };
        Self { state: Mutex::new(state), changes: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, ListState> {
        // No code that holds the lock panics within a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the filter of the live stream.
    #[must_use]
    pub fn live(&self) -> Arc<Filter> {
        Arc::clone(&self.lock().live)
    }

    /// Returns the state of the lists, to be saved.
    #[must_use]
    pub fn additions(&self) -> Arc<Additions> {
        Arc::clone(&self.lock().additions)
    }

    /// Returns whether an addition waits for its history.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.lock().additions.next().is_some()
    }

    /// Returns a receiver that notices each change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Follows a filter that the user wants; returns the filter of the live stream.
    pub fn want(&self, wanted: &Arc<Filter>) -> Arc<Filter> {
        {
            let mut state = self.lock();
            if Arc::ptr_eq(&state.wanted, wanted) {
                return Arc::clone(&state.live);
            }
            state.wanted = Arc::clone(wanted);
            let begun = state.begun;
            state.change(|additions| additions.update(Lists::of(wanted), begun));
        }
        self.changes.send_modify(|changes| *changes += 1);
        self.live()
    }

    /// Makes the entries of an addition live.
    pub fn finish(&self, number: u32) {
        {
            let mut state = self.lock();
            state.begun = None;
            state.change(|additions| additions.finish(number));
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Returns the state and the filter of the live stream after [`SideLists::finish`].
    #[must_use]
    pub fn finished(&self, number: u32) -> (Arc<Additions>, Arc<Filter>) {
        let state = self.lock();
        let mut additions = (*state.additions).clone();
        additions.finish(number);
        let live = additions.live_filter(&state.wanted);
        (Arc::new(additions), Arc::new(live))
    }

    /// Returns the addition whose history is to be read next, and notes that this begins.
    #[must_use]
    pub fn begin(&self) -> Option<Addition> {
        let mut state = self.lock();
        let next = state.additions.next().cloned();
        state.begun = next.as_ref().map(|addition| addition.number);
        next
    }

    /// Runs `work`; returns `None` if all entries of an addition are removed before it ends.
    pub async fn unless_removed<T>(&self, number: u32, work: impl Future<Output = T>) -> Option<T> {
        let mut changes = self.subscribe();
        let removed = async {
            while self.current(number).is_some() {
                // The sender is a field of `self`, so this can't fail.
                let _ = changes.changed().await;
            }
        };
        tokio::select! {
            biased;
            () = removed => None,
            done = work => Some(done),
        }
    }

    /// Returns what is left of an addition, and the filter of its history; `None` if all of its
    /// entries were removed.
    #[must_use]
    pub fn current(&self, number: u32) -> Option<(Addition, SideFilter)> {
        let state = self.lock();
        let addition = state.additions.next().filter(|next| next.number == number)?;
        Some((addition.clone(), state.additions.side_filter(&state.wanted, addition)))
    }
}

impl ListState {
    fn change(&mut self, change: impl FnOnce(&mut Additions)) {
        let mut additions = (*self.additions).clone();
        change(&mut additions);
        let live = additions.live_filter(&self.wanted);
        self.additions = Arc::new(additions);
        self.live = Arc::new(live);
    }
}
