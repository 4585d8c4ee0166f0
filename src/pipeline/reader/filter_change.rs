//! When and how a filter that changes reaches the server.
//!
//! The dedup stage switches to the new filter at the position of the output, in the order of the
//! stream. What the server has to do about it depends on the change:
//!
//! - Nothing, if it does not know the rule that changed (`--exclude`).
//! - It may send less, if only values were removed. A v1 server gets a message on the open connection.
//! - It must send more, or speaks v2, which takes filters only in the URL: the reader connects
//!   again, from the position. A v1 server could be told of added values on the open connection,
//!   too, but it says neither when it applies them nor what it left out until then. A new
//!   connection that asks for the position, joined with the live stream on a legacy server, needs
//!   no guess, and keeps the order of an account's events.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::filter::Filter;
use crate::pipeline::channel::Item;
use crate::position::{Origin, ServerKind};
use crate::source::archive::BackfillStart;
use crate::source::connection::EventConnection;
use crate::source::protocol::Protocol;
use crate::source::v1::request::Subscription;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::retry::RetryState;
use super::{Disconnect, Reader};

/// Least time between two connections that only a change of the filter needs.
const RECONNECT_EVERY: Duration = Duration::from_secs(10);

/// Least time between two changes on one open connection.
const UPDATE_EVERY: Duration = Duration::from_secs(1);

/// What a change of the filter needs.
#[derive(Debug)]
pub(super) enum FilterStep {
    /// The open connection can stay.
    InPlace(Arc<Filter>),
    /// The server must be asked again.
    Reconnect,
}

/// When the filter was changed last.
#[derive(Debug, Default)]
pub(super) struct FilterPace {
    updated: Cell<Option<Instant>>,
    reconnected: Cell<Option<Instant>>,
}

impl FilterPace {
    /// Returns from when on a change may be made that needs another connection, or that does not.
    fn allows(&self, reconnects: bool) -> Option<Instant> {
        let update = self.updated.get().map(|at| at + UPDATE_EVERY);
        let reconnect = self.reconnected.get().map(|at| at + RECONNECT_EVERY);
        if reconnects { update.max(reconnect) } else { update }
    }
}

impl Reader {
    /// Returns the filter to change to, if it is not in force.
    fn next_filter(&self) -> Option<Arc<Filter>> {
        if self.is_switching() {
            return None;
        }
        let newest = match (&self.side, self.filters.newest()) {
            (None, newest) => newest?,
            (Some(lists), Some(newest)) => lists.want(&newest),
            (Some(lists), None) => lists.live(),
        };
        let now = self.client.filter();
        if Arc::ptr_eq(&newest, &now) {
            return None;
        }
        if newest.lists_equal(&now) {
            // The next comparison is one of pointers: a backfill makes one at each step, and this one
            // takes a millisecond for 10,000 accounts.
            self.client.set_filter(newest);
            return None;
        }
        Some(newest)
    }

    /// Waits until the filter is to change, and returns what that needs. `protocol` is that of the
    /// open connection; `None` if it can't stay, whatever changes.
    pub(super) async fn filter_step(
        &self,
        protocol: Option<Protocol>,
        pace: &FilterPace,
    ) -> FilterStep {
        let mut updates = self.filters.subscribe();
        let mut lists = self.side.as_ref().map(|lists| lists.subscribe());
        loop {
            updates.borrow_and_update();
            if let Some(lists) = &mut lists {
                lists.borrow_and_update();
            }
            let Some(next) = self.next_filter() else {
                tokio::select! {
                    () = told(Some(&mut updates)) => {}
                    () = told(lists.as_mut()) => {}
                }
                continue;
            };
            let now = self.client.filter();
            let stays = protocol.is_some_and(|protocol| {
                now.requests_equal(&next) || (protocol == Protocol::V1 && now.requests_cover(&next))
            });
            if let Some(at) = pace.allows(!stays) {
                tokio::select! {
                    () = sleep_until(at) => {}
                    changed = updates.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => sleep_until(at).await,
                    },
                }
            }
            return if stays { FilterStep::InPlace(next) } else { FilterStep::Reconnect };
        }
    }

    /// Changes the filter on the open connection if that sends all that the new filter wants.
    ///
    /// # Errors
    /// [`Disconnect::FilterChanged`] if it does not.
    pub(super) fn take_filter_step(
        &self,
        step: FilterStep,
        stream: &mut EventConnection,
        pace: &FilterPace,
    ) -> Result<(), Disconnect> {
        let FilterStep::InPlace(filter) = step else { return Err(Disconnect::FilterChanged) };
        self.send_filter(Arc::clone(&filter), stream.info())?;
        if stream.protocol() == Protocol::V1 && !self.client.filter().requests_equal(&filter) {
            let subscription = Subscription::new(&filter, RequestedCursor::Live, false);
            stream.update_filter(subscription.filter_update);
        }
        self.client.set_filter(filter);
        pace.updated.set(Some(Instant::now()));
        Ok(())
    }

    /// Changes the filter between two connections, if it is to change.
    pub(super) async fn change_between(&self, retry: &mut RetryState) -> Result<(), Disconnect> {
        let Some(filter) = self.next_filter() else { return Ok(()) };
        let server = self.endpoints.get(retry.current).map(|endpoint| Arc::clone(&endpoint.label));
        let origin = Origin {
            server: server.unwrap_or_else(|| "".into()),
            kind: ServerKind::Legacy,
            filter_fingerprint: 0,
        };
        let connection = Arc::new(ConnectionInfo::v1(0, origin, RequestedCursor::Live));
        self.send_filter(Arc::clone(&filter), connection)?;
        // The next request begins at the position of the change.
        tokio::select! {
            drained = self.sender.drained() => drained?,
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        }
        self.client.set_filter(filter);
        // What was scanned was scanned for the old filter.
        retry.scanned = None;
        retry.empty_replay = None;
        retry.filter_pace.updated.set(Some(Instant::now()));
        Ok(())
    }

    fn send_filter(
        &self,
        filter: Arc<Filter>,
        connection: Arc<ConnectionInfo>,
    ) -> Result<(), Disconnect> {
        let additions = self.side.as_ref().map(|lists| lists.additions());
        self.sender.send(Item { additions, ..Item::filter_change(filter, connection) })?;
        Ok(())
    }

    /// Notes that a connection was ended for a change of the filter. A backfill continues at the
    /// position.
    pub(super) fn on_filter_changed(&self, retry: &mut RetryState) {
        retry.filter_pace.reconnected.set(Some(Instant::now()));
        let Some(beginning) = retry.interrupted_backfill.take() else { return };
        let newest = self.feedback.get().and_then(|position| position.newest.seq);
        let start = newest.map_or(beginning, |seq| BackfillStart::After(seq.0));
        let replaced_rate = retry.replaced_rate;
        retry.set_backfill(start, replaced_rate);
    }
}

/// Waits for a change; forever if there is nothing that could change any more.
async fn told<T>(changes: Option<&mut watch::Receiver<T>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
