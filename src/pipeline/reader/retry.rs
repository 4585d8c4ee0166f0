//! From one connection to the next: which server, from where, after how long, and when to
//! give up.

use std::sync::Arc;
use std::time::Duration;

use crate::position::{Mark, Seq, ServerKind, StartPosition, TimeUs};
use crate::settings::{CompressMode, MaxRetries};
use crate::source::RequestedCursor;
use crate::source::archive::Beginning;
use crate::source::backoff::Backoff;
use crate::source::connection::StreamError;
use crate::source::endpoint::Endpoint;
use crate::source::liveness::LivenessFailure;

use super::rewind::{MIN_MARGIN_US, resume_cursor};
use super::silence::SilenceHistory;
use super::{Disconnect, ReadError, Reader};

/// Failed attempts in a row, before any connection has worked, after which a run gives up by
/// default: half a minute, long enough for a network that comes up, short enough for a typo.
const FIRST_RETRIES: u32 = 8;

/// Connections in a row without anything new, after which that is told.
const STANDSTILL: u32 = 5;

/// What the reader remembers between connections.
#[derive(Debug)]
pub(super) struct RetryState {
    pub(super) number: u64,
    pub(super) endpoint: usize,
    pub(super) backoff: Backoff,
    pub(super) failures: u32,
    /// Servers that refuse for good, by their place in the list.
    pub(super) refusing: Vec<bool>,
    /// When the first connection of a run that began at the tip was made: from then on the
    /// stream is ours, though no event may have come yet.
    pub(super) live_since: Option<TimeUs>,
    /// A server that was thought to have sequence numbers and has none.
    pub(super) without_seq: Vec<bool>,
    /// Where the output stood when a server's sequence numbers turned out to be new: until it
    /// has moved on, that server is asked by time.
    pub(super) renumbered: Option<Mark>,
    /// Where the output stood at the last connection's end, and how many in a row ended there
    /// though they had brought events.
    pub(super) stuck: (Option<Mark>, u32),
    /// What each server turned out to be.
    pub(super) kinds: Vec<Option<ServerKind>>,
    /// The server's dictionary is not ours.
    pub(super) plain: bool,
    /// What the last connection was asked for.
    pub(super) asked: RequestedCursor,
    /// What the last replay was asked for that came to the horizon: asked for the same again,
    /// the next one would come there with nothing, too.
    pub(super) empty_replay: Option<RequestedCursor>,
    /// The time of the live stream's first event, where a join has met one.
    pub(super) tip: Option<TimeUs>,
    /// Up to which instant a legacy server, by its place in the list, has shown everything:
    /// nothing before it needs to be scanned again, however old the output's place is.
    pub(super) scanned: Option<(usize, TimeUs)>,
    /// A legacy server cut the last replay: it does that to one that is too slow for what it
    /// asked for, so the next one asks for as little as is safe.
    pub(super) replay_cut: bool,
    /// A sequence number that a server refused as older than what it holds.
    pub(super) too_old: Option<Seq>,
    /// Where to begin in the archive of the present server, since its stream begins later.
    pub(super) past: Option<Beginning>,
    /// Servers whose archive can't be used.
    pub(super) without_archive: Vec<bool>,
    /// Servers that have an archive of which something could not be read.
    pub(super) left_out: Vec<bool>,
    /// Servers whose archive was read to its end.
    pub(super) swept: Vec<bool>,
    /// Where the output stood at the last sweep's end, and how many in a row ended there.
    pub(super) sweeps: (Option<Mark>, u32),
    /// Servers that answered the v2 request with something else.
    pub(super) not_v2: Vec<bool>,
    /// How long each server may be silent.
    pub(super) silences: Vec<SilenceHistory>,
    /// Whether the connection that just ended had brought an event.
    pub(super) was_sound: bool,
    /// Whether any connection of the run had.
    pub(super) any_success: bool,
    pub(super) rng: fastrand::Rng,
}

impl Reader {
    pub(super) fn initial_retry_state(&self) -> RetryState {
        // The server that a saved position names comes first: only there it is exact.
        let saved = match &self.start {
            StartPosition::Resume(resume) => Some(&resume.position.origin.server),
            _ => None,
        };
        let known = saved.and_then(|name| self.endpoints.iter().position(|e| e.label == *name));
        let mut kinds = vec![None; self.endpoints.len()];
        if let (Some(known), StartPosition::Resume(resume)) = (known, &self.start)
            && let Some(kind) = kinds.get_mut(known)
        {
            *kind = Some(resume.position.origin.kind);
        }
        RetryState {
            number: 0,
            endpoint: known.unwrap_or(0),
            backoff: Backoff::new(),
            failures: 0,
            refusing: vec![false; self.endpoints.len()],
            live_since: None,
            without_seq: vec![false; self.endpoints.len()],
            renumbered: None,
            stuck: (None, 0),
            kinds,
            plain: false,
            asked: RequestedCursor::Live,
            empty_replay: None,
            tip: None,
            scanned: None,
            replay_cut: false,
            too_old: None,
            past: None,
            without_archive: vec![false; self.endpoints.len()],
            left_out: vec![false; self.endpoints.len()],
            swept: vec![false; self.endpoints.len()],
            sweeps: (None, 0),
            not_v2: vec![false; self.endpoints.len()],
            silences: self.endpoints.iter().map(|_| SilenceHistory::default()).collect(),
            was_sound: false,
            any_success: false,
            rng: fastrand::Rng::new(),
        }
    }

    /// What to ask a server for: always from the newest position there is.
    pub(super) fn asked(&self, endpoint: &Endpoint, retry: &RetryState) -> RequestedCursor {
        let rewind_us = self.limits.rewind_us;
        let has_seq = !retry.without_seq.get(retry.endpoint).copied().unwrap_or(false);
        let saved = match &self.start {
            StartPosition::Resume(resume) => Some(resume.position.clone()),
            _ => None,
        };
        match (self.feedback.get().or(saved), &self.start) {
            (Some(position), _) => {
                let has_seq = has_seq && retry.renumbered != Some(position.newest);
                let margin_us = if retry.replay_cut { MIN_MARGIN_US } else { rewind_us };
                resume_cursor(&position, endpoint, rewind_us, margin_us.min(rewind_us), has_seq)
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

    /// Decides what an ended connection means: how long to wait, or that all is over.
    pub(super) fn classify_disconnect(
        &self,
        ended: Disconnect,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        let server = self.endpoints.get(retry.endpoint).map(|e| Arc::clone(&e.label));
        let server = server.unwrap_or_else(|| "".into());
        match ended {
            Disconnect::Stream(error @ StreamError::NoSequence) => {
                if self.feedback.get().is_none() && matches!(self.start, StartPosition::Seq(_)) {
                    return Err(ReadError::NoSequence { server, error });
                }
                // The server changed its kind behind its name: go on by time.
                retry.mark(|a| &mut a.without_seq);
                tracing::warn!(%server, "{error}; going on by time");
                Ok(Duration::ZERO)
            }
            Disconnect::Stream(error @ StreamError::NotV2) => self.is_not_v2(server, error, retry),
            Disconnect::Stream(error @ StreamError::Dictionary(_)) => {
                if self.compress == CompressMode::On {
                    return Err(ReadError::Dictionary { server, error });
                }
                retry.plain = true;
                tracing::warn!(%server, "{error}; going on uncompressed");
                Ok(Duration::ZERO)
            }
            Disconnect::Dead(dead) => {
                if let LivenessFailure::Stalled(limit) = dead {
                    self.note_stall(limit, retry);
                }
                self.reconnect(retry, &dead, None)
            }
            // The next connection goes on from here, at once.
            Disconnect::ReplayLimit => {
                retry.replay_cut = false;
                Ok(Duration::ZERO)
            }
            Disconnect::ScannedTo(limit) => {
                retry.replay_cut = false;
                retry.scanned = Some((retry.endpoint, limit));
                Ok(Duration::ZERO)
            }
            Disconnect::Renumbered => {
                retry.renumbered = self.feedback.get().map(|position| position.newest);
                Ok(Duration::ZERO)
            }
            Disconnect::PrimaryRecovered => {
                retry.endpoint = 0;
                let first = self.endpoints.first().map_or("", |endpoint| &endpoint.label);
                tracing::warn!("{first} is well again: going back to it");
                Ok(Duration::ZERO)
            }
            Disconnect::CursorExpired(instant) => {
                retry.past = Some(Beginning::Since(instant));
                Ok(Duration::ZERO)
            }
            Disconnect::BackfillComplete => self.on_backfill_complete(retry),
            Disconnect::Archive(error) => self.on_archive_error(server, error, retry),
            Disconnect::Lagging(_) => {
                // However well it speaks, it has nothing for us.
                retry.was_sound = false;
                self.reconnect(retry, &ended, None)
            }
            Disconnect::Connect(error)
                if error.is_cursor_too_old() && matches!(retry.asked, RequestedCursor::Seq(_)) =>
            {
                self.on_cursor_too_old(&error, retry);
                Ok(Duration::ZERO)
            }
            Disconnect::Connect(error)
                if error.is_permanent()
                    && !(error.is_unoffered_subprotocol() && retry.any_success) =>
            {
                retry.mark(|a| &mut a.refusing);
                if retry.refusing.iter().all(|refuses| *refuses) {
                    return Err(ReadError::Refused(error));
                }
                self.reconnect(retry, &error, None)
            }
            Disconnect::Connect(error) => {
                let retry_after = error.retry_after();
                self.reconnect(retry, &error, retry_after)
            }
            Disconnect::Stream(error) if error.is_abrupt() && retry.may_be_too_slow() => {
                self.replay_cut(&error, retry)
            }
            other => {
                retry.replay_cut = false;
                self.reconnect(retry, &other, None)
            }
        }
    }

    /// A server upgraded the v2 request and sent something else.
    fn is_not_v2(
        &self,
        server: Arc<str>,
        error: StreamError,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        let endpoint = self.endpoints.get(retry.endpoint);
        if endpoint.is_some_and(|endpoint| self.client.negotiator.record_missing_v2(endpoint)) {
            let is_first = !retry.not_v2.get(retry.endpoint).copied().unwrap_or(true);
            retry.mark(|a| &mut a.not_v2);
            if is_first {
                if !retry.any_success {
                    // Nothing of its stream was ours yet.
                    retry.live_since = None;
                }
                tracing::warn!(%server, "{error}; asking it for v1");
                return Ok(Duration::ZERO);
            }
            return self.reconnect(retry, &error, None);
        }
        // One such message among others is a damaged one, also where it is a connection's first.
        let is_first = !retry.not_v2.get(retry.endpoint).copied().unwrap_or(true);
        retry.mark(|a| &mut a.not_v2);
        if is_first || retry.any_success {
            return self.reconnect(retry, &error, None);
        }
        retry.mark(|a| &mut a.refusing);
        if retry.refusing.iter().all(|refuses| *refuses) {
            return Err(ReadError::NotV2 { server, error });
        }
        self.reconnect(retry, &error, None)
    }

    /// A connection that dies before it has passed what was rewound brings nothing new, and
    /// the next one rewinds again.
    fn notice_standstill(&self, retry: &mut RetryState) {
        let newest = self.feedback.get().map(|position| position.newest);
        let (before, times) = retry.stuck;
        let stands = retry.was_sound && newest.is_some() && newest == before;
        retry.stuck = (newest, if stands { times + 1 } else { 0 });
        if retry.stuck.1 == STANDSTILL {
            tracing::warn!(
                "{STANDSTILL} connections in a row ended before they brought anything new: if they end within the replay of --rewind, a shorter one gets further"
            );
        }
    }

    pub(super) fn reconnect(
        &self,
        retry: &mut RetryState,
        why: &dyn std::fmt::Display,
        retry_after: Option<Duration>,
    ) -> Result<Duration, ReadError> {
        retry.failures += 1;
        self.notice_standstill(retry);
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
        let from = retry.endpoint;
        // A server that worked a moment ago gets the first chance: only there the resume is
        // exact to the event.
        if !retry.was_sound {
            retry.next_endpoint();
        }
        let next = self.endpoints.get(retry.endpoint).map_or("", |e| &e.label);
        if let Some(wait) = retry_after
            && retry.endpoint == from
        {
            retry.backoff.at_least(wait);
        }
        let wait = retry.backoff.next(&mut retry.rng);
        tracing::warn!("{why}; connecting to {next} in {:.1} s", wait.as_secs_f64());
        Ok(wait)
    }
}

impl RetryState {
    pub(super) fn mark(&mut self, list: impl Fn(&mut Self) -> &mut Vec<bool>) {
        let endpoint = self.endpoint;
        if let Some(flag) = list(self).get_mut(endpoint) {
            *flag = true;
        }
    }

    /// Notes what the present server is.
    pub(super) fn set_kind(&mut self, kind: ServerKind) {
        if let Some(known) = self.kinds.get_mut(self.endpoint) {
            *known = Some(kind);
        }
    }

    /// What the present server is known to be.
    pub(super) fn known_kind(&self) -> Option<ServerKind> {
        self.kinds.get(self.endpoint).copied().flatten()
    }

    /// Moves on to the next server that has not refused for good.
    fn next_endpoint(&mut self) {
        let count = self.refusing.len();
        let next = (1..=count).map(|step| (self.endpoint + step) % count);
        let usable = |i: &usize| !self.refusing.get(*i).copied().unwrap_or(true);
        self.endpoint = next.clone().find(usable).unwrap_or(self.endpoint);
    }
}
