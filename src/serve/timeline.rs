//! The playhead that all connections share: which events have happened by now, when the next
//! one will, which are sealed, and which are still held. What a cursor means is `cursor`'s.
//!
//! Time is always passed in. At rate `max` there is no clock: the whole recording has
//! happened. At any other rate the playhead starts when the first client connects, and what
//! lies behind it is history.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

use super::rate::Rate;
use super::stamps::Stamps;

/// Events in a segment where nothing else is asked for.
pub const DEFAULT_SEGMENT_EVENTS: u64 = 10_000;

/// How long after the first connection the first event happens, so that this connection,
/// which starts at the playhead, gets it.
const LEAD_IN: Duration = Duration::from_millis(1);

/// The playhead over a recording.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) stamps: Stamps,
    rate: Rate,
    looping: bool,
    restamp: bool,
    /// Events that have happened before the playhead starts.
    history: u64,
    /// Events of a round that ever happen.
    round_events: u64,
    /// How much later than recorded everything happens.
    behind: Duration,
    /// Events that the server holds on purpose of chaos, to the event.
    held_events: Option<u64>,
    /// Events that the streams hold; 0: they replay nothing.
    retention: Option<u64>,
    /// Events in a segment of the v2 server's log.
    segment_events: u64,
    started: OnceLock<PlaybackStart>,
}

#[derive(Clone, Copy, Debug)]
struct PlaybackStart {
    at: Instant,
    shift_us: i64,
}

impl Timeline {
    pub(super) fn new(
        stamps: Stamps,
        rate: Rate,
        looping: bool,
        restamp: bool,
        history: u64,
    ) -> Self {
        let history = history.min(stamps.len());
        Self {
            round_events: stamps.len(),
            behind: Duration::ZERO,
            held_events: None,
            retention: None,
            segment_events: DEFAULT_SEGMENT_EVENTS,
            stamps,
            rate,
            looping,
            restamp,
            history,
            started: OnceLock::new(),
        }
    }

    /// Puts the tip `behind` the recording's end: at rate `max` the events of that time never
    /// happen, at other rates all come so much later. A loop at rate `max` has no end.
    pub(super) fn behind(mut self, behind: Duration) -> Self {
        self.behind = behind;
        if self.rate == Rate::Max {
            let behind_us = u64::try_from(behind.as_micros()).unwrap_or(u64::MAX);
            let last_us = self.stamps.max_time_us(self.stamps.len() - 1);
            let tip_us = last_us.saturating_sub(behind_us);
            self.round_events = self.stamps.first_at(tip_us + 1).min(self.stamps.len());
        }
        self
    }

    /// Makes the server hold only so many events.
    pub(super) fn with_held_events(mut self, events: u64) -> Self {
        self.held_events = Some(events);
        self
    }

    /// Makes the streams hold so many events and the rest of the segment that the oldest of
    /// them lies in, and always what is not sealed; 0: they replay nothing.
    pub(super) fn with_retention(mut self, events: u64) -> Self {
        self.retention = Some(events);
        self
    }

    /// Makes segments of so many events, at least one.
    pub(super) fn with_segment_events(mut self, events: u64) -> Self {
        self.segment_events = events.max(1);
        self
    }

    /// Events in a segment.
    pub(super) fn segment_events(&self) -> u64 {
        self.segment_events
    }

    /// The number of events in sealed segments. What follows is the active one.
    pub(super) fn sealed(&self, now: Instant) -> u64 {
        let tip = self.tip(now);
        tip - tip % self.segment_events
    }

    /// The oldest event that a stream may start at. A loop at rate `max` has no tip to count
    /// from, and holds everything.
    pub(super) fn floor(&self, now: Instant) -> u64 {
        let tip = self.tip(now);
        if tip == u64::MAX {
            return 0;
        }
        let held = self.held_events.map_or(0, |events| tip.saturating_sub(events));
        let retained = match self.retention {
            None => 0,
            Some(0) => tip,
            Some(events) => {
                let oldest = tip.saturating_sub(events);
                oldest - oldest % self.segment_events
            }
        };
        held.max(retained)
    }

    /// Starts the playhead, unless it runs already. `wall_us` is the time of day in unix
    /// microseconds.
    pub(super) fn start(&self, now: Instant, wall_us: u64) {
        self.started.get_or_init(|| {
            let shift = |event| {
                let recorded = self.stamps.max_time_us(event);
                let shift = i64::try_from(i128::from(wall_us) - i128::from(recorded));
                shift.unwrap_or(0).saturating_add(self.stamps.clock_error_us())
            };
            let shift_us = match (self.restamp, self.rate) {
                (false, _) => 0,
                (true, Rate::Max) => shift(self.stamps.len() - 1),
                (true, _) => shift(self.history),
            };
            PlaybackStart { at: now, shift_us }
        });
    }

    /// What `--restamp` adds to every time; 0 before the start.
    pub(super) fn shift_us(&self) -> i64 {
        self.started.get().map_or(0, |s| s.shift_us)
    }

    /// The number of events after which nothing follows; `None` where it starts again.
    pub(super) fn end(&self) -> Option<u64> {
        (!self.looping).then_some(self.round_events)
    }

    /// Whether the recording has a clock.
    pub(super) fn is_paced(&self) -> bool {
        self.rate != Rate::Max
    }

    /// The number of events that have happened.
    pub(super) fn tip(&self, now: Instant) -> u64 {
        let end = self.end().unwrap_or(u64::MAX);
        let tip = match (self.rate, self.played_us(now)) {
            (Rate::Max, _) => end,
            (_, None) => self.history,
            (Rate::PerSecond(rate), Some(us)) => {
                let events = (us * rate / 1e6) as u64 + 1;
                self.history.saturating_add(events)
            }
            (Rate::Speed(_), Some(_)) => {
                self.stamps.first_at(self.clock_us(now).saturating_add(1)).max(self.history)
            }
        };
        tip.min(end)
    }

    /// The recorded time of the last event that live connections got; 0 as long as none
    /// happened since the start. A legacy server measures a replay against it, not against
    /// the clock (protocol/jetstream-v1.md §12).
    pub(super) fn emitted_us(&self, now: Instant) -> u64 {
        let tip = self.tip(now);
        if tip > self.history && self.is_paced() { self.stamps.max_time_us(tip - 1) } else { 0 }
    }

    /// When an event happens; `None` where it never does, or is not known to.
    pub(super) fn due_at(&self, event: u64) -> Option<Instant> {
        if self.end().is_some_and(|end| event >= end) {
            return None;
        }
        let ahead = event.saturating_sub(self.history);
        let seconds = match self.rate {
            Rate::Max => return None,
            Rate::PerSecond(rate) => ahead as f64 / rate,
            Rate::Speed(speed) => {
                let from = self.stamps.max_time_us(self.history);
                self.stamps.max_time_us(event).saturating_sub(from) as f64 / 1e6 / speed
            }
        };
        let offset = Duration::try_from_secs_f64(seconds).ok()?;
        self.started.get()?.at.checked_add(self.lead_in())?.checked_add(offset)
    }

    /// What the served clock shows, in recorded time (before `shift_us`).
    pub(super) fn clock_us(&self, now: Instant) -> u64 {
        match (self.rate, self.played_us(now)) {
            (Rate::Max, _) => match self.end() {
                Some(end) => self.stamps.max_time_us(end.saturating_sub(1)),
                None => u64::MAX,
            },
            (Rate::Speed(speed), Some(us)) => {
                self.stamps.max_time_us(self.history).saturating_add((us * speed) as u64)
            }
            _ => self.stamps.max_time_us(self.tip(now).saturating_sub(1)),
        }
    }

    /// How long after the start the first event happens.
    fn lead_in(&self) -> Duration {
        let behind = match self.rate {
            Rate::Speed(speed) => {
                let seconds = self.behind.as_secs_f64() / speed;
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
            Rate::Max | Rate::PerSecond(_) => self.behind,
        };
        LEAD_IN.saturating_add(behind)
    }

    /// Microseconds since the first event happened; `None` before.
    fn played_us(&self, now: Instant) -> Option<f64> {
        let elapsed = now.checked_duration_since(self.started.get()?.at)?;
        Some(elapsed.checked_sub(self.lead_in())?.as_secs_f64() * 1e6)
    }

    /// Where a connection without a cursor starts.
    pub(super) fn live_start(&self, now: Instant) -> u64 {
        if self.is_paced() { self.tip(now) } else { 0 }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::position::ServerKind;
    use crate::serve::recording::Recording;

    pub(in crate::serve) const T: u64 = 1_783_175_888_000_000;

    /// Events 100 ms apart, from `T` on.
    pub(in crate::serve) fn timeline(
        kind: ServerKind,
        events: u64,
        rate: &str,
        looping: bool,
    ) -> (Timeline, Instant) {
        let line = |i| {
            format!(
                r#"{{"did":"did:plc:a","time_us":{},"kind":"identity","identity":{{"seq":{i}}}}}"#,
                T + i * 100_000
            )
        };
        let lines: Vec<String> = (0..events).map(line).collect();
        let recording = Recording::from_bytes(lines.join("\n").into_bytes(), "x").unwrap();
        let stamps = Stamps::new(recording, kind).unwrap();
        let timeline = Timeline::new(stamps, rate.parse().unwrap(), looping, false, 0);
        let now = Instant::now();
        timeline.start(now, 0);
        (timeline, now)
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + LEAD_IN + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_connection_of_a_paced_server_starts_before_the_first_event() {
        for rate in ["1x", "10/s"] {
            let (timeline, start) = timeline(ServerKind::V2, 20, rate, false);
            assert_eq!(timeline.live_start(start), 0);
            assert_eq!(timeline.live_start(after(start, 0)), 1);
            assert_eq!(timeline.tip(after(start, 250)), 3);
            assert_eq!(timeline.due_at(3), Some(after(start, 300)));
            assert_eq!(timeline.tip(after(start, 3_600_000)), 20);
            assert_eq!(timeline.due_at(20), None);
        }
    }

    #[test]
    fn a_loop_goes_on_after_the_span_and_one_second() {
        let (timeline, start) = timeline(ServerKind::V2, 20, "1x", true);
        assert_eq!(timeline.tip(after(start, 2_899)), 20);
        assert_eq!(timeline.tip(after(start, 2_900)), 21);
        assert_eq!(timeline.due_at(20), Some(after(start, 2_900)));
    }

    #[test]
    fn restamping_moves_the_playhead_to_now_and_cursors_with_it() {
        let (timeline, _) = timeline(ServerKind::Legacy, 20, "1x", false);
        let stamped = Timeline::new(timeline.stamps, Rate::Speed(1.0), false, true, 5);
        let (now, wall_us) = (Instant::now(), 1_795_000_000_000_000);
        stamped.start(now, wall_us);
        let line =
            String::from_utf8(stamped.stamps.line(5, 5, stamped.shift_us()).to_vec()).unwrap();
        assert!(line.contains(&format!("\"time_us\":{wall_us},")), "{line}");
        assert_eq!(stamped.live_start(now), 5);
        assert_eq!(stamped.resolve(&(wall_us - 200_000).to_string(), now), Ok(Some(3)));
    }
}
