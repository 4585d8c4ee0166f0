//! How far a server has come that sends nothing: a connection that works, and whose filter lets few
//! events through, must not keep the other stream's events waiting. Pure.

use std::time::{Duration, Instant};

use crate::position::TimeUs;

/// How old an event may be when a server sends it live, in microseconds.
const LATENCY_US: u64 = 10_000_000;

/// A longer pause between two calls means that this process did not read: then silence proves
/// nothing.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A stream whose clock is this near to this machine's, in microseconds, is no replay.
const NEAR_US: u64 = 60_000_000;

/// What is known of one stream.
#[derive(Debug)]
pub(super) struct SilenceClock {
    window: Duration,
    /// Since when the present connection works.
    connected: Option<Instant>,
    /// Since when there is no connection.
    away: Option<Instant>,
    /// Since when no event has come.
    quiet: Instant,
    /// Events so far.
    events: u64,
    /// How long a replay may take before its silence proves anything: as long as the connection
    /// was away. `None` if the run began in the past and has not caught up yet.
    replay: Option<Duration>,
    latest_call: Instant,
}

/// One look at a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    pub(super) now: Instant,
    /// This machine's clock.
    pub(super) now_us: TimeUs,
    pub(super) is_connected: bool,
    /// Events received so far.
    pub(super) events: u64,
    /// The stream's clock.
    pub(super) clock: TimeUs,
}

impl SilenceClock {
    /// Returns the state of a stream that is not connected yet. `is_live` says whether it starts
    /// at its live tip.
    pub(super) fn new(window: Duration, now: Instant, is_live: bool) -> Self {
        Self {
            window,
            connected: None,
            away: None,
            quiet: now,
            events: 0,
            replay: is_live.then_some(Duration::ZERO),
            latest_call: now,
        }
    }

    /// Returns since when the connection has brought no event; `None` without a connection.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.connected.map(|connected| connected.max(self.quiet))
    }

    /// Returns how far the stream has come: its own clock, or almost this machine's once a
    /// connection has worked for the window, and for as long as a replay takes, without an event.
    pub(super) fn reached(&mut self, seen: Observation) -> TimeUs {
        let Observation { now, now_us, is_connected, events, clock } = seen;
        let paused = now.saturating_duration_since(self.latest_call) > MAX_PAUSE;
        self.latest_call = now;
        if paused || events != self.events {
            (self.quiet, self.events) = (now, events);
        }
        if clock.plus_us(NEAR_US) >= now_us && self.replay.is_none() {
            self.replay = Some(Duration::ZERO);
        }
        if !is_connected {
            self.connected = None;
            self.away.get_or_insert(now);
            return clock;
        }
        if self.connected.is_none() {
            self.connected = Some(now);
            let away = self.away.take().map_or(Duration::ZERO, |away| now - away);
            self.replay = self.replay.map(|_| away);
        }
        let since = self.connected.map_or(now, |connected| connected.max(self.quiet));
        match self.replay {
            Some(replay) if now - since >= self.window + replay => {
                clock.max(now_us.minus_us(LATENCY_US))
            }
            _ => clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;
    /// 2026 in seconds.
    const NOW: u64 = 1_783_000_000;

    struct Stream {
        clock: SilenceClock,
        start: Instant,
    }

    impl Stream {
        fn new(is_live: bool) -> Self {
            let start = Instant::now();
            Self { clock: SilenceClock::new(Duration::from_secs(60), start, is_live), start }
        }

        /// Returns how far the stream has come in each second, in seconds before or after `NOW`.
        fn run(&mut self, seconds: std::ops::Range<u64>, connected: bool, events: u64) -> Vec<i64> {
            seconds
                .map(|s| {
                    let reached = self.clock.reached(Observation {
                        now: self.start + Duration::from_secs(s),
                        now_us: TimeUs((NOW + s) * S),
                        is_connected: connected,
                        events,
                        clock: TimeUs((NOW - 100) * S),
                    });
                    (reached.0 / S) as i64 - NOW as i64
                })
                .collect()
        }
    }

    #[test]
    fn a_silent_connection_has_passed_the_window_after_the_window() {
        let mut stream = Stream::new(true);
        assert!(stream.run(0..60, true, 5).iter().all(|at| *at == -100));
        assert_eq!(stream.run(60..62, true, 5), [50, 51]);
        // An event, and the silence begins again.
        assert!(stream.run(62..122, true, 6).iter().all(|at| *at == -100));
        assert_eq!(stream.run(122..123, true, 6), [112]);
    }

    #[test]
    fn a_connection_that_was_away_gets_as_long_again() {
        let mut stream = Stream::new(true);
        stream.run(0..10, true, 5);
        assert!(stream.run(10..40, false, 5).iter().all(|at| *at == -100));
        // 40 + 60 + 30
        assert!(stream.run(40..130, true, 5).iter().all(|at| *at == -100));
        assert_eq!(stream.run(130..131, true, 5), [120]);
    }

    #[test]
    fn a_replay_from_long_ago_proves_nothing_until_it_has_caught_up() {
        let mut stream = Stream::new(false);
        assert!(stream.run(0..500, true, 5).iter().all(|at| *at == -100));
    }

    #[test]
    fn a_process_that_did_not_read_learns_nothing_from_silence() {
        let mut stream = Stream::new(true);
        stream.run(0..1, true, 5);
        assert_eq!(stream.run(100..101, true, 5), [-100]);
        assert_eq!(stream.run(160..161, true, 5), [-100]);
    }
}
