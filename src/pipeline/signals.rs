//! What the signals ask of a run that stop it, or ask for its status.

use std::time::{Duration, Instant};

use super::shutdown::StopReason;
use crate::platform::Signal;

/// Least time between the first stop signal and a SIGINT that leaves at once. A person needs
/// longer to press Ctrl-C again; `timeout` and a terminal that closes repeat their signal within
/// milliseconds.
const DELIBERATE_AFTER: Duration = Duration::from_millis(500);

/// What a signal asks the run to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// To stop, for this reason.
    Stop(StopReason),
    /// To print its status (SIGUSR1).
    Status,
    /// To look whether the files of the filter have changed (SIGUSR2).
    Reload,
}

/// What a run does after a stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalResponse {
    /// Begins to stop.
    Stop,
    /// Continues to stop.
    Ignore,
    /// Exits at once, without saving.
    Leave,
}

/// Decides what a stop signal means, by the stop signals before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopSignals {
    first: Option<Instant>,
}

impl StopSignals {
    /// Returns what to do about a stop signal that arrives at `now`. Only a SIGINT that follows
    /// the first signal, of whatever kind, by half a second or more leaves at once.
    pub fn respond(&mut self, reason: StopReason, now: Instant) -> SignalResponse {
        let Some(first) = self.first else {
            self.first = Some(now);
            return SignalResponse::Stop;
        };
        let is_deliberate = now.saturating_duration_since(first) >= DELIBERATE_AFTER;
        // mutant: leaves-at-any-second-interrupt
        match reason {
            StopReason::Interrupt if is_deliberate => SignalResponse::Leave,
            _ => SignalResponse::Ignore,
        }
    }
}

impl From<Signal> for SignalRequest {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Stop(StopReason::Interrupt),
            Signal::Terminate => Self::Stop(StopReason::Terminated),
            Signal::CpuTime => Self::Stop(StopReason::CpuTime),
            Signal::Status => Self::Status,
            Signal::Reload => Self::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_late_interrupt_leaves_at_once() {
        let start = Instant::now();
        for first in [StopReason::Interrupt, StopReason::Terminated] {
            let mut signals = StopSignals::default();
            let mut respond =
                |reason, ms| signals.respond(reason, start + Duration::from_millis(ms));
            assert_eq!(respond(first, 0), SignalResponse::Stop);
            assert_eq!(respond(StopReason::Interrupt, 0), SignalResponse::Ignore);
            assert_eq!(respond(StopReason::Interrupt, 499), SignalResponse::Ignore);
            assert_eq!(respond(StopReason::Terminated, 60_000), SignalResponse::Ignore);
            assert_eq!(respond(StopReason::CpuTime, 60_000), SignalResponse::Ignore);
            assert_eq!(respond(StopReason::Interrupt, 500), SignalResponse::Leave);
        }
    }

    proptest! {
        #[test]
        fn signals_within_half_a_second_never_leave(
            signals in prop::collection::vec((any::<bool>(), 0u64..500), 1..20)
        ) {
            let start = Instant::now();
            let mut stop_signals = StopSignals::default();
            prop_assert_eq!(stop_signals.respond(StopReason::Terminated, start), SignalResponse::Stop);
            for (is_interrupt, ms) in signals {
                let reason = if is_interrupt { StopReason::Interrupt } else { StopReason::Terminated };
                let response = stop_signals.respond(reason, start + Duration::from_millis(ms));
                prop_assert_eq!(response, SignalResponse::Ignore);
            }
        }
    }
}
