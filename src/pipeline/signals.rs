//! The signals that stop a run, as reasons, and the one that asks how it stands.

use std::io;

use super::stop::Reason;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop, and why.
    Stop(Reason),
    /// To say how the run stands (SIGUSR1).
    Status,
}

#[cfg(unix)]
pub use unix::Signals;

#[cfg(unix)]
mod unix {
    use super::{Asked, Reason, io};
    use rustix::process::Signal as Number;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Listens for SIGINT, SIGTERM, SIGHUP and SIGUSR1.
    #[derive(Debug)]
    pub struct Signals {
        interrupt: Signal,
        terminate: Signal,
        hangup: Signal,
        user: Signal,
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
                // Listened to so that it does not end the process: the write that went beyond
                // the limit on file sizes then fails, and is dealt with like any other.
                _too_large: signal(SignalKind::from_raw(Number::XFSZ.as_raw()))?,
            })
        }

        /// The next signal.
        pub async fn next(&mut self) -> Asked {
            tokio::select! {
                _ = self.interrupt.recv() => Asked::Stop(Reason::Interrupt),
                _ = self.terminate.recv() => Asked::Stop(Reason::Terminated),
                _ = self.hangup.recv() => Asked::Stop(Reason::Terminated),
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
            Ok(()) => Asked::Stop(Reason::Interrupt),
            Err(_) => std::future::pending().await,
        }
    }
}
