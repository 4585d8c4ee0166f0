//! The signals that stop a run, as reasons, and the one that asks how it stands.

use std::io;
use std::time::{Duration, Instant};

use super::shutdown::StopReason;

/// Least time between the first stop signal and a SIGINT that leaves at once. A person needs
/// longer to press Ctrl-C again; `timeout` and a terminal that closes repeat their signal within
/// milliseconds.
const DELIBERATE_AFTER: Duration = Duration::from_millis(500);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop, and why.
    Stop(StopReason),
    /// To say how the run stands (SIGUSR1).
    Status,
}

/// What a run does about a stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// It begins to stop.
    Stop,
    /// It is stopping already.
    Ignore,
    /// It leaves at once, without saving.
    Leave,
}

/// The stop signals that a run has received.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopSignals {
    first: Option<Instant>,
}

impl StopSignals {
    /// Returns what to do about a stop signal that arrives at `now`. Only a SIGINT that follows
    /// the first signal, of whatever kind, by half a second or more leaves at once.
    pub fn respond(&mut self, reason: StopReason, now: Instant) -> Response {
        let Some(first) = self.first else {
            self.first = Some(now);
            return Response::Stop;
        };
        let is_deliberate = now.saturating_duration_since(first) >= DELIBERATE_AFTER;
        // mutant: leaves-at-any-second-interrupt
        match reason {
            StopReason::Interrupt if is_deliberate => Response::Leave,
            _ => Response::Ignore,
        }
    }
}

#[cfg(unix)]
pub use unix::Signals;

#[cfg(unix)]
mod unix {
    use super::{Asked, StopReason, io};
    use rustix::process::Signal as Number;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Listens for SIGINT, SIGTERM, SIGHUP, SIGXCPU and SIGUSR1.
    #[derive(Debug)]
    pub struct Signals {
        interrupt: Signal,
        terminate: Signal,
        hangup: Signal,
        user: Signal,
        cpu_time: Signal,
        _too_large: Signal,
    }

    impl Signals {
        /// Starts to listen; from now on the signals don't end the process by themselves.
        ///
        /// # Errors
        /// Where the system refuses.
        pub fn listen() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
                user: signal(SignalKind::user_defined1())?,
                cpu_time: signal(SignalKind::from_raw(Number::XCPU.as_raw()))?,
                // Listened to so that it does not end the process: the write that went beyond
                // the limit on file sizes then fails, and is dealt with like any other.
                _too_large: signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?,
            })
        }

        /// The next signal.
        pub async fn next(&mut self) -> Asked {
            tokio::select! {
                _ = self.interrupt.recv() => Asked::Stop(StopReason::Interrupt),
                _ = self.terminate.recv() => Asked::Stop(StopReason::Terminated),
                _ = self.hangup.recv() => Asked::Stop(StopReason::Terminated),
                _ = self.cpu_time.recv() => Asked::Stop(StopReason::CpuTime),
                _ = self.user.recv() => Asked::Status,
            }
        }
    }
}

/// Listens for Ctrl-C, where there is nothing else.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// The next Ctrl-C.
    pub async fn next(&mut self) -> Asked {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Asked::Stop(StopReason::Interrupt),
            Err(_) => std::future::pending().await,
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
            assert_eq!(respond(first, 0), Response::Stop);
            assert_eq!(respond(StopReason::Interrupt, 0), Response::Ignore);
            assert_eq!(respond(StopReason::Interrupt, 499), Response::Ignore);
            assert_eq!(respond(StopReason::Terminated, 60_000), Response::Ignore);
            assert_eq!(respond(StopReason::CpuTime, 60_000), Response::Ignore);
            assert_eq!(respond(StopReason::Interrupt, 500), Response::Leave);
        }
    }

    proptest! {
        #[test]
        fn signals_within_half_a_second_never_leave(
            signals in prop::collection::vec((any::<bool>(), 0u64..500), 1..20)
        ) {
            let start = Instant::now();
            let mut stop_signals = StopSignals::default();
            prop_assert_eq!(stop_signals.respond(StopReason::Terminated, start), Response::Stop);
            for (is_interrupt, ms) in signals {
                let reason = if is_interrupt { StopReason::Interrupt } else { StopReason::Terminated };
                let response = stop_signals.respond(reason, start + Duration::from_millis(ms));
                prop_assert_eq!(response, Response::Ignore);
            }
        }
    }
}
