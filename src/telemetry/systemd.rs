//! Messages to a service manager (sd_notify(3)): ready, status, watchdog, stopping.
//!
//! skytail sends them itself because sending must never block: the crates for it use a blocking
//! socket, and a manager that does not read would stop the stream. A message that can't be sent
//! is dropped.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use crate::platform::ManagerSocket;

/// How often the status is sent while nothing changes, in microseconds.
const STATUS_EVERY_US: u64 = 5_000_000;

/// A connection to a service manager, and what it was sent so far.
#[derive(Debug)]
pub struct Notifier {
    socket: ManagerSocket,
    watchdog: Option<Duration>,
    is_ready: bool,
    is_stopping: bool,
    status_at_us: Option<u64>,
    was_alive: bool,
}

/// The variables that a service manager sets for a process.
#[derive(Clone, Debug, Default)]
pub struct ServiceManagerEnv {
    /// `NOTIFY_SOCKET`.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`.
    pub watchdog_usec: Option<OsString>,
    /// `WATCHDOG_PID`.
    pub watchdog_pid: Option<OsString>,
}

impl ServiceManagerEnv {
    /// Reads the variables of this process.
    #[must_use]
    pub fn from_process() -> Self {
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: std::env::var_os("WATCHDOG_USEC"),
            watchdog_pid: std::env::var_os("WATCHDOG_PID"),
        }
    }

    /// Returns the watchdog's timeout; `None` if the manager does not watch this process.
    fn watchdog(&self) -> Option<Duration> {
        let number = |text: &Option<OsString>| text.as_deref()?.to_str()?.parse::<u64>().ok();
        let is_ours = self.watchdog_pid.is_none()
            || number(&self.watchdog_pid) == Some(u64::from(std::process::id()));
        let usec = number(&self.watchdog_usec).filter(|&usec| usec > 0 && is_ours)?;
        Some(Duration::from_micros(usec))
    }
}

impl Notifier {
    /// Connects to the manager that the environment names, if there is one.
    ///
    /// # Errors
    /// If `NOTIFY_SOCKET` names no socket, or the system refuses a socket.
    pub fn new(env: &ServiceManagerEnv) -> io::Result<Option<Self>> {
        let name = env.socket.as_deref().filter(|name| !name.is_empty());
        let Some(name) = name else { return Ok(None) };
        Ok(Some(Self {
            socket: ManagerSocket::open(name)?,
            watchdog: env.watchdog(),
            is_ready: false,
            is_stopping: false,
            status_at_us: None,
            was_alive: false,
        }))
    }

    /// Returns how often to call [`Notifier::tick`]: a quarter of the watchdog's timeout, at most a
    /// second. A manager expects two messages within the timeout.
    #[must_use]
    pub fn tick_every(&self) -> Duration {
        let second = Duration::from_secs(1);
        self.watchdog.map_or(second, |time| (time / 4).clamp(Duration::from_millis(10), second))
    }

    /// Sends the messages that are due. `was_connected`: the run has had a connection; `is_alive`:
    /// the stream is alive now; `status` returns the status line.
    pub fn tick(
        &mut self,
        now_us: u64,
        was_connected: bool,
        is_alive: bool,
        status: impl FnOnce() -> String,
    ) {
        if self.is_stopping {
            return;
        }
        let mut message = String::new();
        if was_connected && !self.is_ready {
            self.is_ready = true;
            message.push_str("READY=1\n");
        }
        if is_alive && self.watchdog.is_some() {
            message.push_str("WATCHDOG=1\n");
        }
        let has_changed = std::mem::replace(&mut self.was_alive, is_alive) != is_alive;
        let is_due = |at_us: u64| now_us.saturating_sub(at_us) >= STATUS_EVERY_US;
        if has_changed || self.status_at_us.is_none_or(is_due) {
            self.status_at_us = Some(now_us);
            message.push_str(&format!("STATUS={}\n", status()));
        }
        self.send(&message);
    }

    /// Sends once that the run is stopping.
    pub fn stopping(&mut self) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.send("STOPPING=1\nSTATUS=stopping\n");
        }
    }

    fn send(&self, message: &str) {
        if message.is_empty() {
            return;
        }
        if let Err(error) = self.socket.send(message.as_bytes()) {
            tracing::debug!(%error, "the message to the service manager could not be sent");
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn env(socket: &str, usec: Option<&str>, pid: Option<&str>) -> ServiceManagerEnv {
        let os = |text: &str| OsString::from(text);
        ServiceManagerEnv {
            socket: Some(os(socket)),
            watchdog_usec: usec.map(os),
            watchdog_pid: pid.map(os),
        }
    }

    #[test]
    fn only_the_watched_process_has_a_watchdog() {
        let own = std::process::id().to_string();
        let of = |usec, pid| env("", Some(usec), pid).watchdog();
        let second = Some(Duration::from_secs(1));
        assert_eq!(of("1000000", None), second);
        assert_eq!(of("1000000", Some(&own)), second);
        for (usec, pid) in [("1000000", Some("1")), ("0", None), ("soon", None), ("5", Some("x"))] {
            assert_eq!(of(usec, pid), None, "{usec} {pid:?}");
        }
    }

    #[test]
    fn a_manager_that_does_not_read_does_not_block_the_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _unread = UnixDatagram::bind(&path).unwrap();
        let env = env(path.to_str().unwrap(), Some("1000000"), None);
        let mut notifier = Notifier::new(&env).unwrap().unwrap();
        for i in 0..5_000 {
            notifier.tick(i * STATUS_EVERY_US, true, true, || "x".repeat(1000));
        }
        notifier.stopping();
    }

    #[test]
    fn without_a_manager_there_is_no_notifier() {
        assert!(Notifier::new(&ServiceManagerEnv::default()).unwrap().is_none());
        assert!(Notifier::new(&env("", None, None)).unwrap().is_none());
        assert!(Notifier::new(&env("run/notify", None, None)).is_err());
    }
}
