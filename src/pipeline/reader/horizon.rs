//! How far a replay from a legacy server can be trusted.
//!
//! Such a server drops and reorders events where a replay meets its live stream: never
//! anything that was more than a second behind its tip when it was queued
//! (protocol/jetstream-v1.md §4.2, rules 1 to 3). The tip only moves on, so whatever is older
//! than the moment of connecting, less a margin, is whole and in order. Pure.

use crate::event::batch::Batch;
use crate::event::header;
use crate::position::{BELIEVED_AHEAD_US, ServerKind, TimeUs};
use crate::settings::JoinMode;
use crate::source::Asked;

/// The second of the rule, and four more for clocks that differ.
const MARGIN_US: u64 = 5_000_000;

/// A replay nearer to the present than this is joined with the live stream; one further
/// behind first comes nearer by itself. The live stream is kept in memory meanwhile.
const JOIN_WITHIN_US: u64 = 30_000_000;

/// The first instant that a replay is not trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Horizon(TimeUs);

impl Horizon {
    /// The horizon of a connection that is made `now`; `None` where it replays nothing, or
    /// nobody minds.
    pub(super) fn of(asked: Asked, join: JoinMode, now: TimeUs) -> Option<Self> {
        let replays = matches!(asked, Asked::Instant(_) | Asked::Oldest);
        (replays && join == JoinMode::Auto).then(|| Self(now.minus_us(MARGIN_US)))
    }

    /// The horizon of a replay beside a live connection whose first event is at `first`.
    pub(super) fn at(first: TimeUs) -> Self {
        Self(first)
    }

    /// Whether it lies before the start of a replay, which then has nothing in front of it.
    pub(super) fn is_before(self, asked: Asked) -> bool {
        matches!(asked, Asked::Instant(instant) if self.0 < instant)
    }

    /// Cuts off what lies at the horizon or beyond, if the lines come from a legacy server;
    /// says whether there was anything. The times of such a server only grow; an absurd one
    /// says nothing, or a replay that holds it could never pass it.
    pub(super) fn cut(self, batch: &mut Batch, kind: Option<ServerKind>) -> bool {
        let beyond = self.0.0..=self.0.plus_us(BELIEVED_AHEAD_US).0;
        let is_beyond =
            |line: &[u8]| header::parse(line).is_ok_and(|h| beyond.contains(&h.time_us));
        if kind != Some(ServerKind::Legacy) || !batch.lines().last().is_some_and(is_beyond) {
            return false;
        }
        let within = batch.lines().take_while(|line| !is_beyond(line)).count();
        batch.truncate(within);
        true
    }
}

/// Whether a replay from `asked` is near enough to be joined with the live stream.
pub(super) fn is_near(asked: Asked, now: TimeUs) -> bool {
    matches!(asked, Asked::Instant(instant) if instant >= now.minus_us(JOIN_WITHIN_US))
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
        let horizon = Horizon::at(TimeUs(30));
        let mut lines = batch(&[10, 20, 30, 40]);
        assert!(horizon.cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(texts(&lines), texts(&batch(&[10, 20])));
        assert!(!horizon.cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(texts(&lines), texts(&batch(&[10, 20])));
    }

    #[test]
    fn an_absurd_time_is_no_horizon() {
        let mut lines = batch(&[10, 20, u64::MAX]);
        assert!(!Horizon::at(TimeUs(30)).cut(&mut lines, Some(ServerKind::Legacy)));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_v2_server_has_no_horizon() {
        let mut lines = batch(&[10, 40]);
        assert!(!Horizon::at(TimeUs(30)).cut(&mut lines, Some(ServerKind::V2)));
        assert!(!Horizon::at(TimeUs(30)).cut(&mut lines, None));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn only_replays_have_one_and_only_if_wanted() {
        let now = TimeUs(100_000_000);
        assert_eq!(Horizon::of(Asked::Live, JoinMode::Auto, now), None);
        assert_eq!(Horizon::of(Asked::Oldest, JoinMode::Single, now), None);
        assert_eq!(
            Horizon::of(Asked::Oldest, JoinMode::Auto, now),
            Some(Horizon(TimeUs(95_000_000)))
        );
        assert!(is_near(Asked::Instant(TimeUs(70_000_000)), now));
        assert!(!is_near(Asked::Instant(TimeUs(69_999_999)), now));
    }
}
