//! Decides whether a connection is alive. A peer may vanish without closing the connection, or
//! answer pings and send no events. No I/O: the caller passes the time and the counters.

use std::time::{Duration, Instant};

/// The limits of one connection.
#[derive(Clone, Copy, Debug)]
pub struct LivenessLimits {
    /// How long the peer may be silent before a ping.
    pub ping_after: Duration,
    /// How long to wait for a message after the ping.
    pub pong_timeout: Duration,
    /// How long a stream may bring no event before it counts as dead; `None` for ever.
    pub stall_timeout: Option<Duration>,
    /// The longest silence of this server after which events came again.
    pub longest_silence: Duration,
}

/// A stream may be silent for this multiple of its longest earlier silence. With random events,
/// about one silence in a hundred is four times as long as most.
const SILENCE_FACTOR: u32 = 4;
/// Silences shorter than the stall timeout divided by this do not matter.
const MIN_SILENCE_DIVISOR: u32 = 4;
/// A stream without a longer silence for this many stall timeouts counts as busy again.
const BUSY_AFTER_TIMEOUTS: u32 = 10;

/// What the caller must do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Wait,
    /// Send a ping.
    Ping,
    /// Drop the connection.
    GiveUp(LivenessFailure),
}

/// Why a connection counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LivenessFailure {
    /// No message came for this long after a ping.
    #[error("no answer to a ping for {0:?}")]
    NoPong(Duration),
    /// No event came for this long.
    #[error("no event for {0:?}")]
    Stalled(Duration),
}

/// Watches one connection.
#[derive(Clone, Copy, Debug)]
pub struct Liveness {
    limits: LivenessLimits,
    messages: u64,
    events: u64,
    last_message: Instant,
    last_event: Instant,
    longest_silence: Duration,
    busy_since: Instant,
    pinged: Option<Instant>,
}

impl Liveness {
    /// Starts to watch a connection that was opened `now`.
    #[must_use]
    pub fn new(limits: LivenessLimits, now: Instant) -> Self {
        Self {
            limits,
            messages: 0,
            events: 0,
            last_message: now,
            last_event: now,
            longest_silence: limits.longest_silence,
            busy_since: now,
            pinged: None,
        }
    }

    /// Checks the connection. `messages` and `events` are its totals at `now`; pongs are messages,
    /// too. Bytes alone do not count: a peer could send one a second for ever.
    pub fn check(&mut self, now: Instant, messages: u64, events: u64) -> Action {
        if messages != self.messages {
            (self.messages, self.last_message, self.pinged) = (messages, now, None);
        }
        if events != self.events {
            self.on_event(now);
            (self.events, self.last_event) = (events, now);
        }
        if let Some(limit) = self.stall_limit()
            && now.duration_since(self.last_event) >= limit
        {
            return Action::GiveUp(LivenessFailure::Stalled(limit));
        }
        match self.pinged {
            Some(at) if now.duration_since(at) >= self.limits.pong_timeout => {
                Action::GiveUp(LivenessFailure::NoPong(self.limits.pong_timeout))
            }
            Some(_) => Action::Wait,
            None if now.duration_since(self.last_message) >= self.limits.ping_after => {
                self.pinged = Some(now);
                Action::Ping
            }
            None => Action::Wait,
        }
    }

    /// Resets all timers, after a time in which the client itself did not read.
    pub fn reset_timers(&mut self, now: Instant) {
        (self.last_message, self.last_event, self.pinged) = (now, now, None);
    }

    /// Returns how long the stream may bring no event while the peer answers pings.
    #[must_use]
    pub fn stall_limit(&self) -> Option<Duration> {
        let tolerated = self.longest_silence.saturating_mul(SILENCE_FACTOR);
        self.limits.stall_timeout.map(|stall| stall.max(tolerated))
    }

    /// Returns the longest silence of this server after which events came again; zero for a busy
    /// stream.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        self.longest_silence
    }

    /// Records the silence that an event has ended.
    fn on_event(&mut self, now: Instant) {
        let Some(stall) = self.limits.stall_timeout else { return };
        let silence = now.duration_since(self.last_event);
        if silence >= stall / MIN_SILENCE_DIVISOR {
            self.longest_silence = self.longest_silence.max(silence);
            self.busy_since = now;
        } else if now.duration_since(self.busy_since) >= stall.saturating_mul(BUSY_AFTER_TIMEOUTS) {
            self.longest_silence = Duration::ZERO;
        }
    }

    /// Returns the time since the last event.
    #[must_use]
    pub fn idle_for(&self, now: Instant) -> Duration {
        now.duration_since(self.last_event)
    }

    /// Returns how often to check, so that no limit is exceeded by much.
    #[must_use]
    pub fn interval(limits: &LivenessLimits) -> Duration {
        let shortest = limits.ping_after.min(limits.pong_timeout);
        let shortest = limits.stall_timeout.map_or(shortest, |stall| stall.min(shortest));
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn limits(stall: Option<Duration>) -> LivenessLimits {
        let longest_silence = Duration::ZERO;
        LivenessLimits {
            ping_after: 15 * S,
            pong_timeout: 10 * S,
            stall_timeout: stall,
            longest_silence,
        }
    }

    #[test]
    fn a_silent_connection_is_pinged_once_and_lives_when_it_answers() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(None), start);
        assert_eq!(live.check(start + 14 * S, 0, 0), Action::Wait);
        assert_eq!(live.check(start + 15 * S, 0, 0), Action::Ping);
        assert_eq!(live.check(start + 16 * S, 0, 0), Action::Wait);
        assert_eq!(live.check(start + 17 * S, 1, 0), Action::Wait);
        assert_eq!(live.check(start + 31 * S, 1, 0), Action::Wait);
        assert_eq!(live.check(start + 32 * S, 1, 0), Action::Ping);
    }

    #[test]
    fn a_vanished_peer_is_dropped() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(None), start);
        assert_eq!(live.check(start + 15 * S, 0, 0), Action::Ping);
        assert_eq!(
            live.check(start + 25 * S, 0, 0),
            Action::GiveUp(LivenessFailure::NoPong(10 * S))
        );
    }

    #[test]
    fn answered_pings_do_not_hide_a_stall() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        for second in 1..60 {
            assert!(!matches!(
                live.check(start + second * S, u64::from(second), 0),
                Action::GiveUp(_)
            ));
        }
        assert_eq!(
            live.check(start + 60 * S, 60, 0),
            Action::GiveUp(LivenessFailure::Stalled(60 * S))
        );
    }

    #[test]
    fn a_stream_that_was_silent_before_may_be_silent_again_until_it_is_busy() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        live.check(start + S, 1, 1);
        assert_eq!(live.stall_limit(), Some(60 * S));
        assert_eq!(live.check(start + 51 * S, 2, 2), Action::Wait);
        assert_eq!(live.stall_limit(), Some(200 * S));
        assert_eq!(live.check(start + 200 * S, 30, 2), Action::Wait);
        assert_eq!(
            live.check(start + 251 * S, 40, 2),
            Action::GiveUp(LivenessFailure::Stalled(200 * S))
        );
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        live.check(start + 50 * S, 1, 1);
        for second in 51..=651 {
            live.check(start + second * S, u64::from(second), u64::from(second));
        }
        assert_eq!(live.stall_limit(), Some(60 * S));
    }

    #[test]
    fn a_pause_of_the_client_does_not_count_as_silence() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        live.reset_timers(start + 300 * S);
        assert_eq!(live.check(start + 301 * S, 0, 0), Action::Wait);
    }
}
