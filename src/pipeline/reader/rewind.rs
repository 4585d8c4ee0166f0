//! How far before the position a new connection starts: by the rewind margin, or by less after
//! a legacy server has dropped a replay or has shown how far it had scanned.

use crate::position::{Origin, Position, ServerKind, TimeUs};
use crate::source::RequestedCursor;
use crate::source::connection::StreamError;
use crate::source::endpoint::Endpoint;

use super::Reader;
use super::retry::RetryState;

/// How far before the end of what a legacy server has sent the next replay starts, in
/// microseconds. Its times strictly increase (protocol/jetstream-v1.md §8), so this is ample.
pub(super) const MIN_MARGIN_US: u64 = 1_000_000;

/// What a replay may have gained after the rewind margin before its newest event is doubted, in
/// microseconds.
const MARGIN_SPAN_US: u64 = 10_000_000;

/// Connections in a row without anything new, after which that is logged.
const STALLED_CONNECTIONS: u32 = 5;

impl Reader {
    /// Logs when connections end again and again before they bring anything new: each rewinds,
    /// and does not get past what it rewound.
    pub(super) fn warn_if_stalled(&self, retry: &mut RetryState) {
        let newest = self.feedback.get().map(|position| position.newest);
        let (before, times) = retry.stalled;
        let is_stalled = retry.was_sound && newest.is_some() && newest == before;
        retry.stalled = (newest, if is_stalled { times + 1 } else { 0 });
        if retry.stalled.1 == STALLED_CONNECTIONS {
            tracing::warn!(
                "{STALLED_CONNECTIONS} connections in a row ended before they brought anything new: if they end within the replay of --rewind, a shorter one gets further"
            );
        }
    }

    /// Handles a replay that a legacy server dropped without a message; returns the text for
    /// the log. Such a server does that if more than 50,000 events are queued for the client
    /// when the replay reaches the live stream.
    pub(super) fn on_replay_cut(&self, error: &StreamError, retry: &mut RetryState) -> String {
        let newest = self.feedback.get().map(|position| position.newest.time);
        let before = retry.stalled.0.map(|mark| mark.time);
        let gained_us = match (newest, before) {
            (Some(newest), Some(before)) => newest.0.saturating_sub(before.0),
            _ => 0,
        };
        // Without any progress a smaller margin would not help, and may be what is wrong.
        retry.replay_cut = newest.is_some() && newest != before;
        format!(
            "{error} during a replay (a legacy server drops a replay that is too slow); it came {:.1} s further than the last one",
            gained_us as f64 / 1e6
        )
    }
}

impl RetryState {
    /// Returns what to ask for, without what the legacy server has already sent to the end.
    pub(super) fn after_scan(&self, requested: RequestedCursor) -> RequestedCursor {
        let Some((_, limit)) = self.scanned.filter(|(endpoint, _)| *endpoint == self.current)
        else {
            return requested;
        };
        let from = limit.minus_us(MIN_MARGIN_US);
        match requested {
            RequestedCursor::Oldest => RequestedCursor::Instant(from),
            RequestedCursor::Instant(instant) => RequestedCursor::Instant(instant.max(from)),
            other => other,
        }
    }

    /// Returns whether the connection that ended was a replay of a legacy server.
    pub(super) fn may_be_too_slow(&self) -> bool {
        let replays =
            matches!(self.requested, RequestedCursor::Instant(_) | RequestedCursor::Oldest);
        replays
            && self.was_sound
            && self.known_kind().is_some_and(ServerKind::replay_may_lose_events)
    }
}

/// Returns from where to replay on the same legacy server, `margin_us` before the newest event.
/// Its times only grow, and every event written after `rewind_to`, which lies about twice
/// `rewind_us` back, is remembered. A newest event far after that may have an absurd time, and
/// is ignored.
fn legacy_rewind(position: &Position, rewind_us: u64, margin_us: u64) -> TimeUs {
    let from = position.rewind_to.time;
    let newest = position.newest.time;
    let is_plausible = newest <= from.plus_us(rewind_us.saturating_mul(4)).plus_us(MARGIN_SPAN_US);
    // mutant: resumes-at-the-newest
    if is_plausible { newest.minus_us(margin_us).max(from) } else { from }
}

/// Returns where to resume after a part of the archive, on the server of that archive: at the newest
/// event, without a margin. The archive has no order but that of its seqs, and everything up to the
/// newest event was read. The stream also has superseded events that the archive omits. From within
/// the margin they would come after the events that supersede them.
pub(super) fn after_archive(
    position: &Position,
    endpoint: &Endpoint,
    archive_fingerprint: u64,
) -> Option<RequestedCursor> {
    let Origin { server, kind, filter_fingerprint } = &position.origin;
    let is_archive = *kind == ServerKind::V2 && *filter_fingerprint == archive_fingerprint;
    let seq = position.newest.seq.filter(|_| is_archive && *server == endpoint.label);
    seq.map(RequestedCursor::Seq)
}

/// Returns where to resume: exactly on the server that the position is from, by time on another.
pub(super) fn resume_cursor(
    position: &Position,
    endpoint: &Endpoint,
    rewind_us: u64,
    margin_us: u64,
    has_seq: bool,
) -> RequestedCursor {
    let is_same = position.origin.server == endpoint.label;
    match (position.origin.kind, position.rewind_to.seq) {
        // mutant: resumes-v2-at-the-newest
        (ServerKind::V2, Some(seq)) if is_same && has_seq => RequestedCursor::Seq(seq),
        (ServerKind::Legacy, _) if is_same => {
            RequestedCursor::Instant(legacy_rewind(position, rewind_us, margin_us))
        }
        // mutant: fails-over-to-the-newest
        _ => RequestedCursor::Instant(position.max_time.minus_us(rewind_us)),
    }
}
