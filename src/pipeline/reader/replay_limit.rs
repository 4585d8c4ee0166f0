//! How far a replay from a legacy server can be trusted.
//!
//! Such a server drops and reorders events where a replay meets its live stream: never
//! anything that was more than a second behind its tip when it was queued
//! (protocol/jetstream-v1.md §4.2, rules 1 to 3). The tip only moves on, so whatever is older
//! than the tip at the moment of connecting, less a margin, is whole and in order. Where the
//! tip is, the server's own live stream says: its clock need not be ours. Pure.

use crate::event::batch::Batch;
use crate::event::header;
use crate::position::cursor_unit::CursorUnit;
use crate::position::{BELIEVED_AHEAD_US, ServerKind, TimeUs};
use crate::source::RequestedCursor;

/// The second of the rule, and four more for events that were late.
const MARGIN_US: u64 = 5_000_000;

/// A replay nearer to the tip than this is joined with the live stream; one further behind
/// first comes nearer by itself. The live stream is kept in memory meanwhile.
const JOIN_WITHIN_US: u64 = 30_000_000;

/// The first instant that a replay is not trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplayLimit(TimeUs);

impl ReplayLimit {
    /// Trusts nothing: for a server that may turn out to be a legacy one.
    pub(super) const UNTRUSTED: Self = Self(TimeUs(0));

    /// The horizon of a replay beside a live connection whose first event is at `first`.
    pub(super) fn at(first: TimeUs) -> Self {
        Self(first)
    }

    /// The horizon of a replay that begins when the tip is here, and stands alone.
    pub(super) fn with_margin(self) -> Self {
        Self(self.0.minus_us(MARGIN_US))
    }

    /// Returns the first instant that is not trusted, unless that is every one.
    pub(super) fn limit(self) -> Option<TimeUs> {
        (self != Self::UNTRUSTED).then_some(self.0)
    }

    /// Whether it lies before the start of a replay, which then has nothing in front of it.
    pub(super) fn is_before(self, asked: RequestedCursor) -> bool {
        matches!(asked, RequestedCursor::Instant(instant) if self.0 <= instant)
    }

    /// Whether a replay from `asked` is near enough to be joined with the live stream.
    pub(super) fn is_near(self, asked: RequestedCursor) -> bool {
        matches!(asked, RequestedCursor::Instant(instant) if instant >= self.0.minus_us(JOIN_WITHIN_US))
    }

    /// Cuts off what lies at the horizon or beyond, if the lines come from a legacy server;
    /// says whether there was anything. The times of such a server only grow; an absurd one
    /// says nothing, or a replay that holds it could never pass it.
    pub(super) fn cut(self, batch: &mut Batch, kind: Option<ServerKind>) -> bool {
        let trusts_nothing = self == Self::UNTRUSTED;
        let beyond = self.0.0..=self.0.plus_us(BELIEVED_AHEAD_US).0;
        let is_beyond = |line: &[u8]| {
            trusts_nothing || header::parse(line).is_ok_and(|h| beyond.contains(&h.time_us))
        };
        let counts_time = kind.is_some_and(|kind| kind.cursor_unit() == CursorUnit::TimeUs);
        if !counts_time || !batch.lines().last().is_some_and(is_beyond) {
            return false;
        }
        let within = batch.lines().take_while(|line| !is_beyond(line)).count();
        batch.truncate(within);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(batch: &Batch) -> Vec<&[u8]> {
        batch.lines().collect()
    }

    fn batch(times: &[u64]) -> Batch {
        let mut batch = Batch::default();
        times.iter().for_each(|t| batch.push(format!(r#"{{"did":"d","time_us":{t}}}"#).as_bytes()));
        batch
    }

    #[test]
    fn nothing_at_or_beyond_the_horizon_is_taken() {
        let replay_limit = ReplayLimit::at(TimeUs(30));
        let mut lines = batch(&[10, 20, 30, 40]);
        assert!(replay_limit.cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(texts(&lines), texts(&batch(&[10, 20])));
        assert!(!replay_limit.cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(texts(&lines), texts(&batch(&[10, 20])));
    }

    #[test]
    fn an_absurd_time_is_no_horizon() {
        let mut lines = batch(&[10, 20, u64::MAX]);
        assert!(!ReplayLimit::at(TimeUs(30)).cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_v2_server_has_no_horizon() {
        let mut lines = batch(&[10, 40]);
        assert!(!ReplayLimit::at(TimeUs(30)).cut(&mut lines, Some(ServerKind::V2)));
        assert!(!ReplayLimit::at(TimeUs(30)).cut(&mut lines, None));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_server_that_may_be_a_legacy_one_is_trusted_with_nothing_if_it_is() {
        let mut lines = batch(&[10, 20]);
        assert!(!ReplayLimit::UNTRUSTED.cut(&mut lines, Some(ServerKind::V2)));
        assert!(ReplayLimit::UNTRUSTED.cut(&mut lines, Some(ServerKind::Legacy)));
        assert!(lines.is_empty());
    }

    #[test]
    fn near_and_far_are_told_by_the_servers_clock() {
        let tip = ReplayLimit::at(TimeUs(100_000_000));
        assert_eq!(tip.with_margin(), ReplayLimit(TimeUs(95_000_000)));
        assert!(tip.is_near(RequestedCursor::Instant(TimeUs(70_000_000))));
        assert!(!tip.is_near(RequestedCursor::Instant(TimeUs(69_999_999))));
        assert!(!tip.is_near(RequestedCursor::Oldest));
        assert!(tip.is_before(RequestedCursor::Instant(TimeUs(100_000_000))));
        assert!(!tip.is_before(RequestedCursor::Instant(TimeUs(99_999_999))));
    }
}
