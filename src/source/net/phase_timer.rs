//! One deadline for all phases of a dial attempt. It measures each phase, so that the error names
//! the one that was slow.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::display::units;

/// A phase of dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// DNS.
    Resolving,
    /// TCP.
    Connecting,
    /// CONNECT or SOCKS.
    Proxy,
    /// TLS.
    Tls,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "looking up the name",
            Self::Connecting => "connecting",
            Self::Proxy => "waiting for the proxy",
            Self::Tls => "performing the TLS handshake",
        })
    }
}

/// The deadline of an attempt, and its slowest phase so far.
#[derive(Debug)]
pub struct PhaseTimer {
    deadline: Instant,
    slowest: Option<(Phase, Duration)>,
}

impl PhaseTimer {
    /// Creates a timer for phases that together must end before `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self { deadline, slowest: None }
    }

    /// Runs one phase until the deadline.
    ///
    /// # Errors
    /// The [`PhaseTimeout`] of this phase, if the deadline passed.
    pub async fn run<T>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = T>,
    ) -> Result<T, PhaseTimeout> {
        let began = Instant::now();
        let outcome = timeout_at(self.deadline, work).await;
        let took = began.elapsed();
        let before = self.slowest.filter(|(_, before)| *before > took);
        match outcome {
            Err(_) => Err(PhaseTimeout { phase, took, before }),
            Ok(value) => {
                self.slowest = before.or(Some((phase, took)));
                Ok(value)
            }
        }
    }
}

/// The phase that was running at the deadline, and a slower one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseTimeout {
    /// The phase that did not finish.
    pub phase: Phase,
    /// How long it ran.
    pub took: Duration,
    /// An earlier phase that took longer, with its duration.
    pub before: Option<(Phase, Duration)>,
}

impl fmt::Display for PhaseTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out after {} while {}", units::duration(self.took), self.phase)?;
        match self.before {
            None => Ok(()),
            Some((phase, took)) => {
                write!(f, "; {phase} had taken {} before", units::duration(took))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_has_the_time_of_each_phase() {
        let mut timer = PhaseTimer::new(Instant::now() + Duration::from_secs(60));
        timer.run(Phase::Resolving, async {}).await.unwrap();
        let (slowest, took) = timer.slowest.unwrap();
        assert!(slowest == Phase::Resolving && took < Duration::from_secs(60));
        // A deadline that has passed.
        let mut timer = PhaseTimer { deadline: Instant::now(), slowest: timer.slowest };
        let timeout = timer.run(Phase::Connecting, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(timeout.phase, Phase::Connecting);
        // An earlier phase that was slower is named, too.
        let slowest = Some((Phase::Resolving, Duration::from_secs(8)));
        let mut timer = PhaseTimer { deadline: Instant::now(), slowest };
        let timeout = timer.run(Phase::Tls, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(
            timeout.to_string(),
            "timed out after 0.0s while performing the TLS handshake; looking up the name had taken 8.0s before"
        );
    }
}
