//! Whether a connection is alive: ours to prove, since a peer may vanish without a word, or
//! answer pings and send nothing. Pure: it is told the time and what was counted.

use std::time::{Duration, Instant};

/// The limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Silence after which to ping.
    pub ping_after: Duration,
    /// Time for any message to come back after that.
    pub pong_timeout: Duration,
    /// Time without an event after which the stream counts as dead; `None` for never.
    pub stall_timeout: Option<Duration>,
    /// The longest silence of this server that is known to have ended well.
    pub longest_quiet: Duration,
}

/// A stream may be silent for this many times the longest silence that it was well after: with
/// events at random, one silence in some hundred is four times as long as most.
const QUIET_FACTOR: u32 = 4;
/// Silences shorter than this part of the stall timeout say nothing.
const QUIET_PART: u32 = 4;
/// A stream without any longer silence for this many stall timeouts is a busy one again.
const BUSY_FOR: u32 = 10;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Wait,
    /// Send a ping.
    Ping,
    /// Give the connection up.
    GiveUp(Dead),
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dead {
    /// Nothing came back after a ping.
    #[error("no answer to a ping for {0:?}")]
    NoPong(Duration),
    /// No event for the stall timeout.
    #[error("no event for {0:?}")]
    Stalled(Duration),
}

/// The state of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Liveness {
    limits: Limits,
    messages: u64,
    events: u64,
    last_message: Instant,
    last_event: Instant,
    longest_quiet: Duration,
    busy_since: Instant,
    pinged: Option<Instant>,
}

impl Liveness {
    /// A connection that was made `now`.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            messages: 0,
            events: 0,
            last_message: now,
            last_event: now,
            longest_quiet: limits.longest_quiet,
            busy_since: now,
            pinged: None,
        }
    }

    /// Judges the connection from how many messages (events and answers to pings alike) and
    /// events it has brought up to `now`. Bytes alone prove nothing: a peer could send one a
    /// second for ever.
    pub fn check(&mut self, now: Instant, messages: u64, events: u64) -> Action {
        if messages != self.messages {
            (self.messages, self.last_message, self.pinged) = (messages, now, None);
        }
        if events != self.events {
            self.end_quiet(now);
            (self.events, self.last_event) = (events, now);
        }
        if let Some(limit) = self.stall_limit()
            && now.duration_since(self.last_event) >= limit
        {
            return Action::GiveUp(Dead::Stalled(limit));
        }
        match self.pinged {
            Some(at) if now.duration_since(at) >= self.limits.pong_timeout => {
                Action::GiveUp(Dead::NoPong(self.limits.pong_timeout))
            }
            Some(_) => Action::Wait,
            None if now.duration_since(self.last_message) >= self.limits.ping_after => {
                self.pinged = Some(now);
                Action::Ping
            }
            None => Action::Wait,
        }
    }

    /// We did not read for a while, by our own choice: the silence was ours.
    pub fn excuse(&mut self, now: Instant) {
        (self.last_message, self.last_event, self.pinged) = (now, now, None);
    }

    /// Returns how long the stream may bring no event although pings are answered.
    #[must_use]
    pub fn stall_limit(&self) -> Option<Duration> {
        let own = self.longest_quiet.saturating_mul(QUIET_FACTOR);
        self.limits.stall_timeout.map(|stall| stall.max(own))
    }

    /// Returns the longest silence of this server that has ended well, as far as that matters.
    #[must_use]
    pub fn longest_quiet(&self) -> Duration {
        self.longest_quiet
    }

    /// An event has come after some silence.
    fn end_quiet(&mut self, now: Instant) {
        let Some(stall) = self.limits.stall_timeout else { return };
        let quiet = now.duration_since(self.last_event);
        if quiet >= stall / QUIET_PART {
            self.longest_quiet = self.longest_quiet.max(quiet);
            self.busy_since = now;
        } else if now.duration_since(self.busy_since) >= stall.saturating_mul(BUSY_FOR) {
            self.longest_quiet = Duration::ZERO;
        }
    }

    /// How long no event has come.
    #[must_use]
    pub fn quiet_for(&self, now: Instant) -> Duration {
        now.duration_since(self.last_event)
    }

    /// How often to check, so that no limit is missed by much.
    #[must_use]
    pub fn interval(limits: &Limits) -> Duration {
        let shortest = limits.ping_after.min(limits.pong_timeout);
        let shortest = limits.stall_timeout.map_or(shortest, |stall| stall.min(shortest));
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn limits(stall: Option<Duration>) -> Limits {
        let longest_quiet = Duration::ZERO;
        Limits { ping_after: 15 * S, pong_timeout: 10 * S, stall_timeout: stall, longest_quiet }
    }

    #[test]
    fn a_quiet_connection_is_pinged_once_and_lives_when_it_answers() {
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
    fn a_vanished_peer_is_given_up() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(None), start);
        assert_eq!(live.check(start + 15 * S, 0, 0), Action::Ping);
        assert_eq!(live.check(start + 25 * S, 0, 0), Action::GiveUp(Dead::NoPong(10 * S)));
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
        assert_eq!(live.check(start + 60 * S, 60, 0), Action::GiveUp(Dead::Stalled(60 * S)));
    }

    #[test]
    fn a_stream_that_was_quiet_before_may_be_quiet_again_until_it_is_busy() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        live.check(start + S, 1, 1);
        assert_eq!(live.stall_limit(), Some(60 * S));
        assert_eq!(live.check(start + 51 * S, 2, 2), Action::Wait);
        assert_eq!(live.stall_limit(), Some(200 * S));
        assert_eq!(live.check(start + 200 * S, 30, 2), Action::Wait);
        assert_eq!(live.check(start + 251 * S, 40, 2), Action::GiveUp(Dead::Stalled(200 * S)));
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        live.check(start + 50 * S, 1, 1);
        for second in 51..=651 {
            live.check(start + second * S, u64::from(second), u64::from(second));
        }
        assert_eq!(live.stall_limit(), Some(60 * S));
    }

    #[test]
    fn our_own_silence_is_excused() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        live.excuse(start + 300 * S);
        assert_eq!(live.check(start + 301 * S, 0, 0), Action::Wait);
    }
}
