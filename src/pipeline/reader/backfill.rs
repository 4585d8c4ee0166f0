//! The past of a v2 server: when the reader goes to the archive instead of the stream, and
//! back again (protocol/jetstream-v2-archive.md §7).
//!
//! A sweep hands on lines and positions as a connection does, with seqs of the same server. So
//! the cutover is nothing special: when the sweep has ended, the stream is asked from where the
//! output stands, inclusively, and what was written is recognised. If the stream begins later
//! by then, the archive has more by then, too.

use std::sync::Arc;
use std::time::Duration;

use crate::position::{Origin, ServerKind};
use crate::source::archive::plan::PlanError;
use crate::source::archive::sweep::Sweep;
use crate::source::archive::{Beginning, Step, SweepError};
use crate::source::endpoint::Endpoint;
use crate::source::protocol::Protocol;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::super::channel::Item;
use super::retry::RetryState;
use super::{Disconnect, ReadError, Reader};

/// Sweeps in a row without anything new, after which the archive is given up (§7).
const MAX_BACKFILL_ATTEMPTS: u32 = 5;

impl Reader {
    /// Whether a server may have an archive, as far as is known.
    pub(super) fn may_have_archive(&self, endpoint: &Endpoint, retry: &RetryState) -> bool {
        let is_useless = retry.without_archive.get(retry.endpoint).copied().unwrap_or(true);
        self.archive.is_wanted
            && !is_useless
            && retry.known_kind() != Some(ServerKind::Legacy)
            && self.client.may_have_archive(endpoint)
    }

    /// Where to begin in the archive, if that is where to go now.
    pub(super) fn backfill_start(
        &self,
        endpoint: &Endpoint,
        asked: RequestedCursor,
        retry: &mut RetryState,
    ) -> Option<Beginning> {
        let past = retry.past.take();
        if !self.may_have_archive(endpoint, retry) {
            return None;
        }
        let was_swept = retry.swept.get(retry.endpoint).copied().unwrap_or(false);
        match (past, asked) {
            (Some(past), _) => Some(past),
            // The stream's oldest event is not the oldest that there is.
            (None, RequestedCursor::Oldest) if !was_swept => Some(Beginning::After(0)),
            (None, _) => None,
        }
    }

    /// Reads the archive into the channel, to its end.
    pub(super) async fn backfill(
        &self,
        endpoint: &Endpoint,
        beginning: Beginning,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        retry.number += 1;
        let begun = self.client.sweep(
            endpoint,
            beginning,
            self.archive.key.clone(),
            self.archive.parallelism,
        );
        let mut sweep = tokio::select! {
            begun = begun => begun?,
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        };
        retry.set_kind(ServerKind::V2);
        retry.was_sound = true;
        retry.any_success = true;
        self.metrics.connected.set(1);
        self.metrics.protocol.set(2);
        let server = Arc::clone(&endpoint.label);
        tracing::info!(%server, %beginning, tip = sweep.tip(), "reading the archive");
        let connection = Arc::new(ConnectionInfo {
            number: retry.number,
            origin: Origin {
                server,
                kind: ServerKind::V2,
                stream: self.client.archive_fingerprint(),
            },
            requested: RequestedCursor::Archive,
            protocol: Protocol::V2,
            shape: self.client.shape,
            is_clamped: false,
        });
        let ended = self.forward_backfill(&mut sweep, &connection, retry).await;
        sweep.end().await;
        ended
    }

    async fn forward_backfill(
        &self,
        sweep: &mut Sweep,
        connection: &Arc<ConnectionInfo>,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        loop {
            let step = tokio::select! {
                biased;
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                step = sweep.next() => step?,
            };
            let Some(Step { gap, batch, through }) = step else {
                return Err(Disconnect::BackfillComplete);
            };
            retry.backoff.reset();
            retry.failures = 0;
            tokio::select! {
                biased;
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                room = self.sender.has_room(&batch) => room?,
            }
            self.sender.send(Item { batch, connection: Arc::clone(connection), gap, through })?;
        }
    }

    /// The archive was read to its end: the stream is next.
    pub(super) fn on_backfill_complete(
        &self,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        retry.mark(|a| &mut a.swept);
        if self.backfill_made_no_progress(retry) {
            let what = "the archive holds nothing beyond, and the live stream begins later";
            return self.retry_backfill(what, retry);
        }
        tracing::info!("the archive was read to its end; going on with the live stream");
        Ok(Duration::ZERO)
    }

    /// Whether the output stands where it stood after the sweep before.
    fn backfill_made_no_progress(&self, retry: &mut RetryState) -> bool {
        let newest = self.feedback.get().map(|position| position.newest);
        let (before, times) = retry.sweeps;
        let stands = times > 0 && newest == before;
        retry.sweeps = (newest, if stands { times + 1 } else { 1 });
        stands
    }

    /// A sweep that brought nothing new is tried again some times.
    fn retry_backfill(&self, what: &str, retry: &mut RetryState) -> Result<Duration, ReadError> {
        if retry.sweeps.1 < MAX_BACKFILL_ATTEMPTS {
            return self.reconnect(retry, &what, None);
        }
        tracing::warn!(
            "{what}, {MAX_BACKFILL_ATTEMPTS} times in a row; going on with the oldest event of the live stream"
        );
        retry.mark(|a| &mut a.without_archive);
        retry.mark(|a| &mut a.left_out);
        Ok(Duration::ZERO)
    }

    /// Decides what a sweep that did not reach its end means.
    pub(super) fn on_archive_error(
        &self,
        server: Arc<str>,
        error: SweepError,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        if matches!(error, SweepError::Stale(_) | SweepError::Plan(PlanError::NoProgress { .. })) {
            retry.was_sound = true;
            self.backfill_made_no_progress(retry);
            return self.retry_backfill(&format!("the archive: {error}"), retry);
        }
        if error.is_passing() {
            let wait = error.wait();
            return self.reconnect(retry, &Disconnect::Archive(error), wait);
        }
        if self.archive.key.is_some() && error.refused_with().is_some() {
            retry.mark(|a| &mut a.refusing);
            if retry.refusing.iter().all(|refuses| *refuses) {
                return Err(ReadError::Archive { server, error: Box::new(error) });
            }
            return self.reconnect(retry, &Disconnect::Archive(error), None);
        }
        retry.mark(|a| &mut a.without_archive);
        let then = "going on with the oldest event of the live stream";
        // A server without this endpoint has no archive, so there is nothing to leave out.
        if !matches!(error.refused_with(), Some(404 | 405 | 501)) {
            retry.mark(|a| &mut a.left_out);
        }
        match error.refused_with() {
            Some(401 | 403) => tracing::warn!(
                %server,
                "the archive wants a key ({error}): give one with --api-key-file or SKYTAIL_API_KEY; {then}"
            ),
            // Whoever is not known to speak v2 may be a legacy server, which has none.
            Some(_) if retry.known_kind().is_none() => {
                tracing::info!(%server, "no archive here ({error})");
            }
            Some(_) => tracing::warn!(%server, "no archive here ({error}); {then}"),
            None => tracing::warn!(%server, "the archive can't be used: {error}; {then}"),
        }
        Ok(Duration::ZERO)
    }
}
