//! Up to which time a replay from a legacy server can be trusted.
//!
//! Such a server drops and reorders events where a replay meets its live stream, but never an
//! event that was more than a second older than its tip when it was queued
//! (protocol/jetstream-v1.md §4.2, rules 1 to 3). The tip only moves forward, so everything
//! older than the tip at the moment of connecting, less a margin, is complete and in order. The
//! server's own live stream shows where the tip is: its clock may differ from this machine's.
//! Pure.

use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::position::cursor_unit::CursorUnit;
use crate::position::{BELIEVED_AHEAD_US, ServerKind, TimeUs};
use crate::source::RequestedCursor;

/// The second of the rule, and four more for events that were late, in microseconds.
const MARGIN_US: u64 = 5_000_000;

/// A replay nearer to the tip than this, in microseconds, is joined with the live stream, which
/// is buffered in memory during the replay. A replay that starts further back first runs without
/// a join, until it is near enough.
const JOIN_WITHIN_US: u64 = 30_000_000;

/// The first time for which a replay is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplayLimit(TimeUs);

impl ReplayLimit {
    /// Trusts no event, if the server turns out to be a legacy one.
    pub(super) const UNTRUSTED: Self = Self(TimeUs(0));

    /// Returns the limit of a replay beside a live connection whose first event is at `first`.
    pub(super) fn at(first: TimeUs) -> Self {
        Self(first)
    }

    /// Returns the limit of a replay that runs alone, if the tip is at this limit now.
    pub(super) fn with_margin(self) -> Self {
        Self(self.0.minus_us(MARGIN_US))
    }

    /// Returns the first time that is not trusted; `None` if no time is.
    pub(super) fn limit(self) -> Option<TimeUs> {
        (self != Self::UNTRUSTED).then_some(self.0)
    }

    /// Returns whether the limit lies before the start of a replay.
    pub(super) fn is_before(self, requested: RequestedCursor) -> bool {
        matches!(requested, RequestedCursor::Instant(instant) if self.0 <= instant)
    }

    /// Returns whether a replay is near enough to be joined with the live stream.
    pub(super) fn is_near(self, requested: RequestedCursor) -> bool {
        let earliest = self.0.minus_us(JOIN_WITHIN_US);
        matches!(requested, RequestedCursor::Instant(instant) if instant >= earliest)
    }

    /// Removes the lines at or after the limit, if they come from a legacy server; returns
    /// whether there were any. The times of such a server only grow. An absurd time is ignored,
    /// or a replay that holds it could never get past it.
    pub(super) fn cut(self, batch: &mut Batch, kind: Option<ServerKind>) -> bool {
        let trusts_nothing = self == Self::UNTRUSTED;
        let lines = batch.len();
        let untrusted = self.0.0..=self.0.plus_us(BELIEVED_AHEAD_US).0;
        let mut is_untrusted = |i| {
            let mut header = || batch.header_or_parse(i, EventFormat::V1);
            trusts_nothing || header().is_some_and(|header| untrusted.contains(&header.time_us))
        };
        let counts_time = kind.is_some_and(|kind| kind.cursor_unit() == CursorUnit::TimeUs);
        let Some(last) = lines.checked_sub(1).filter(|last| counts_time && is_untrusted(*last))
        else {
            return false;
        };
        let trusted = (0..last).take_while(|i| !is_untrusted(*i)).count();
        batch.truncate(trusted);
        true
    }
}

/// The time of the first event of a live stream, which shows where the tip is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstTime {
    /// The first time at all: if this machine's clock is wrong, every time is implausible.
    claimed: Option<TimeUs>,
    plausible: Option<TimeUs>,
}

impl FirstTime {
    /// Notes a batch. A time after `latest` is a false one, and the next event decides.
    pub(super) fn note(&mut self, batch: &mut Batch, latest: TimeUs) {
        let mut place = 0;
        while self.plausible.is_none() && place < batch.len() {
            if let Some(header) = batch.header_or_parse(place, EventFormat::V1) {
                let time = TimeUs(header.time_us);
                self.claimed = self.claimed.or(Some(time));
                self.plausible = Some(time).filter(|time| *time <= latest);
            }
            place += 1;
        }
    }

    /// Returns whether an event with a plausible time has come.
    pub(super) fn is_plausible(self) -> bool {
        self.plausible.is_some()
    }

    /// Returns the time; `None` if no event has come.
    pub(super) fn get(self) -> Option<TimeUs> {
        self.plausible.or(self.claimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_time_of_the_first_event_is_not_the_tip() {
        let latest = TimeUs(50);
        let mut first = FirstTime::default();
        first.note(&mut batch(&[u64::MAX]), latest);
        assert_eq!((first.is_plausible(), first.get()), (false, Some(TimeUs(u64::MAX))));
        first.note(&mut batch(&[u64::MAX - 1, 20, 30]), latest);
        first.note(&mut batch(&[10]), latest);
        assert_eq!((first.is_plausible(), first.get()), (true, Some(TimeUs(20))));
        assert_eq!(FirstTime::default().get(), None);
    }

    fn texts(batch: &Batch) -> Vec<&[u8]> {
        batch.lines().collect()
    }

    fn batch(times: &[u64]) -> Batch {
        let mut batch = Batch::default();
        times.iter().for_each(|t| batch.push(format!(r#"{{"did":"d","time_us":{t}}}"#).as_bytes()));
        batch
    }

    #[test]
    fn lines_at_or_after_the_limit_are_removed() {
        let limit = ReplayLimit::at(TimeUs(30));
        let mut lines = batch(&[10, 20, 30, 40]);
        assert!(limit.cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(texts(&lines), texts(&batch(&[10, 20])));
        assert!(!limit.cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(texts(&lines), texts(&batch(&[10, 20])));
    }

    #[test]
    fn an_absurd_time_is_ignored() {
        let mut lines = batch(&[10, 20, u64::MAX]);
        assert!(!ReplayLimit::at(TimeUs(30)).cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_v2_server_has_no_limit() {
        let mut lines = batch(&[10, 40]);
        assert!(!ReplayLimit::at(TimeUs(30)).cut(&mut lines, Some(ServerKind::V2)));
        assert!(!ReplayLimit::at(TimeUs(30)).cut(&mut lines, None));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_server_of_unknown_kind_is_trusted_with_nothing_if_it_is_a_legacy_one() {
        let mut lines = batch(&[10, 20]);
        assert!(!ReplayLimit::UNTRUSTED.cut(&mut lines, Some(ServerKind::V2)));
        assert!(ReplayLimit::UNTRUSTED.cut(&mut lines, Some(ServerKind::Legacy)));
        assert!(lines.is_empty());
    }

    #[test]
    fn distances_are_measured_by_the_servers_clock() {
        let tip = ReplayLimit::at(TimeUs(100_000_000));
        assert_eq!(tip.with_margin(), ReplayLimit(TimeUs(95_000_000)));
        assert!(tip.is_near(RequestedCursor::Instant(TimeUs(70_000_000))));
        assert!(!tip.is_near(RequestedCursor::Instant(TimeUs(69_999_999))));
        assert!(!tip.is_near(RequestedCursor::Oldest));
        assert!(tip.is_before(RequestedCursor::Instant(TimeUs(100_000_000))));
        assert!(!tip.is_before(RequestedCursor::Instant(TimeUs(99_999_999))));
    }
}
