//! From one connection to the next: which server, from which cursor, after which wait, and when
//! to give up.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::position::{EventPosition, Seq, ServerKind, StartPosition, TimeUs};
use crate::settings::{CompressMode, MaxRetries};
use crate::source::RequestedCursor;
use crate::source::archive::BackfillStart;
use crate::source::backoff::Backoff;
use crate::source::connection::StreamError;
use crate::source::endpoint::Endpoint;

use super::endpoint_state::EndpointState;
use super::filter_change::FilterPace;
use super::next_action::{Facts, Learned, NextAction, next_action};
use super::rewind::{MIN_MARGIN_US, after_archive, resume_cursor};
use super::{Disconnect, ReadError, Reader};

/// Failed attempts in a row, before any connection has worked, after which a run gives up by
/// default: half a minute, long enough for a network that comes up, short enough for a typo.
const FIRST_RETRIES: u32 = 8;

/// What the reader remembers between connections.
#[derive(Debug)]
pub(super) struct RetryState {
    /// The number of the latest connection; the first has 1.
    pub(super) number: u64,
    /// The index of the present server.
    pub(super) current: usize,
    pub(super) endpoints: Vec<EndpointState>,
    pub(super) backoff: Backoff,
    /// Failed attempts since the last event.
    pub(super) failures: u32,
    /// When a run that started at the live tip connected first. Every later event belongs to
    /// the run, though none may have come yet.
    pub(super) live_since: Option<TimeUs>,
    /// The position when a server's sequence numbers contradicted it. Until the position has
    /// moved on, that server is asked by time.
    pub(super) renumbered: Option<EventPosition>,
    /// The position at the end of the last connection, and the number of connections in a row
    /// that ended there although they had brought events.
    pub(super) stalled: (Option<EventPosition>, u32),
    /// The server's dictionary is not here.
    pub(super) compression_disabled: bool,
    /// What the latest connection asked for.
    pub(super) requested: RequestedCursor,
    /// What the last replay asked for that reached its limit without an event. The same request
    /// would bring nothing again.
    pub(super) empty_replay: Option<RequestedCursor>,
    /// The time of the live stream's first event, if a join has received one.
    pub(super) tip: Option<TimeUs>,
    /// The index of a legacy server, and the time up to which it has sent everything: nothing
    /// before that must be scanned again, however old the position is.
    pub(super) scanned: Option<(usize, TimeUs)>,
    /// A legacy server dropped the last replay because it was too slow. The next one asks for
    /// as little as is safe.
    pub(super) replay_cut: bool,
    /// A sequence number that a server refused as older than what it holds.
    pub(super) too_old: Option<Seq>,
    /// Where to start in the archive of the present server, because its stream starts later.
    pub(super) pending_backfill: Option<BackfillStart>,
    /// Seqs per second of the live replay in whose place the archive is read; `None` if the stream
    /// can't serve what is read.
    pub(super) replaced_rate: Option<u64>,
    /// Seqs per second of the last backfill, until that is recorded.
    pub(super) backfill_rate: Option<u64>,
    /// The position at the end of the last backfill, and the number of backfills in a row that
    /// ended there.
    pub(super) backfill_attempts: (Option<EventPosition>, u32),
    /// Where the backfill started that a change of the filter has interrupted.
    pub(super) interrupted_backfill: Option<BackfillStart>,
    /// When the filter was changed last.
    pub(super) filter_pace: FilterPace,
    /// Whether the connection that just ended had brought an event.
    pub(super) was_sound: bool,
    /// Whether any connection of the run had.
    pub(super) any_success: bool,
    /// Whether the log says that no server can be reached.
    pub(super) has_logged_unreachable: bool,
    pub(super) rng: fastrand::Rng,
}

impl RetryState {
    fn new(endpoints: Vec<EndpointState>, current: usize) -> Self {
        Self {
            number: 0,
            current,
            endpoints,
            backoff: Backoff::new(),
            failures: 0,
            live_since: None,
            renumbered: None,
            stalled: (None, 0),
            compression_disabled: false,
            requested: RequestedCursor::Live,
            empty_replay: None,
            tip: None,
            scanned: None,
            replay_cut: false,
            too_old: None,
            pending_backfill: None,
            replaced_rate: None,
            backfill_rate: None,
            backfill_attempts: (None, 0),
            interrupted_backfill: None,
            filter_pace: FilterPace::default(),
            was_sound: false,
            any_success: false,
            has_logged_unreachable: false,
            rng: fastrand::Rng::new(),
        }
    }

    /// Returns the state of the present server. The list is never empty.
    pub(super) fn endpoint(&self) -> Option<&EndpointState> {
        self.endpoints.get(self.current)
    }

    /// Changes the state of the present server.
    pub(super) fn update_endpoint(&mut self, update: impl FnOnce(&mut EndpointState)) {
        if let Some(endpoint) = self.endpoints.get_mut(self.current) {
            update(endpoint);
        }
    }

    /// Returns the kind of the present server, if it is known.
    pub(super) fn known_kind(&self) -> Option<ServerKind> {
        self.endpoint().and_then(|endpoint| endpoint.kind)
    }

    /// Sets where to start in the archive of the present server, and the rate of the live replay
    /// that this replaces.
    pub(super) fn set_backfill(&mut self, start: BackfillStart, replaced_rate: Option<u64>) {
        self.pending_backfill = Some(start);
        self.replaced_rate = replaced_rate;
    }

    pub(super) fn set_kind(&mut self, kind: ServerKind) {
        self.update_endpoint(|endpoint| endpoint.kind = Some(kind));
    }

    /// Notes that the connection brought an event.
    pub(super) fn on_event(&mut self, kind: ServerKind) {
        self.was_sound = true;
        self.any_success = true;
        self.failures = 0;
        self.backoff.reset();
        self.set_kind(kind);
    }

    /// Returns whether every server but the present one refuses for good.
    pub(super) fn others_refuse(&self) -> bool {
        let mut others = self.endpoints.iter().enumerate().filter(|(i, _)| *i != self.current);
        others.all(|(_, endpoint)| endpoint.refuses)
    }

    /// Moves on to the next server that does not refuse for good.
    fn next_endpoint(&mut self) {
        let count = self.endpoints.len();
        let mut next = (1..=count).map(|step| (self.current + step) % count);
        let usable = |i: &usize| self.endpoints.get(*i).is_some_and(|endpoint| !endpoint.refuses);
        self.current = next.find(usable).unwrap_or(self.current);
    }
}

impl Reader {
    pub(super) fn initial_retry_state(&self) -> RetryState {
        let mut endpoints: Vec<_> =
            self.endpoints.iter().map(|_| EndpointState::default()).collect();
        // The server that a saved position names comes first: only there it is exact.
        let StartPosition::Resume(resume) = &self.start else {
            return RetryState::new(endpoints, 0);
        };
        let origin = &resume.position.origin;
        let saved = self.endpoints.iter().position(|endpoint| endpoint.label == origin.server);
        if let Some(endpoint) = saved.and_then(|saved| endpoints.get_mut(saved)) {
            endpoint.kind = Some(origin.kind);
        }
        RetryState::new(endpoints, saved.unwrap_or(0))
    }

    /// Returns where to ask a server to start: always from the newest position there is.
    pub(super) fn requested_cursor(
        &self,
        endpoint: &Endpoint,
        retry: &RetryState,
    ) -> RequestedCursor {
        let rewind_us = self.limits.rewind_us;
        let has_seq = !retry.endpoint().is_some_and(|endpoint| endpoint.lacks_seq);
        let saved = match &self.start {
            StartPosition::Resume(resume) => Some(resume.position.clone()),
            _ => None,
        };
        match (self.feedback.get().or(saved), &self.start) {
            (Some(position), _) => {
                let has_seq = has_seq && retry.renumbered != Some(position.newest);
                let margin_us = if retry.replay_cut { MIN_MARGIN_US } else { rewind_us };
                after_archive(&position, endpoint, self.client.archive_fingerprint())
                    .filter(|_| has_seq)
                    .unwrap_or_else(|| {
                        let margin_us = margin_us.min(rewind_us);
                        resume_cursor(&position, endpoint, rewind_us, margin_us, has_seq)
                    })
            }
            (None, StartPosition::Live | StartPosition::Resume(_)) => match retry.live_since {
                None => RequestedCursor::Live,
                Some(since) => RequestedCursor::Instant(since.minus_us(rewind_us)),
            },
            (None, StartPosition::Oldest) => RequestedCursor::Oldest,
            (None, StartPosition::Time(instant)) => RequestedCursor::Instant(*instant),
            (None, StartPosition::Seq(seq)) => RequestedCursor::Seq(*seq),
        }
    }

    /// Decides what a disconnect means; returns the wait before the next connection.
    pub(super) fn classify_disconnect(
        &self,
        disconnect: Disconnect,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        let server = self.endpoints.get(retry.current).map(|e| Arc::clone(&e.label));
        let server = server.unwrap_or_else(|| "".into());
        let disconnect = match disconnect {
            Disconnect::BackfillComplete => return self.on_backfill_complete(retry),
            Disconnect::Archive(error) => return self.on_archive_error(server, error, retry),
            disconnect => disconnect,
        };
        match next_action(&disconnect, &self.facts(&disconnect, retry)) {
            NextAction::GiveUp => Err(ReadError::new(server, disconnect)),
            NextAction::ConnectNow(learned) => {
                self.learn(learned, &server, &disconnect, retry);
                Ok(Duration::ZERO)
            }
            NextAction::BackOff(learned) => {
                self.learn(learned, &server, &disconnect, retry);
                let retry_after = match (&disconnect, learned) {
                    (Disconnect::Connect(error), Learned::Nothing) => error.retry_after(),
                    _ => None,
                };
                match (learned, &disconnect) {
                    (Learned::ReplayCut, Disconnect::Stream(error)) => {
                        let why = self.on_replay_cut(error, retry);
                        self.reconnect(retry, &why, retry_after)
                    }
                    _ => self.retry_later(retry, &disconnect, retry_after),
                }
            }
        }
    }

    fn facts(&self, disconnect: &Disconnect, retry: &RetryState) -> Facts {
        let is_not_v2 = matches!(disconnect, Disconnect::Stream(StreamError::NotV2));
        let endpoint = self.endpoints.get(retry.current);
        // Recorded only if the server failed to send v2.
        let may_use_v1 = is_not_v2
            && endpoint.is_some_and(|endpoint| self.client.negotiator.record_missing_v2(endpoint));
        Facts {
            needs_seq: self.feedback.get().is_none() && matches!(self.start, StartPosition::Seq(_)),
            requires_compression: self.compress == CompressMode::On,
            may_use_v1,
            was_not_v2: retry.endpoint().is_some_and(|endpoint| endpoint.is_not_v2),
            requested: retry.requested,
            may_be_too_slow: retry.may_be_too_slow(),
            any_success: retry.any_success,
            others_refuse: retry.others_refuse(),
        }
    }

    /// Records what a disconnect says, and logs what the user should know.
    fn learn(
        &self,
        learned: Learned,
        server: &str,
        disconnect: &Disconnect,
        retry: &mut RetryState,
    ) {
        match learned {
            Learned::Nothing | Learned::ReplayCut => {}
            Learned::ConnectionLost | Learned::ReplayComplete => retry.replay_cut = false,
            Learned::ScannedTo(limit) => {
                retry.replay_cut = false;
                retry.scanned = Some((retry.current, limit));
            }
            Learned::Stalled(limit) => self.note_stall(limit, retry),
            // However well the server speaks, it has nothing new.
            Learned::Lagging => retry.was_sound = false,
            Learned::LacksSeq => {
                // Another kind of server has the same name now.
                retry.update_endpoint(|endpoint| endpoint.lacks_seq = true);
                tracing::warn!(%server, "{disconnect}; resuming by time");
            }
            Learned::Renumbered => {
                retry.renumbered = self.feedback.get().map(|position| position.newest);
            }
            Learned::SpeaksV1 => {
                retry.update_endpoint(|endpoint| endpoint.is_not_v2 = true);
                if !retry.any_success {
                    // Nothing of the server's stream belongs to the run yet.
                    retry.live_since = None;
                }
                tracing::warn!(%server, "{disconnect}; asking it for v1");
            }
            Learned::IsNotV2 => retry.update_endpoint(|endpoint| endpoint.is_not_v2 = true),
            Learned::UnknownDictionary => {
                retry.compression_disabled = true;
                tracing::warn!(%server, "{disconnect}; receiving uncompressed");
            }
            Learned::Refuses => retry.update_endpoint(|endpoint| endpoint.refuses = true),
            Learned::RefusesV2 => retry.update_endpoint(|endpoint| {
                endpoint.is_not_v2 = true;
                endpoint.refuses = true;
            }),
            Learned::CursorTooOld => self.on_cursor_too_old(disconnect, retry),
            Learned::CursorExpired(time) => {
                retry.set_backfill(BackfillStart::Since(time), None);
            }
            Learned::ArchiveFaster(live_rate) => self.on_archive_faster(live_rate, retry),
            Learned::StreamIsBetter => self.on_stream_better(disconnect, retry),
            Learned::FilterChanged => self.on_filter_changed(retry),
            Learned::LacksEvents => self.on_loss(disconnect, retry),
            Learned::PrimaryRecovered => self.on_recovery(retry),
        }
    }

    /// Chooses the next server and the wait before it is tried, and logs both.
    pub(super) fn reconnect(
        &self,
        retry: &mut RetryState,
        why: &dyn Display,
        retry_after: Option<Duration>,
    ) -> Result<Duration, ReadError> {
        let (wait, _) = self.schedule(retry, why, retry_after)?;
        let (role, next) = (self.role(), self.label(retry.current));
        tracing::warn!("{role}{why}; connecting to {next} in {:.1} s", wait.as_secs_f64());
        Ok(wait)
    }

    /// As [`Self::reconnect`], but logs little while no server can be reached.
    pub(super) fn retry_later(
        &self,
        retry: &mut RetryState,
        disconnect: &Disconnect,
        retry_after: Option<Duration>,
    ) -> Result<Duration, ReadError> {
        let Some(error) = self.unreached(disconnect, retry) else {
            return self.reconnect(retry, disconnect, retry_after);
        };
        let (wait, attempts_left) = self.schedule(retry, disconnect, retry_after)?;
        let next = self.label(retry.current);
        self.log_unreachable(error, retry, attempts_left, (next, wait));
        Ok(wait)
    }

    /// Chooses the next server and the wait before it is tried; also returns how many attempts are
    /// left, if they are limited.
    fn schedule(
        &self,
        retry: &mut RetryState,
        why: &dyn Display,
        retry_after: Option<Duration>,
    ) -> Result<(Duration, Option<u32>), ReadError> {
        retry.failures += 1;
        self.warn_if_stalled(retry);
        self.metrics.reconnects.add(u64::from(retry.was_sound));
        let most = match self.limits.max_retries {
            MaxRetries::Limit(most) => most,
            MaxRetries::OnceConnected if !retry.any_success => {
                FIRST_RETRIES.max(self.endpoints.len() as u32)
            }
            MaxRetries::OnceConnected | MaxRetries::Unlimited => u32::MAX,
        };
        if retry.failures > most {
            return Err(ReadError::GaveUp { attempts: retry.failures, last: why.to_string() });
        }
        let from = retry.current;
        // A server that worked a moment ago gets the first chance: only there the resume is
        // exact to the event.
        if !retry.was_sound {
            retry.next_endpoint();
        }
        if let Some(wait) = retry_after
            && retry.current == from
        {
            retry.backoff.at_least(wait);
        }
        let wait = retry.backoff.next(&mut retry.rng);
        let attempts_left = (most < u32::MAX).then(|| most - retry.failures + 1);
        Ok((wait, attempts_left))
    }
}
