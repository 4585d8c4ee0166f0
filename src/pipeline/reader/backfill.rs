//! When the reader goes to the archive of a v2 server instead of its stream, and back again
//! (protocol/jetstream-v2-archive.md §7).
//!
//! A backfill passes on lines and positions as a connection does, with seqs of the same server.
//! So the cutover is an ordinary resume: at the end of the backfill the stream is asked for the
//! position, inclusively, and the event that was written is recognised. If the stream starts
//! later by then, the archive holds more by then, too.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::Interval;

use crate::position::ServerKind;
use crate::settings::{Archive, ArchiveMode};
use crate::source::archive::backfill::Backfill;
use crate::source::archive::bounds::{BackfillEnd, BackfillLimits};
use crate::source::archive::plan::PlanError;
use crate::source::archive::{BackfillError, BackfillStart, BackfillStep};
use crate::source::endpoint::Endpoint;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::super::channel::Item;
use super::super::shutdown::StopReason;
use super::archive_choice::BackfillMonitor;
use super::retry::RetryState;
use super::work_budget::WorkBudget;
use super::{Disconnect, ReadError, Reader};

/// Backfills in a row without anything new, after which the archive is given up (§7).
const MAX_BACKFILL_ATTEMPTS: u32 = 5;

/// Time between two looks at the rate of a backfill.
const TICK: Duration = Duration::from_millis(500);

impl Reader {
    /// Returns whether the present server may have an archive that can be used.
    pub(super) fn may_have_archive(&self, endpoint: &Endpoint, retry: &RetryState) -> bool {
        self.archive.mode != ArchiveMode::Off
            && retry.endpoint().is_some_and(|endpoint| !endpoint.archive_unusable)
            && retry.known_kind() != Some(ServerKind::Legacy)
            && self.client.may_have_archive(endpoint)
    }

    /// Returns where to start in the archive, if that is where to read next.
    pub(super) fn backfill_start(
        &self,
        endpoint: &Endpoint,
        requested: RequestedCursor,
        retry: &mut RetryState,
    ) -> Option<BackfillStart> {
        let pending = retry.pending_backfill.take();
        if let Some((_, origin)) = self.archive.stripe {
            // The live stream is no part of a stripe.
            let newest = self.feedback.get().and_then(|position| position.newest.seq);
            return Some(newest.map_or(origin, |seq| BackfillStart::After(seq.0)));
        }
        if pending.is_none() {
            retry.replaced_rate = None;
        }
        if !self.may_have_archive(endpoint, retry) {
            return None;
        }
        let is_done = retry.endpoint().is_some_and(|endpoint| endpoint.backfilled);
        match (pending, requested) {
            (Some(pending), _) => Some(pending),
            // The archive has older events than the stream.
            (None, RequestedCursor::Oldest) if !is_done => Some(BackfillStart::After(0)),
            (None, _) => None,
        }
    }

    /// Reads the archive to its end into the channel.
    pub(super) async fn backfill(
        &self,
        endpoint: &Endpoint,
        beginning: BackfillStart,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        retry.number += 1;
        let (key, limits) = (self.archive.key.clone(), self.backfill_limits());
        let begun = self.client.start_backfill(endpoint, beginning, key, &limits);
        let mut backfill = tokio::select! {
            begun = begun => match begun {
                Err(BackfillError::BudgetSpent) => {
                    return self.stop_after_drain(StopReason::ArchiveBudget).await;
                }
                begun => begun?,
            },
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        };
        retry.set_kind(ServerKind::V2);
        retry.was_sound = true;
        retry.any_success = true;
        self.metrics.connected.set(1);
        self.metrics.protocol.set(2);
        let server = Arc::clone(&endpoint.label);
        tracing::info!(%server, %beginning, tip = backfill.tip(), "reading the archive");
        let connection = Arc::new(self.client.archive_connection(retry.number, server));
        let ended = self.forward_backfill(&mut backfill, &connection, retry).await;
        if matches!(ended, Err(Disconnect::FilterChanged)) {
            retry.interrupted_backfill = Some(beginning);
        }
        backfill.end().await;
        ended
    }

    async fn forward_backfill(
        &self,
        backfill: &mut Backfill,
        connection: &Arc<ConnectionInfo>,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut work = WorkBudget::new();
        let mut monitor = BackfillMonitor::new(
            retry.replaced_rate,
            Instant::now(),
            self.metrics.backfill.at_seq.get(),
        );
        let mut tick = tokio::time::interval(TICK);
        loop {
            let step = match self.next_step(backfill, &mut monitor, &mut tick, retry).await {
                Err(Disconnect::Archive(BackfillError::BudgetSpent)) => {
                    return self.stop_after_drain(StopReason::ArchiveBudget).await;
                }
                step => step?,
            };
            retry.backfill_rate = monitor.rate();
            let Some(BackfillStep { gap, batch, through }) = step else {
                return match backfill.end_kind() {
                    BackfillEnd::SealedTip => Err(Disconnect::BackfillComplete),
                    BackfillEnd::Until => self.stop_after_drain(StopReason::Until).await,
                    BackfillEnd::Stripe => self.stop_after_drain(StopReason::ArchiveStripe).await,
                };
            };
            if let (Some(gap), Some(_)) = (&gap, retry.replaced_rate) {
                return Err(Disconnect::ArchiveGap(gap.to_string()));
            }
            retry.backoff.reset();
            retry.failures = 0;
            let waiting = Instant::now();
            tokio::select! {
                biased;
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                room = self.sender.has_room(&batch) => room?,
            }
            monitor.exclude(waiting.elapsed());
            let connection = Arc::clone(connection);
            self.sender.send(Item { gap, through, ..Item::lines(batch, connection) })?;
            if let Some(spare) = self.sender.take_spare() {
                backfill.recycle(spare);
            }
            work.yield_if_spent().await;
        }
    }

    fn backfill_limits(&self) -> BackfillLimits {
        let Archive { parallelism, max_bytes, stripe, .. } = self.archive;
        BackfillLimits { parallelism, max_bytes, until: self.until, stripe }
    }

    /// Stops the run after everything that was passed on is written.
    async fn stop_after_drain(&self, reason: StopReason) -> Result<(), Disconnect> {
        tokio::select! {
            drained = self.sender.drained() => drained?,
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        }
        self.stop.request(reason);
        Err(Disconnect::Stopped)
    }

    /// Waits for the next step of a backfill, and checks its rate at each tick.
    async fn next_step(
        &self,
        backfill: &mut Backfill,
        monitor: &mut BackfillMonitor,
        tick: &mut Interval,
        retry: &RetryState,
    ) -> Result<Option<BackfillStep>, Disconnect> {
        // One future for all ticks: a request that takes longer than a tick must not begin again.
        let mut next = pin!(backfill.next());
        // The pool that decodes blocks has the filter, too.
        let mut filter_step = pin!(self.filter_step(None, &retry.filter_pace));
        loop {
            tokio::select! {
                biased;
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                _ = tick.tick() => {
                    monitor.observe(Instant::now(), self.metrics.backfill.at_seq.get())?;
                }
                _ = &mut filter_step => return Err(Disconnect::FilterChanged),
                step = &mut next => return Ok(step?),
            }
        }
    }

    /// Continues with the stream after the archive was read to its end.
    pub(super) fn on_backfill_complete(
        &self,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        retry.update_endpoint(|endpoint| endpoint.backfilled = true);
        if retry.replaced_rate.is_some() {
            self.on_preferred_end(retry, true);
            tracing::info!("the archive was read to its end; continuing with the live stream");
            return Ok(Duration::ZERO);
        }
        if self.backfill_made_no_progress(retry) {
            let what = "the archive holds nothing newer, and the live stream begins later";
            return self.retry_backfill(what, retry);
        }
        tracing::info!("the archive was read to its end; continuing with the live stream");
        Ok(Duration::ZERO)
    }

    /// Returns whether the position is still where the backfill before this one ended.
    fn backfill_made_no_progress(&self, retry: &mut RetryState) -> bool {
        let newest = self.feedback.get().map(|position| position.newest);
        let (before, times) = retry.backfill_attempts;
        let is_stalled = times > 0 && newest == before;
        retry.backfill_attempts = (newest, if is_stalled { times + 1 } else { 1 });
        is_stalled
    }

    /// Repeats a backfill that brought nothing new, up to [`MAX_BACKFILL_ATTEMPTS`] times.
    fn retry_backfill(&self, what: &str, retry: &mut RetryState) -> Result<Duration, ReadError> {
        if retry.backfill_attempts.1 < MAX_BACKFILL_ATTEMPTS {
            return self.reconnect(retry, &what, None);
        }
        if self.archive.stripe.is_some() {
            let server = self
                .endpoints
                .get(retry.current)
                .map_or_else(|| "?".into(), |endpoint| Arc::clone(&endpoint.label));
            return Err(ReadError::Stripe { server, error: what.to_owned() });
        }
        tracing::warn!(
            "{what}, {MAX_BACKFILL_ATTEMPTS} times in a row; continuing with the oldest event of the live stream"
        );
        retry.update_endpoint(|endpoint| {
            endpoint.archive_unusable = true;
            endpoint.archive_skipped = true;
        });
        Ok(Duration::ZERO)
    }

    /// Decides what to do after a backfill that did not reach its end.
    pub(super) fn on_archive_error(
        &self,
        server: Arc<str>,
        error: BackfillError,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        if retry.replaced_rate.is_some() {
            // The live stream has the same events, so nothing is skipped.
            self.on_preferred_end(retry, false);
            tracing::warn!(%server, "the archive: {error}; continuing with the live stream");
            return Ok(Duration::ZERO);
        }
        if matches!(
            error,
            BackfillError::Stale(_) | BackfillError::Plan(PlanError::NoProgress { .. })
        ) {
            retry.was_sound = true;
            self.backfill_made_no_progress(retry);
            return self.retry_backfill(&format!("the archive: {error}"), retry);
        }
        if error.is_transient() {
            let wait = error.retry_after();
            return self.retry_later(retry, &Disconnect::Archive(error), wait);
        }
        if self.archive.stripe.is_some() {
            return Err(ReadError::Stripe { server, error: error.to_string() });
        }
        if self.archive.key.is_some() && error.refused_status().is_some() {
            retry.update_endpoint(|endpoint| endpoint.refuses = true);
            if retry.others_refuse() {
                return Err(ReadError::Archive { server, error: Box::new(error) });
            }
            return self.reconnect(retry, &Disconnect::Archive(error), None);
        }
        let then = "continuing with the oldest event of the live stream";
        // A server without this endpoint has no archive, so nothing of it is skipped.
        let has_none = matches!(error.refused_status(), Some(404 | 405 | 501));
        retry.update_endpoint(|endpoint| {
            endpoint.archive_unusable = true;
            endpoint.archive_skipped |= !has_none;
        });
        match error.refused_status() {
            Some(401 | 403) => tracing::warn!(
                %server,
                "the archive wants a key ({error}): give one with --api-key-file or SKYTAIL_API_KEY; {then}"
            ),
            // A server that is not known to speak v2 may be a legacy one, which has no archive.
            Some(_) if retry.known_kind().is_none() => {
                tracing::info!(%server, "no archive here ({error})");
            }
            Some(_) => tracing::warn!(%server, "no archive here ({error}); {then}"),
            None => tracing::warn!(%server, "the archive can't be used: {error}; {then}"),
        }
        Ok(Duration::ZERO)
    }
}
