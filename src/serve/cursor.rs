//! Resolves cursors to events, for each kind of server and endpoint (protocol/jetstream-v1.md §4,
//! v2 §4). The playhead itself is in `timeline`.

use tokio::time::Instant;

use super::timeline::Timeline;
use crate::position::{Seq, ServerKind};

/// Why a cursor was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InvalidCursor {
    NotAnInteger,
    Negative(i64),
}

/// The event that a cursor of the v2 stream resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CursorTarget {
    /// The live tip.
    Tip,
    Event(u64),
    /// A seq below the lookback floor; `floor` is the floor's event.
    SeqTooOld {
        requested: u64,
        floor: u64,
    },
    /// A time below the lookback floor; `floor` is the floor's event.
    TimeTooOld {
        floor: u64,
    },
}

impl Timeline {
    /// Resolves a cursor of `/subscribe`. `None` is the live tip, which a server silently
    /// substitutes for a cursor in the future.
    pub(super) fn resolve(&self, cursor: &str, now: Instant) -> Result<Option<u64>, InvalidCursor> {
        let value = parse_cursor(cursor)?;
        let event = match self.stamps.kind() {
            ServerKind::V2 => self.resolve_v2(value, now)?,
            ServerKind::Legacy => self.resolve_legacy(value, now),
        };
        let (tip, floor) = (self.tip(now), self.floor(now));
        // A legacy replay that finds no event at or after its cursor starts again at the oldest
        // event (protocol/jetstream-v1.md §12).
        let wraps = self.stamps.kind() == ServerKind::Legacy && self.is_paced();
        let event = event.map(|e| if wraps && e >= tip { floor } else { e });
        Ok(event.filter(|&e| e < tip).map(|e| e.max(floor)))
    }

    /// Resolves a cursor of the v2 stream, the only endpoint that reports a cursor as too old.
    pub(super) fn resolve_v2_stream(
        &self,
        cursor: &str,
        now: Instant,
    ) -> Result<CursorTarget, InvalidCursor> {
        let value = parse_cursor(cursor)?;
        let Some(event) = self.resolve_v2(value, now)?.filter(|&e| e < self.tip(now)) else {
            return Ok(CursorTarget::Tip);
        };
        let floor = self.floor(now);
        if floor >= self.tip(now) {
            // No event is available for replay: the operator disabled the lookback.
            return Ok(CursorTarget::Tip);
        }
        let requested = value.unsigned_abs();
        if requested < Seq::LIMIT {
            let too_old = floor > 0 && requested.max(1) < self.stamps.seq(floor);
            return Ok(if too_old {
                CursorTarget::SeqTooOld { requested, floor }
            } else {
                CursorTarget::Event(event)
            });
        }
        let too_old = self.stamps.first_at(self.recorded_us(requested)) < floor;
        Ok(if too_old {
            CursorTarget::TimeTooOld { floor }
        } else {
            CursorTarget::Event(event.max(floor))
        })
    }

    /// Resolves a v1 cursor as a v2 server does (protocol/jetstream-v1.md §4.1).
    fn resolve_v2(&self, value: i64, now: Instant) -> Result<Option<u64>, InvalidCursor> {
        let value = u64::try_from(value).map_err(|_| InvalidCursor::Negative(value))?;
        if value < Seq::LIMIT {
            return Ok(Some(self.stamps.first_with_seq(value.max(1))));
        }
        let recorded_us = self.recorded_us(value);
        if recorded_us > self.clock_us(now) {
            return Ok(None);
        }
        // Only sealed segments have a time index.
        Ok(Some(self.stamps.first_at(recorded_us).min(self.sealed(now))))
    }

    /// Converts a served time to the recording's time.
    fn recorded_us(&self, served_us: u64) -> u64 {
        served_us.saturating_add_signed(self.shift_us().saturating_neg())
    }

    /// Resolves a v1 cursor as a legacy server does (protocol/jetstream-v1.md §4.2).
    fn resolve_legacy(&self, value: i64, now: Instant) -> Option<u64> {
        let shift_us = self.shift_us();
        let clock_us = self.clock_us(now).saturating_add_signed(shift_us);
        if u64::try_from(value).is_ok_and(|v| v > clock_us) {
            return None;
        }
        // Keys are compared as decimal strings. If the cursor has as many digits as the keys,
        // string order equals numeric order. Otherwise all keys are on one side of it, unless they
        // share their first digits.
        let text = value.to_string();
        let first_us = self.stamps.max_time_us(0).saturating_add_signed(shift_us);
        if text.len() == first_us.to_string().len() {
            let value = u64::try_from(value).unwrap_or(0);
            return Some(self.stamps.first_at(self.recorded_us(value)));
        }
        Some(self.first_key_from(&text, self.tip(now)))
    }

    /// Returns the first of `tip` events whose time, as a decimal string, is not below `text`.
    fn first_key_from(&self, text: &str, tip: u64) -> u64 {
        let shift_us = self.shift_us();
        let (mut low, mut high) = (0, tip);
        while low < high {
            let middle = low + (high - low) / 2;
            let key = self.stamps.max_time_us(middle).saturating_add_signed(shift_us).to_string();
            if key.as_str() < text {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Go accepts a plus sign in integers, and so does Rust.
fn parse_cursor(cursor: &str) -> Result<i64, InvalidCursor> {
    cursor.parse().map_err(|_| InvalidCursor::NotAnInteger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::timeline::tests::{T, timeline};

    #[test]
    fn v2_reads_small_cursors_as_seqs_and_large_ones_as_times() {
        let (timeline, now) = timeline(ServerKind::V2, 20_020, "max", false);
        let resolve = |c: &str| timeline.resolve(c, now);
        assert_eq!(resolve("0"), Ok(Some(0)));
        assert_eq!(resolve("7"), Ok(Some(6)));
        assert_eq!(resolve("20021"), Ok(None));
        assert_eq!(resolve(&(T + 700_000).to_string()), Ok(Some(7)));
        assert_eq!(resolve(&(T + 700_001).to_string()), Ok(Some(8)));
        assert_eq!(resolve("1000000000000000"), Ok(Some(0)));
        let in_active_segment = T + 20_007 * 100_000;
        assert_eq!(resolve(&in_active_segment.to_string()), Ok(Some(20_000)));
        assert_eq!(resolve(&i64::MAX.to_string()), Ok(None));
        assert_eq!(resolve("-1"), Err(InvalidCursor::Negative(-1)));
        for bad in ["x", "1.5", " 1", "9223372036854775808"] {
            assert_eq!(resolve(bad), Err(InvalidCursor::NotAnInteger), "{bad}");
        }
    }

    #[test]
    fn the_v2_stream_distinguishes_old_cursors() {
        let (timeline, now) = timeline(ServerKind::V2, 20_020, "max", false);
        let place =
            |timeline: &Timeline, c: u64| timeline.resolve_v2_stream(&c.to_string(), now).unwrap();
        assert_eq!(place(&timeline, 0), CursorTarget::Event(0));
        let timeline = timeline.with_held_events(50);
        assert_eq!(place(&timeline, 0), CursorTarget::SeqTooOld { requested: 0, floor: 19_970 });
        assert_eq!(
            place(&timeline, 19_970),
            CursorTarget::SeqTooOld { requested: 19_970, floor: 19_970 }
        );
        assert_eq!(place(&timeline, 19_971), CursorTarget::Event(19_970));
        assert_eq!(place(&timeline, 20_021), CursorTarget::Tip);
        let at = |event: u64| T + event * 100_000;
        assert_eq!(place(&timeline, at(19_969)), CursorTarget::TimeTooOld { floor: 19_970 });
        assert_eq!(place(&timeline, at(19_970)), CursorTarget::Event(19_970));
        assert_eq!(place(&timeline, at(20_010)), CursorTarget::Event(20_000), "coarse");
        assert_eq!(place(&timeline, at(30_000)), CursorTarget::Tip);
    }

    #[test]
    fn retention_is_rounded_to_segments_and_keeps_unsealed_events() {
        let (timeline, now) = timeline(ServerKind::V2, 20_020, "max", false);
        for (events, floor) in
            [(30_000, 0), (15_000, 0), (10_020, 10_000), (20, 20_000), (3, 20_000)]
        {
            let (timeline, _) = self::timeline(ServerKind::V2, 20_020, "max", false);
            assert_eq!(timeline.with_retention(events).floor(now), floor, "{events}");
        }
        let without = timeline.with_retention(0);
        assert_eq!(without.resolve_v2_stream("5", now), Ok(CursorTarget::Tip));
    }

    #[test]
    fn a_legacy_cursor_after_the_last_event_starts_again_from_the_oldest() {
        let (timeline, start) = timeline(ServerKind::Legacy, 20, "1x", false);
        // Between two events, the newer of which has not happened yet.
        let now = start + std::time::Duration::from_millis(1_060);
        let last = timeline.stamps.max_time_us(timeline.tip(now) - 1);
        let resolve = |time_us: u64| timeline.resolve(&time_us.to_string(), now);
        assert!(last < timeline.clock_us(now));
        assert_eq!(resolve(last), Ok(Some(timeline.tip(now) - 1)));
        assert_eq!(resolve(last + 1), Ok(Some(0)));
        assert_eq!(resolve(timeline.clock_us(now) + 1), Ok(None));
    }

    #[test]
    fn legacy_compares_short_cursors_as_strings() {
        let (timeline, now) = timeline(ServerKind::Legacy, 20, "max", false);
        let resolve = |c: &str| timeline.resolve(c, now);
        assert_eq!(resolve(&(T + 700_000).to_string()), Ok(Some(7)));
        assert_eq!(resolve(&(T + 699_999).to_string()), Ok(Some(7)));
        assert_eq!(resolve(&(T - 1).to_string()), Ok(Some(0)));
        assert_eq!(resolve(&(T + 3_000_000).to_string()), Ok(None));
        // "12345" is below every key "1783…"; "2" is above all of them.
        assert_eq!(resolve("12345"), Ok(Some(0)));
        assert_eq!(resolve("2"), Ok(None));
        assert_eq!(resolve("-5"), Ok(Some(0)));
        assert_eq!(resolve("soon"), Err(InvalidCursor::NotAnInteger));
    }
}
