//! How long to wait before the next attempt to connect. It neither sleeps nor reads a clock.

use std::time::Duration;

/// The upper bound of the first wait.
pub const FIRST: Duration = Duration::from_millis(250);
/// The upper bound of all waits.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Exponential backoff with full jitter. Each wait is uniformly random between zero and an upper
/// bound that doubles from [`FIRST`] to [`LONGEST`], so that the clients of a restarted server
/// reconnect spread out.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    floor: Duration,
}

impl Backoff {
    /// Creates a backoff before its first failure.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the next wait. It exceeds [`LONGEST`] only after [`Self::at_least`].
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        let ceiling = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let jittered = ceiling.mul_f64(rng.f64());
        // Every client got the same `Retry-After`, so the jitter is added to it.
        std::mem::take(&mut self.floor) + jittered
    }

    /// Makes the next wait at least as long as the server's `Retry-After`.
    pub fn at_least(&mut self, wait: Duration) {
        self.floor = self.floor.max(wait);
    }

    /// Starts over. Call it at the first event of a connection, not after its handshake.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_bound_that_doubles_to_thirty_seconds() {
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
            assert!(*seen > ceiling / 2, "wait {n} was never longer than {seen:?}");
        }
    }

    #[test]
    fn the_number_of_failures_does_not_overflow() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff { failures: u32::MAX, floor: Duration::ZERO };
        assert!(backoff.next(&mut rng) <= LONGEST);
        assert!(backoff.next(&mut rng) <= LONGEST);
    }

    #[test]
    fn a_retry_after_applies_to_one_wait() {
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
