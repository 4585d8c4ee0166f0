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
}

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
    pinged: Option<Instant>,
}

impl Liveness {
    /// A connection that was made `now`.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, messages: 0, events: 0, last_message: now, last_event: now, pinged: None }
    }

    /// Judges the connection from how many messages (events and answers to pings alike) and
    /// events it has brought up to `now`. Bytes alone prove nothing: a peer could send one a
    /// second for ever.
    pub fn check(&mut self, now: Instant, messages: u64, events: u64) -> Action {
        if messages != self.messages {
            (self.messages, self.last_message, self.pinged) = (messages, now, None);
        }
        if events != self.events {
            (self.events, self.last_event) = (events, now);
        }
        if let Some(limit) = self.limits.stall_timeout
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
        Limits { ping_after: 15 * S, pong_timeout: 10 * S, stall_timeout: stall }
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
    fn our_own_silence_is_excused() {
        let start = Instant::now();
        let mut live = Liveness::new(limits(Some(60 * S)), start);
        live.excuse(start + 300 * S);
        assert_eq!(live.check(start + 301 * S, 0, 0), Action::Wait);
    }
}
