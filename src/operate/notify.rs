//! Messages to a service manager (sd_notify(3)): ready, status, alive, stopping.
//!
//! By hand, since sending must never wait: the crates for it send with a blocking socket, and
//! a manager that does not read would stop the stream. A message that can't be sent is lost.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How often the status is told while nothing changes.
const STATUS_EVERY_US: u64 = 5_000_000;

/// A service manager that listens, and what it knows.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    manager: SocketAddr,
    watchdog: Option<Duration>,
    is_ready: bool,
    is_stopping: bool,
    status_at_us: Option<u64>,
    was_alive: bool,
}

/// What stands in the environment for it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `NOTIFY_SOCKET`.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`.
    pub watchdog_usec: Option<OsString>,
    /// `WATCHDOG_PID`.
    pub watchdog_pid: Option<OsString>,
}

impl Surroundings {
    /// What the environment says now.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET"),
            watchdog_usec: std::env::var_os("WATCHDOG_USEC"),
            watchdog_pid: std::env::var_os("WATCHDOG_PID"),
        }
    }

    /// The time within which a sign of life is expected; `None` where nobody asks this process
    /// for one.
    fn watchdog(&self) -> Option<Duration> {
        let number = |text: &Option<OsString>| text.as_deref()?.to_str()?.parse::<u64>().ok();
        let is_ours = self.watchdog_pid.is_none()
            || number(&self.watchdog_pid) == Some(u64::from(std::process::id()));
        let usec = number(&self.watchdog_usec).filter(|&usec| usec > 0 && is_ours)?;
        Some(Duration::from_micros(usec))
    }
}

impl Notifier {
    /// The manager that the environment names, if any.
    ///
    /// # Errors
    /// Where the name in `NOTIFY_SOCKET` is none, or the system refuses.
    pub fn new(surroundings: &Surroundings) -> io::Result<Option<Self>> {
        let name = surroundings.socket.as_deref().filter(|name| !name.is_empty());
        let Some(name) = name else { return Ok(None) };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Some(Self {
            socket,
            manager: address(name)?,
            watchdog: surroundings.watchdog(),
            is_ready: false,
            is_stopping: false,
            status_at_us: None,
            was_alive: false,
        }))
    }

    /// How often to call [`Notifier::tick`]: often enough for the watchdog, which wants to hear
    /// twice in its time.
    #[must_use]
    pub fn tick_every(&self) -> Duration {
        let second = Duration::from_secs(1);
        self.watchdog.map_or(second, |time| (time / 4).clamp(Duration::from_millis(10), second))
    }

    /// Tells what there is to tell. `was_connected` is whether there ever was a connection;
    /// `is_alive` whether the stream is alive now; `status` says how it stands.
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

    /// Tells that the end has begun.
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
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.manager) {
            tracing::debug!(%error, "the service manager could not be told");
        }
    }
}

/// The address behind `NOTIFY_SOCKET`: a path, or `@` and a name without one (Linux).
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt as _;
            SocketAddr::from_abstract_name(name)
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a path is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(socket: &str, usec: Option<&str>, pid: Option<&str>) -> Surroundings {
        let os = |text: &str| OsString::from(text);
        Surroundings {
            socket: Some(os(socket)),
            watchdog_usec: usec.map(os),
            watchdog_pid: pid.map(os),
        }
    }

    #[test]
    fn the_watchdog_is_asked_of_one_process_only() {
        let own = std::process::id().to_string();
        let of = |usec, pid| surroundings("", Some(usec), pid).watchdog();
        let second = Some(Duration::from_secs(1));
        assert_eq!(of("1000000", None), second);
        assert_eq!(of("1000000", Some(&own)), second);
        for (usec, pid) in [("1000000", Some("1")), ("0", None), ("soon", None), ("5", Some("x"))] {
            assert_eq!(of(usec, pid), None, "{usec} {pid:?}");
        }
    }

    #[test]
    fn a_manager_that_does_not_read_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let surroundings = surroundings(path.to_str().unwrap(), Some("1000000"), None);
        let mut notifier = Notifier::new(&surroundings).unwrap().unwrap();
        for i in 0..5_000 {
            notifier.tick(i * STATUS_EVERY_US, true, true, || "x".repeat(1000));
        }
        notifier.stopping();
    }

    #[test]
    fn without_a_manager_there_is_nothing_to_do() {
        assert!(Notifier::new(&Surroundings::default()).unwrap().is_none());
        assert!(Notifier::new(&surroundings("", None, None)).unwrap().is_none());
        assert!(Notifier::new(&surroundings("run/notify", None, None)).is_err());
    }
}
