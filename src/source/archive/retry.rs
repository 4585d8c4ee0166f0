//! Decides when a failed request is repeated: after 429, 5xx and broken connections, not after
//! other refusals; after the wait that the server asks for, capped; and only a few times in a
//! row (protocol/jetstream-v2-archive.md §3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderMap;

use super::error::ArchiveFetchError;
use crate::source::backoff::Backoff;
use crate::source::http::retry_after;

/// Longest wait that a server's request may cause.
pub const MAX_SERVER_WAIT: Duration = Duration::from_secs(30);

/// Failures in a row, without a byte in between, after which the reader decides: it knows the
/// other servers and the user's own limit.
const MAX_FAILURES: u32 = 6;

/// Returns how long the server asks the client to wait: until `RateLimit-Reset` (Unix seconds),
/// or as `Retry-After` says; not capped.
#[must_use]
pub fn server_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let reset = headers.get("ratelimit-reset").and_then(|value| value.to_str().ok());
    let reset = reset.and_then(|text| text.trim().parse::<u64>().ok());
    let until_reset = reset.map(|at_s| {
        let now_s = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        Duration::from_secs(at_s.saturating_sub(now_s))
    });
    until_reset.or_else(|| retry_after::requested_wait(headers, now))
}

/// The attempts that one request has left.
#[derive(Debug, Default)]
pub struct RetryBudget {
    backoff: Backoff,
    failures: u32,
    is_short: bool,
}

impl RetryBudget {
    /// Restores the full budget after the server has sent bytes.
    pub fn reset(&mut self) {
        *self = Self { is_short: self.is_short, ..Self::default() };
    }

    /// Returns a budget for a user who waits for an answer: one retry, and none after a 429.
    pub fn short() -> Self {
        Self { is_short: true, ..Self::default() }
    }

    /// Returns how long to wait before the next attempt.
    ///
    /// # Errors
    /// `error` itself if there is no next attempt.
    fn next(
        &mut self,
        error: ArchiveFetchError,
        rng: &mut fastrand::Rng,
    ) -> Result<Duration, ArchiveFetchError> {
        self.failures += 1;
        let is_last = match self.is_short {
            true => self.failures > 1 || error.is_throttled(),
            false => self.failures >= MAX_FAILURES,
        };
        if !error.is_transient() || is_last {
            return Err(error);
        }
        if let Some(wait) = error.retry_after() {
            self.backoff.at_least(wait);
        }
        let wait = self.backoff.next(rng);
        let seconds = wait.as_secs_f64();
        if error.asks_for_more_than(MAX_SERVER_WAIT) {
            tracing::warn!("the archive: {error}; asking again in {seconds:.1} s nevertheless");
        } else {
            tracing::info!("the archive: {error}; asking again in {seconds:.1} s");
        }
        Ok(wait)
    }

    /// Waits until the request may be repeated.
    ///
    /// # Errors
    /// `error` itself if it may not.
    pub async fn wait_after(&mut self, error: ArchiveFetchError) -> Result<(), ArchiveFetchError> {
        let wait = self.next(error, &mut fastrand::Rng::new())?;
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn busy(wait: Option<Duration>) -> ArchiveFetchError {
        ArchiveFetchError::Busy { status: 429, said: String::new(), wait, asked: wait }
    }

    #[test]
    fn the_wait_that_a_server_asks_for_is_read() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (pairs, seconds) in [
            (&[][..], None),
            (&[("ratelimit-reset", "1007")], Some(7)),
            (&[("ratelimit-reset", "999")], Some(0)),
            (&[("ratelimit-reset", "9999")], Some(8_999)),
            (&[("ratelimit-reset", "soon"), ("retry-after", "5")], Some(5)),
            (&[("retry-after", "3600")], Some(3_600)),
            (&[("retry-after", "-1")], None),
        ] {
            let wait = server_wait(&headers(pairs), now);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{pairs:?}");
        }
    }

    #[test]
    fn a_transient_failure_is_retried_up_to_a_limit() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut budget = RetryBudget::default();
        for _ in 1..MAX_FAILURES {
            let wait = budget.next(busy(Some(Duration::from_secs(2))), &mut rng).unwrap();
            assert!(wait >= Duration::from_secs(2));
        }
        assert!(budget.next(busy(None), &mut rng).is_err());
        budget.reset();
        assert!(budget.next(busy(None), &mut rng).is_ok());
    }

    #[test]
    fn a_short_budget_retries_once_and_not_after_a_429() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut budget = RetryBudget::short();
        assert!(budget.next(ArchiveFetchError::CutOff(0), &mut rng).is_ok());
        assert!(budget.next(ArchiveFetchError::CutOff(0), &mut rng).is_err());
        budget.reset();
        let error = budget.next(busy(Some(Duration::from_secs(7_200))), &mut rng).unwrap_err();
        assert_eq!(error.to_string(), "HTTP 429; the server asks to wait 2h00m");
    }

    #[test]
    fn a_refusal_is_final_at_once() {
        let refused = ArchiveFetchError::Refused { status: 403, said: String::new(), name: None };
        assert!(RetryBudget::default().next(refused, &mut fastrand::Rng::with_seed(1)).is_err());
    }
}
