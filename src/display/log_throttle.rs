//! Limits the rate of log lines. A server can trigger a line with each connection and each message,
//! for months, and the log must not grow with that. Pure: the time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Lines that a statement may log at once: more than an outage of some minutes produces, because
/// the delay between its connections grows.
const BURST: u32 = 10;

/// Each pause of this length before a line allows the statement one more line, up to [`BURST`]. A
/// statement that logs less often than this is never throttled.
const PAUSE: Duration = Duration::from_secs(30);

/// Maximum interval between two lines of a flood. The first interval is [`PAUSE`], and each is
/// twice the previous one.
const MAX_INTERVAL: Duration = Duration::from_secs(600);

/// The decision about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleDecision {
    /// Log the line.
    Log {
        /// Number of suppressed lines since the statement's last logged line.
        left_out: u64,
        /// Whether the next lines will be suppressed.
        is_last: bool,
    },
    /// Suppress the line.
    Suppress,
}

/// Limits the lines of each log statement. A program has some hundred statements, so the map is
/// bounded.
#[derive(Debug)]
pub struct LogThrottle<K> {
    statements: HashMap<K, Statement>,
}

#[derive(Clone, Copy, Debug)]
struct Statement {
    /// Number of lines that may be logged now.
    lines: u32,
    /// Time of the latest line, logged or suppressed.
    latest: Instant,
    /// Time of the next logged line of a flood, and the interval to the one after it.
    next: Instant,
    interval: Duration,
    left_out: u64,
}

impl<K: Hash + Eq> Default for LogThrottle<K> {
    fn default() -> Self {
        Self { statements: HashMap::new() }
    }
}

impl<K: Hash + Eq> LogThrottle<K> {
    /// Decides about a line of this statement.
    pub fn decide(&mut self, statement: K, now: Instant) -> ThrottleDecision {
        let fresh =
            Statement { lines: BURST, latest: now, next: now, interval: PAUSE, left_out: 0 };
        let state = self.statements.entry(statement).or_insert(fresh);
        let pause = now.saturating_duration_since(state.latest);
        state.latest = now;
        let gained = u32::try_from(pause.as_secs() / PAUSE.as_secs()).unwrap_or(u32::MAX);
        state.lines = state.lines.saturating_add(gained).min(BURST);
        match state.lines {
            0 if now < state.next => {
                state.left_out += 1;
                return ThrottleDecision::Suppress;
            }
            0 => state.interval = (state.interval * 2).min(MAX_INTERVAL),
            _ => {
                state.lines -= 1;
                state.interval = PAUSE;
            }
        }
        state.next = now + state.interval;
        let left_out = std::mem::take(&mut state.left_out);
        ThrottleDecision::Log { left_out, is_last: state.lines == 0 }
    }
}

/// Limits the lines of one counted condition: the first line is logged, and then one each time the
/// count has doubled. Unlike [`LogThrottle`], this also applies at `-vv`, where a faulty server
/// could otherwise write one line per message.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountThrottle {
    /// The count at which the next line is due, even if it is not a power of two.
    next: u64,
}

impl CountThrottle {
    /// Returns whether to log the occurrence that makes the count `total`. Counts may be skipped.
    pub fn is_due(&mut self, total: u64) -> bool {
        let is_due = is_doubling(total) || total >= self.next;
        if is_due {
            self.next = total.saturating_mul(2);
        }
        is_due
    }
}

/// As [`CountThrottle::is_due`], for counts that increase by one and therefore need no state.
#[must_use]
pub fn is_doubling(total: u64) -> bool {
    total.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_lines_are_due_at_each_doubling() {
        let mut throttle = CountThrottle::default();
        let due: Vec<u64> = (1..40).filter(|total| throttle.is_due(*total)).collect();
        assert_eq!(due, [1, 2, 4, 8, 16, 32]);
        let mut throttle = CountThrottle::default();
        let due: Vec<u64> = (1..40).map(|n| n * 3).filter(|n| throttle.is_due(*n)).collect();
        assert_eq!(due, [3, 6, 12, 24, 48, 96]);
    }

    fn written(throttle: &mut LogThrottle<u8>, statement: u8, lines: u32, now: Instant) -> u32 {
        let verdicts = (0..lines).map(|_| throttle.decide(statement, now));
        verdicts.filter(|verdict| *verdict != ThrottleDecision::Suppress).count() as u32
    }

    #[test]
    fn a_burst_is_logged_and_then_at_growing_intervals() {
        let start = Instant::now();
        let mut throttle = LogThrottle::default();
        assert_eq!(written(&mut throttle, 1, 1_000, start), BURST);
        assert_eq!(written(&mut throttle, 2, 5, start), 5, "statements are independent");
        let hour = |throttle: &mut LogThrottle<u8>, from: Instant| -> u32 {
            let lines = (1..=3_600 * 10).map(|tenth| from + Duration::from_millis(100) * tenth);
            lines.map(|now| written(throttle, 1, 1, now)).sum()
        };
        assert_eq!(hour(&mut throttle, start), 9);
        assert_eq!(hour(&mut throttle, start + Duration::from_secs(3_600)), 6);
    }

    #[test]
    fn an_infrequent_statement_is_never_throttled() {
        let start = Instant::now();
        let mut throttle = LogThrottle::default();
        assert!((0..1_000).all(|line| written(&mut throttle, 1, 1, start + PAUSE * line) == 1));
    }

    #[test]
    fn suppressed_lines_are_counted_and_announced() {
        let start = Instant::now();
        let mut throttle = LogThrottle::default();
        for line in 1..=BURST {
            let expected = ThrottleDecision::Log { left_out: 0, is_last: line == BURST };
            assert_eq!(throttle.decide(1, start), expected);
        }
        assert_eq!(written(&mut throttle, 1, 7, start), 0);
        assert_eq!(written(&mut throttle, 1, 1, start + PAUSE / 2), 0);
        let next = throttle.decide(1, start + PAUSE);
        assert_eq!(next, ThrottleDecision::Log { left_out: 8, is_last: true });
    }

    #[test]
    fn a_pause_restores_the_burst() {
        let start = Instant::now();
        let mut throttle = LogThrottle::default();
        written(&mut throttle, 1, 1_000, start);
        let later = start + PAUSE * BURST * 5;
        assert_eq!(written(&mut throttle, 1, 1_000, later), BURST);
        assert_eq!(written(&mut throttle, 1, 1_000, later), 0);
    }
}
