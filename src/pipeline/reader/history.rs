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
use crate::source::{Asked, Connection};

use super::super::channel::Item;
use super::attempts::Attempts;
use super::{Ended, ReadError, Reader};

/// Sweeps in a row without anything new, after which the archive is given up (§7).
const MOST_SWEEPS: u32 = 5;

impl Reader {
    /// Whether a server may have an archive, as far as is known.
    pub(super) fn may_have_archive(&self, endpoint: &Endpoint, attempts: &Attempts) -> bool {
        let is_useless = attempts.without_archive.get(attempts.endpoint).copied().unwrap_or(true);
        self.archive.is_wanted
            && !is_useless
            && attempts.known_kind() != Some(ServerKind::Legacy)
            && self.client.may_have_archive(endpoint)
    }

    /// Where to begin in the archive, if that is where to go now.
    pub(super) fn beginning_in_archive(
        &self,
        endpoint: &Endpoint,
        asked: Asked,
        attempts: &mut Attempts,
    ) -> Option<Beginning> {
        let past = attempts.past.take();
        if !self.may_have_archive(endpoint, attempts) {
            return None;
        }
        let was_swept = attempts.swept.get(attempts.endpoint).copied().unwrap_or(false);
        match (past, asked) {
            (Some(past), _) => Some(past),
            // The stream's oldest event is not the oldest that there is.
            (None, Asked::Oldest) if !was_swept => Some(Beginning::After(0)),
            (None, _) => None,
        }
    }

    /// Reads the archive into the channel, to its end.
    pub(super) async fn sweep(
        &self,
        endpoint: &Endpoint,
        beginning: Beginning,
        attempts: &mut Attempts,
    ) -> Result<(), Ended> {
        attempts.number += 1;
        let begun = self.client.sweep(
            endpoint,
            beginning,
            self.archive.key.clone(),
            self.archive.parallelism,
        );
        let mut sweep = tokio::select! {
            begun = begun => begun?,
            () = self.stop.requested() => return Err(Ended::Stopped),
        };
        attempts.know(ServerKind::V2);
        attempts.was_sound = true;
        attempts.any_success = true;
        self.metrics.connected.set(1);
        self.metrics.protocol.set(2);
        let server = Arc::clone(&endpoint.label);
        tracing::info!(%server, %beginning, tip = sweep.tip(), "reading the archive");
        let connection = Arc::new(Connection {
            number: attempts.number,
            origin: Origin { server, kind: ServerKind::V2, stream: self.client.archive_stream() },
            asked: Asked::Past,
            protocol: Protocol::V2,
            shape: self.client.shape,
            is_clamped: false,
        });
        let ended = self.hand_on(&mut sweep, &connection, attempts).await;
        sweep.end().await;
        ended
    }

    async fn hand_on(
        &self,
        sweep: &mut Sweep,
        connection: &Arc<Connection>,
        attempts: &mut Attempts,
    ) -> Result<(), Ended> {
        loop {
            let step = tokio::select! {
                biased;
                () = self.stop.requested() => return Err(Ended::Stopped),
                step = sweep.next() => step?,
            };
            let Some(Step { gap, batch, through }) = step else { return Err(Ended::Swept) };
            attempts.backoff.reset();
            attempts.failures = 0;
            tokio::select! {
                biased;
                () = self.stop.requested() => return Err(Ended::Stopped),
                room = self.sender.has_room(&batch) => room?,
            }
            self.sender.send(Item { batch, connection: Arc::clone(connection), gap, through })?;
        }
    }

    /// The archive was read to its end: the stream is next.
    pub(super) fn was_swept(&self, attempts: &mut Attempts) -> Result<Duration, ReadError> {
        attempts.mark(|a| &mut a.swept);
        if self.is_standing(attempts) {
            let what = "the archive holds nothing beyond, and the live stream begins later";
            return self.sweep_again(what, attempts);
        }
        tracing::info!("the archive was read to its end; going on with the live stream");
        Ok(Duration::ZERO)
    }

    /// Whether the output stands where it stood after the sweep before.
    fn is_standing(&self, attempts: &mut Attempts) -> bool {
        let newest = self.stand.get().map(|position| position.newest);
        let (before, times) = attempts.sweeps;
        let stands = times > 0 && newest == before;
        attempts.sweeps = (newest, if stands { times + 1 } else { 1 });
        stands
    }

    /// A sweep that brought nothing new is tried again some times.
    fn sweep_again(&self, what: &str, attempts: &mut Attempts) -> Result<Duration, ReadError> {
        if attempts.sweeps.1 < MOST_SWEEPS {
            return self.reconnect(attempts, &what, None);
        }
        tracing::warn!(
            "{what}, {MOST_SWEEPS} times in a row; going on with the oldest event of the live stream"
        );
        attempts.mark(|a| &mut a.without_archive);
        attempts.mark(|a| &mut a.left_out);
        Ok(Duration::ZERO)
    }

    /// Decides what a sweep that did not reach its end means.
    pub(super) fn judge_archive(
        &self,
        server: Arc<str>,
        error: SweepError,
        attempts: &mut Attempts,
    ) -> Result<Duration, ReadError> {
        if matches!(error, SweepError::Stale(_) | SweepError::Plan(PlanError::NoProgress { .. })) {
            attempts.was_sound = true;
            self.is_standing(attempts);
            return self.sweep_again(&format!("the archive: {error}"), attempts);
        }
        if error.is_passing() {
            let wait = error.wait();
            return self.reconnect(attempts, &Ended::Archive(error), wait);
        }
        if self.archive.key.is_some() && error.refused_with().is_some() {
            attempts.mark(|a| &mut a.refusing);
            if attempts.refusing.iter().all(|refuses| *refuses) {
                return Err(ReadError::Archive { server, error: Box::new(error) });
            }
            return self.reconnect(attempts, &Ended::Archive(error), None);
        }
        attempts.mark(|a| &mut a.without_archive);
        let then = "going on with the oldest event of the live stream";
        // A server without this endpoint has no archive, so there is nothing to leave out.
        if !matches!(error.refused_with(), Some(404 | 405 | 501)) {
            attempts.mark(|a| &mut a.left_out);
        }
        match error.refused_with() {
            Some(401 | 403) => tracing::warn!(
                %server,
                "the archive wants a key ({error}): give one with --api-key-file or SKYTAIL_API_KEY; {then}"
            ),
            // Whoever is not known to speak v2 may be a legacy server, which has none.
            Some(_) if attempts.known_kind().is_none() => {
                tracing::info!(%server, "no archive here ({error})");
            }
            Some(_) => tracing::warn!(%server, "no archive here ({error}); {then}"),
            None => tracing::warn!(%server, "the archive can't be used: {error}; {then}"),
        }
        Ok(Duration::ZERO)
    }
}
