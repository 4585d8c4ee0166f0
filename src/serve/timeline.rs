//! The playhead that all connections share: which events have happened, when the next one is due,
//! which are sealed, and which can be replayed. `cursor` resolves cursors.
//!
//! All functions take the time as an argument. At rate `max` there is no clock: the whole recording
//! has happened. At any other rate the playhead starts when the first client connects, and the
//! events before it are history.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

use super::rate::Rate;
use super::stamps::Stamps;

/// Default number of events per segment.
pub const DEFAULT_SEGMENT_EVENTS: u64 = 10_000;

/// Delay between the first connection and the first event, so that this connection, which starts at
/// the playhead, receives it.
const LEAD_IN: Duration = Duration::from_millis(1);

/// The playhead of a recording.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) stamps: Stamps,
    rate: Rate,
    looping: bool,
    restamp: bool,
    /// Number of events that happened before the playhead starts.
    history: u64,
    /// Number of events of a round that ever happen.
    round_events: u64,
    /// Delay of every event relative to the recording.
    behind: Duration,
    /// `--chaos clamp`: number of events that the server holds, not rounded to segments.
    held_events: Option<u64>,
    /// Number of events that the streams can replay; 0: none.
    retention: Option<u64>,
    /// Events per segment of the log.
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

    /// Puts the tip `behind` before the recording's end. At rate `max` later events never happen;
    /// at other rates every event is delayed. A loop at rate `max` has no end.
    pub(super) fn with_tip_behind(mut self, behind: Duration) -> Self {
        self.behind = behind;
        if self.rate == Rate::Max {
            let behind_us = u64::try_from(behind.as_micros()).unwrap_or(u64::MAX);
            let last_us = self.stamps.max_time_us(self.stamps.len() - 1);
            let tip_us = last_us.saturating_sub(behind_us);
            self.round_events = self.stamps.first_at(tip_us + 1).min(self.stamps.len());
        }
        self
    }

    /// Limits the number of events that the server holds.
    pub(super) fn with_held_events(mut self, events: u64) -> Self {
        self.held_events = Some(events);
        self
    }

    /// Limits replays to this many events, rounded up to the start of a segment; unsealed events
    /// are always available. 0: no replay.
    pub(super) fn with_retention(mut self, events: u64) -> Self {
        self.retention = Some(events);
        self
    }

    /// Sets the number of events per segment, at least one.
    pub(super) fn with_segment_events(mut self, events: u64) -> Self {
        self.segment_events = events.max(1);
        self
    }

    pub(super) fn segment_events(&self) -> u64 {
        self.segment_events
    }

    /// Returns the number of events in sealed segments; later events are in the active segment.
    pub(super) fn sealed(&self, now: Instant) -> u64 {
        let tip = self.tip(now);
        tip - tip % self.segment_events
    }

    /// Returns the oldest event that a stream may start at (the lookback floor). A loop at rate
    /// `max` has no tip to count from and holds everything.
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

    /// Starts the playhead, unless it is running. `wall_us` is the time of day in Unix
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

    /// Returns the offset that `--restamp` adds to every time, in microseconds; 0 before the start.
    pub(super) fn shift_us(&self) -> i64 {
        self.started.get().map_or(0, |s| s.shift_us)
    }

    /// Returns the number of events that ever happen; `None` for a loop.
    pub(super) fn end(&self) -> Option<u64> {
        (!self.looping).then_some(self.round_events)
    }

    /// Returns whether playback follows a clock.
    pub(super) fn is_paced(&self) -> bool {
        self.rate != Rate::Max
    }

    /// Returns the number of events that have happened.
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

    /// Returns the recorded time of the last event that live connections received; 0 if none
    /// happened since the start. A legacy server compares a replay with it and not with the clock
    /// (protocol/jetstream-v1.md §12).
    pub(super) fn emitted_us(&self, now: Instant) -> u64 {
        let tip = self.tip(now);
        if tip > self.history && self.is_paced() { self.stamps.max_time_us(tip - 1) } else { 0 }
    }

    /// Returns when an event is due; `None` if it never happens, or the playhead has not started.
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

    /// Returns the served clock in recorded time, before `shift_us` is added.
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

    /// Returns the delay between the start and the first event.
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

    /// Returns the microseconds since the first event; `None` before it.
    fn played_us(&self, now: Instant) -> Option<f64> {
        let elapsed = now.checked_duration_since(self.started.get()?.at)?;
        Some(elapsed.checked_sub(self.lead_in())?.as_secs_f64() * 1e6)
    }

    /// Returns the event at which a connection without a cursor starts.
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

    /// Returns a timeline of events 100 ms apart, starting at `T`.
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
    fn a_loop_continues_one_second_after_its_span() {
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
