//! The switch of the stream to the filter with an addition, when its history is complete.
//!
//! The reader connects again with the new filter, from the end X of the history. Up to the position
//! P of the output, the connection repeats what the stream has written, which is dropped, and
//! brings the addition's events after the history, which are side history too. With the first
//! event at or after P, or when the server has nothing more for now, the filter changes, in the
//! order of the stream. A run that is killed before that continues with the old filter at P, and
//! with the history where it was delivered.
//!
//! P must not lie before X: from X on, the connection would lack what the stream has not brought
//! yet. So the switch waits until the stream has passed X. A stream of few accounts may not do that
//! for days. If the archive has nothing of the stream between P and X (`is_quiet_up_to`), the
//! position moves to X, and the filter changes there.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::event::batch::Batch;
use crate::filter::Filter;
use crate::filter::additions::{Addition, Additions};
use crate::pipeline::channel::Item;
use crate::position::{EventPosition, Seq, TimeUs};
use crate::source::connection::EventConnection;
use crate::source::endpoint::Endpoint;
use crate::source::liveness::Liveness;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::super::idle::Scan;
use super::super::retry::RetryState;
use super::super::{Disconnect, Reader};
use super::meeting::Meeting;
use super::named;

/// Switches in a row that found the end of the history too old for the stream, after which the
/// history is given up. Each is followed by another look into the archive, which has more by then.
const MAX_EXPIRED: u32 = 5;

/// The switch of the run, if there is one.
#[derive(Debug)]
pub(super) struct Switch {
    current: Mutex<Option<Arc<Pending>>>,
    state: watch::Sender<State>,
}

/// What is to change.
#[derive(Debug)]
struct Pending {
    addition: Addition,
    server: Arc<str>,
    /// The seq at which the history ends.
    after: u64,
    /// Whether the stream has no event between its position and `after`.
    is_quiet: bool,
    filter: Arc<Filter>,
    additions: Arc<Additions>,
    /// Whether the filter has changed.
    is_done: AtomicBool,
}

/// How far the switch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    None,
    /// The stream is to be connected again.
    Wanted,
    /// The filter has changed.
    Done,
    /// The stream begins later than the history ends, or comes from another server.
    Failed,
}

impl Default for Switch {
    fn default() -> Self {
        Self { current: Mutex::new(None), state: watch::Sender::new(State::None) }
    }
}

impl Switch {
    fn current(&self) -> Option<Arc<Pending>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, current: Option<Arc<Pending>>, state: State) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
        self.state.send_replace(state);
    }

    fn is_active(&self) -> bool {
        *self.state.borrow() == State::Wanted
    }

    async fn reaches(&self, wanted: impl Fn(State) -> bool) -> State {
        // The sender is a field of `self`, so this can't fail.
        let mut state = self.state.subscribe();
        state.wait_for(|state| wanted(*state)).await.map_or(State::None, |state| *state)
    }
}

impl Reader {
    /// Switches the stream to the filter with an addition whose history is complete up to `seq`.
    /// Returns when that is done, or when the history is to be continued.
    pub(super) async fn switch(&self, addition: &Addition, server: Arc<str>, seq: u64) {
        let Some(lists) = &self.side else { return };
        if seq > 0 {
            self.feedback.side_delivered(addition.number, Seq(seq)).await;
        }
        let meeting = self.wait_for_stream(&server, seq);
        let Some(meeting) = lists.unless_removed(addition.number, meeting).await else { return };
        let is_quiet = match meeting {
            Meeting::Passed => false,
            Meeting::Quiet => true,
            // The archive has more by now, and the stream was read from there.
            Meeting::Archived => return,
        };
        let Some((addition, _)) = lists.current(addition.number) else { return };
        let (additions, filter) = lists.finished(addition.number);
        let (number, what) = (addition.number, named(&addition));
        let pending = Pending {
            addition,
            server,
            after: seq,
            is_quiet,
            filter,
            additions,
            is_done: AtomicBool::new(false),
        };
        self.side_state.switch.set(Some(Arc::new(pending)), State::Wanted);
        let state = self.side_state.switch.reaches(|state| state != State::Wanted).await;
        self.side_state.switch.set(None, State::None);
        let (before, failures) = self.side_state.failures.get();
        if state == State::Done {
            self.side_state.failures.set((0, 0));
            tracing::info!(
                "the history of {what} is complete; the live stream has them from here on"
            );
            return;
        }
        // The archive has more by then, so only a second look without progress counts.
        let failures = if seq > before { 1 } else { failures + 1 };
        self.side_state.failures.set((seq, failures));
        if failures >= MAX_EXPIRED
            && let Some((addition, _)) = lists.current(number)
        {
            self.side_state.failures.set((0, 0));
            let why = "the live stream begins later than the archive ends, 5 times in a row";
            self.give_up(&addition, why).await;
        }
    }

    /// Waits until the stream is to be connected again for a switch, on the server of its history.
    pub(in super::super) async fn switch_wanted(&self, retry: &RetryState) {
        // The connection that was made for a switch need not end for it.
        let is_wanted = |state| state == State::Wanted && !self.is_for_switch(retry.number);
        self.side_state.switch.reaches(is_wanted).await;
    }

    fn is_for_switch(&self, connection: u64) -> bool {
        self.side_state.connection.get() == connection
    }

    /// Returns whether a switch has begun and not ended. Until then no other change of the filter
    /// is made.
    pub(in super::super) fn is_switching(&self) -> bool {
        self.side_state.switch.is_active()
    }

    /// Reads the stream with the filter of the switch, if there is one; `None` without a switch.
    pub(in super::super) async fn read_switched(
        &self,
        endpoint: &Endpoint,
        retry: &mut RetryState,
    ) -> Option<Result<(), Disconnect>> {
        let pending =
            self.side_state.switch.current().filter(|_| self.side_state.switch.is_active())?;
        if pending.server != endpoint.label {
            self.side_state.switch.set(None, State::Failed);
            return None;
        }
        let after = self.feedback.side_reached(pending.addition.number);
        let after = after.map_or(pending.after, |reached| reached.seq.0.max(pending.after));
        let requested = match after {
            0 => RequestedCursor::Oldest,
            after => RequestedCursor::Seq(Seq(after)),
        };
        retry.requested = requested;
        retry.tip = None;
        // The switch begins at a place of its own, whatever was planned for the position.
        retry.pending_backfill = None;
        let before = self.client.filter();
        self.client.set_filter(Arc::clone(&pending.filter));
        self.side_state.connection.set(retry.number + 1);
        let ended = self.read_for(&pending, endpoint, requested, retry).await;
        if !pending.is_done.load(Relaxed) {
            self.client.set_filter(before);
            if matches!(&ended, Err(Disconnect::Connect(error)) if error.is_cursor_too_old()) {
                self.side_state.switch.set(None, State::Failed);
                return Some(Err(Disconnect::FilterChanged));
            }
        }
        Some(ended)
    }

    async fn read_for(
        &self,
        pending: &Pending,
        endpoint: &Endpoint,
        requested: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut stream = self.connect(endpoint, requested, retry).await?;
        let ended = match self.begin_switch(pending, stream.info()).await {
            Ok(()) => self.read(&mut stream, None, retry).await,
            Err(disconnect) => Err(disconnect),
        };
        self.on_disconnect(&mut stream, retry, ended.as_ref().err()).await;
        ended
    }

    /// Changes the filter at once, if the stream has nothing up to the end of the history. Fails if
    /// the position lies before that.
    async fn begin_switch(
        &self,
        pending: &Pending,
        connection: Arc<ConnectionInfo>,
    ) -> Result<(), Disconnect> {
        let position = self.feedback.get().filter(|position| {
            position.origin.server == pending.server && position.newest.seq.is_some()
        });
        let newest = position.and_then(|position| position.newest.seq).map_or(0, |seq| seq.0);
        if newest > pending.after {
            return Ok(());
        }
        if newest < pending.after && !pending.is_quiet {
            self.side_state.switch.set(None, State::Failed);
            return Err(Disconnect::FilterChanged);
        }
        if newest < pending.after {
            let at = EventPosition { time: TimeUs(0), seq: Some(Seq(pending.after)) };
            let lines = Item::lines(Batch::default(), Arc::clone(&connection));
            self.send_switched(Item { through: Some(at), ..lines }).await?;
        }
        self.conclude(pending, Batch::default(), connection).await
    }

    /// Changes the filter, and passes on the first lines after the change.
    async fn conclude(
        &self,
        pending: &Pending,
        rest: Batch,
        connection: Arc<ConnectionInfo>,
    ) -> Result<(), Disconnect> {
        let additions = Some(Arc::clone(&pending.additions));
        let filter = Arc::clone(&pending.filter);
        let change = Item::filter_change(filter, Arc::clone(&connection));
        self.send_switched(Item { additions, ..change }).await?;
        if !rest.is_empty() {
            self.send_switched(Item::lines(rest, connection)).await?;
        }
        self.metrics.side.completed.add(pending.addition.values.len() as u64);
        if let Some(lists) = &self.side {
            lists.finish(pending.addition.number);
        }
        pending.is_done.store(true, Relaxed);
        // The next switch needs another connection.
        self.side_state.connection.set(0);
        self.side_state.switch.set(None, State::Done);
        Ok(())
    }

    /// Takes what a connection for a switch brings up to the position out of a batch, as side
    /// history, and changes the filter at the position. Returns the batch if it is to be passed on
    /// as usual.
    pub(in super::super) async fn route_switched(
        &self,
        mut batch: Batch,
        connection: &Arc<ConnectionInfo>,
    ) -> Result<Option<Batch>, Disconnect> {
        if !self.side_state.switch.is_active() || !self.is_for_switch(connection.number) {
            return Ok(Some(batch));
        }
        let Some(pending) = self.side_state.switch.current() else { return Ok(Some(batch)) };
        let newest = self.feedback.get().and_then(|position| position.newest.seq);
        let newest = newest.map_or(0, |seq| seq.0);
        let (count, shape) = (batch.len(), connection.shape);
        let mut seq_of = |index| batch.header_or_parse(index, shape)?.cursor();
        let later = (0..count).find(|index| seq_of(*index).is_some_and(|seq| seq > newest));
        let has_reached = (0..count).any(|index| seq_of(index).is_some_and(|seq| seq >= newest));
        let rest = batch.split_off(later.unwrap_or(count));
        if let Some(feed) = self.side_feed(pending.addition.number, &pending.server)
            && !batch.is_empty()
        {
            let lines = Item::lines(batch, Arc::clone(connection));
            self.send_switched(Item { side: Some(feed), ..lines }).await?;
        }
        if has_reached {
            self.conclude(&pending, rest, Arc::clone(connection)).await?;
        }
        Ok(None)
    }

    /// Changes the filter if the connection for a switch has brought everything up to the position,
    /// and the server has no later event yet. The last event that the new filter takes may lie before
    /// the position, so no event need show that.
    pub(in super::super) async fn switch_if_caught_up(
        &self,
        scan: &mut Scan,
        alive: &Liveness,
        stream: &mut EventConnection,
    ) -> Result<(), Disconnect> {
        if !self.side_state.switch.is_active() || !self.is_for_switch(stream.number()) {
            return Ok(());
        }
        let Some(pending) = self.side_state.switch.current() else { return Ok(()) };
        let tip = scan.tip();
        if scan.is_caught_up(alive, stream, Instant::now(), tip) {
            self.conclude(&pending, Batch::default(), stream.info()).await?;
        }
        Ok(())
    }

    async fn send_switched(&self, item: Item) -> Result<(), Disconnect> {
        tokio::select! {
            biased;
            room = self.sender.has_room(&item.batch) => room?,
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        }
        self.sender.send(item)?;
        Ok(())
    }
}
