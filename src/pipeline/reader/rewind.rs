//! How far back a new connection asks: by the rewind margin, or by less after a legacy server
//! has cut a replay or has shown how far it had scanned.

use std::time::Duration;

use crate::position::{Position, ServerKind, TimeUs};
use crate::source::RequestedCursor;
use crate::source::connection::StreamError;
use crate::source::endpoint::Endpoint;

use super::retry::RetryState;
use super::{ReadError, Reader};

/// How far before the end of what a legacy server has shown the next replay begins. Its times
/// strictly increase (protocol/jetstream-v1.md §8), so that this is ample.
pub(super) const MIN_MARGIN_US: u64 = 1_000_000;

/// What a replay may have gained beyond the rewind margin before its newest event is doubted.
const MARGIN_SPAN_US: u64 = 10_000_000;

impl Reader {
    /// A legacy server cut a replay without a word. It does that when more than 50,000 events
    /// are queued for it at the moment when it meets the live stream.
    pub(super) fn replay_cut(
        &self,
        error: &StreamError,
        retry: &mut RetryState,
    ) -> Result<Duration, ReadError> {
        let newest = self.feedback.get().map(|position| position.newest.time);
        let gained_us = match (newest, retry.stuck.0) {
            (Some(newest), Some(before)) => newest.0.saturating_sub(before.time.0),
            _ => 0,
        };
        // Without any progress less margin would not help, and may be what is wrong.
        retry.replay_cut = newest.is_some() && newest != retry.stuck.0.map(|mark| mark.time);
        let why = format!(
            "{error} during a replay (a legacy server drops a replay that is too slow); it came {:.1} s further than the last one",
            gained_us as f64 / 1e6
        );
        self.reconnect(retry, &why, None)
    }
}

impl RetryState {
    /// Asks no legacy server again for what it has shown to the end.
    pub(super) fn after_scan(&self, asked: RequestedCursor) -> RequestedCursor {
        let Some((_, limit)) = self.scanned.filter(|(endpoint, _)| *endpoint == self.endpoint)
        else {
            return asked;
        };
        let from = limit.minus_us(MIN_MARGIN_US);
        match asked {
            RequestedCursor::Oldest => RequestedCursor::Instant(from),
            RequestedCursor::Instant(instant) => RequestedCursor::Instant(instant.max(from)),
            other => other,
        }
    }

    /// Returns whether the connection that ended was a replay of a legacy server.
    pub(super) fn may_be_too_slow(&self) -> bool {
        let replays = matches!(self.asked, RequestedCursor::Instant(_) | RequestedCursor::Oldest);
        replays
            && self.was_sound
            && self.known_kind().is_some_and(ServerKind::replay_may_lose_events)
    }
}

/// Returns from where to replay on the same legacy server, `margin_us` before the newest event:
/// its times only grow, and every event written since `rewind_to`, which lies about twice
/// `rewind_us` back, is remembered. A newest event far beyond that may have an absurd time, and
/// counts for nothing.
fn legacy_rewind(position: &Position, rewind_us: u64, margin_us: u64) -> TimeUs {
    let from = position.rewind_to.time;
    let newest = position.newest.time;
    let is_plausible = newest <= from.plus_us(rewind_us.saturating_mul(4)).plus_us(MARGIN_SPAN_US);
    // mutant: resumes-at-the-newest
    if is_plausible { newest.minus_us(margin_us).max(from) } else { from }
}

/// A resume: exactly on the server that the position is from, by instant on any other.
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
        _ => RequestedCursor::Instant(position.latest_time.minus_us(rewind_us)),
    }
}
