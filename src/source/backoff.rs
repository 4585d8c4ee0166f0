//! How long to wait before the next attempt to connect. Pure: neither sleeps nor reads a clock.

use std::time::Duration;

/// The ceiling of the first wait.
pub const FIRST: Duration = Duration::from_millis(250);
/// The ceiling of every later wait.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Exponential backoff with full jitter: each wait is drawn evenly from zero to a ceiling that
/// doubles from [`FIRST`] to [`LONGEST`], so that many clients of one restarted server come
/// back spread out.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    floor: Duration,
}

impl Backoff {
    /// A backoff before its first failure.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next wait. Never longer than [`LONGEST`], unless [`Self::at_least`] asked for it.
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let ceiling = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let jittered = ceiling.mul_f64(rng.f64());
        // Everyone was told the same time: keep the jitter on top of it.
        std::mem::take(&mut self.floor) + jittered
    }

    /// Makes the next wait no shorter than what the server asked for with `Retry-After`.
    pub fn at_least(&mut self, wait: Duration) {
        self.floor = self.floor.max(wait);
    }

    /// Starts over: to be called at the first event received, not at a mere handshake.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_ceiling_that_doubles_to_thirty_seconds() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut longest = [Duration::ZERO; 12];
        for _ in 0..500 {
            let mut backoff = Backoff::new();
            for slot in &mut longest {
                *slot = (*slot).max(backoff.next(&mut rng));
            }
        }
        for (n, seen) in longest.iter().enumerate() {
            let ceiling = FIRST.saturating_mul(1 << n).min(LONGEST);
            assert!(*seen <= ceiling, "wait {n} was {seen:?}");
            assert!(*seen > ceiling / 2, "wait {n} never used its room: {seen:?}");
        }
    }

    #[test]
    fn any_number_of_failures_is_survived() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff { failures: u32::MAX, floor: Duration::ZERO };
        assert!(backoff.next(&mut rng) <= LONGEST);
        assert!(backoff.next(&mut rng) <= LONGEST);
    }

    #[test]
    fn what_the_server_asked_for_is_waited_once() {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut backoff = Backoff::new();
        backoff.at_least(Duration::from_secs(100));
        backoff.at_least(Duration::from_secs(90));
        assert!(backoff.next(&mut rng) >= Duration::from_secs(100));
        assert!(backoff.next(&mut rng) <= LONGEST);
    }

    #[test]
    fn a_reset_starts_over() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut backoff = Backoff::new();
        for _ in 0..20 {
            backoff.next(&mut rng);
        }
        backoff.at_least(Duration::from_secs(100));
        backoff.reset();
        assert!(backoff.next(&mut rng) <= FIRST);
    }
}
