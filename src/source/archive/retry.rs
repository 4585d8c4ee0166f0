//! Decides when a failed request is repeated: after 429, 5xx and broken connections, not after
//! other refusals; after the wait that the server asks for, capped; and only a few times in a
//! row (protocol/jetstream-v2-archive.md §3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderMap;

use super::error::ArchiveFetchError;
use crate::source::backoff::Backoff;
use crate::source::http::retry_after;

/// Longest wait that a server may ask for.
const MAX_SERVER_WAIT: Duration = Duration::from_secs(30);

/// Failures in a row, without a byte in between, after which the reader decides: it knows the
/// other servers and the user's own limit.
const MAX_FAILURES: u32 = 6;

/// Returns how long the server asks the client to wait: until `RateLimit-Reset` (Unix seconds),
/// or as `Retry-After` says; at most 30 s.
#[must_use]
pub fn server_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let reset = headers.get("ratelimit-reset").and_then(|value| value.to_str().ok());
    let reset = reset.and_then(|text| text.trim().parse::<u64>().ok());
    let until_reset = reset.map(|at_s| {
        let now_s = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        Duration::from_secs(at_s.saturating_sub(now_s))
    });
    let wait = until_reset.or_else(|| retry_after::retry_after(headers, now))?;
    Some(wait.min(MAX_SERVER_WAIT))
}

/// The attempts that one request has left.
#[derive(Debug, Default)]
pub struct RetryBudget {
    backoff: Backoff,
    failures: u32,
}

impl RetryBudget {
    /// Restores the full budget after the server has sent bytes.
    pub fn reset(&mut self) {
        *self = Self::default();
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
        if !error.is_transient() || self.failures >= MAX_FAILURES {
            return Err(error);
        }
        if let Some(wait) = error.retry_after() {
            self.backoff.at_least(wait);
        }
        let wait = self.backoff.next(rng);
        tracing::info!("the archive: {error}; asking again in {:.1} s", wait.as_secs_f64());
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
        ArchiveFetchError::Busy { status: 429, said: String::new(), wait }
    }

    #[test]
    fn the_wait_that_a_server_asks_for_is_capped() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (pairs, seconds) in [
            (&[][..], None),
            (&[("ratelimit-reset", "1007")], Some(7)),
            (&[("ratelimit-reset", "999")], Some(0)),
            (&[("ratelimit-reset", "9999999999")], Some(30)),
            (&[("ratelimit-reset", "soon"), ("retry-after", "5")], Some(5)),
            (&[("retry-after", "3600")], Some(30)),
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
    fn a_refusal_is_final_at_once() {
        let refused = ArchiveFetchError::Refused { status: 403, said: String::new(), name: None };
        assert!(RetryBudget::default().next(refused, &mut fastrand::Rng::with_seed(1)).is_err());
    }
}
