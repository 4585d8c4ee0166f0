//! sd_notify: the messages to a service manager.

use std::os::unix::net::UnixDatagram;

use crate::operate::{MonitoredTail, serve};
use crate::support::{PATIENCE, Scratch};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    scratch: Scratch,
}

impl Manager {
    fn new() -> Self {
        let scratch = Scratch::new();
        let socket = UnixDatagram::bind(scratch.path("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, scratch }
    }

    /// Starts a tail whose `NOTIFY_SOCKET` is this manager.
    fn start_tail(&self, host: &str, flags: &[&str], watchdog_us: &str) -> MonitoredTail {
        MonitoredTail::start(host, flags, |command| {
            command.env("NOTIFY_SOCKET", self.scratch.path("notify"));
            command.env("WATCHDOG_USEC", watchdog_us).env_remove("WATCHDOG_PID");
        })
    }

    fn receive(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("no message came");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// Returns the first message with this line; `never` must not come before it.
    #[track_caller]
    fn receive_line(&self, line: &str, never: &str) -> String {
        loop {
            let message = self.receive();
            assert!(!message.contains(never), "{message}");
            if message.lines().any(|l| l.starts_with(line)) {
                return message;
            }
        }
    }
}

#[test]
fn ready_is_sent_after_the_first_connection_and_watchdog_until_the_stop() {
    let (_scratch, server) = serve(100);
    let manager = Manager::new();
    let host = server.address.to_string();
    let tail = manager.start_tail(&host, &["--cursor", "oldest"], "400000");
    let ready = manager.receive_line("READY=1", "STOPPING");
    assert!(ready.contains("\nSTATUS="), "{ready}");
    for _ in 0..3 {
        manager.receive_line("WATCHDOG=1", "STOPPING");
    }
    tail.signal("TERM");
    manager.receive_line("STOPPING=1", "READY");
    tail.ends();
}

#[test]
fn without_a_connection_neither_ready_nor_watchdog_is_sent() {
    let manager = Manager::new();
    // Nothing listens on port 1.
    let flags = ["--max-retries", "unlimited"];
    let tail = manager.start_tail("127.0.0.1:1", &flags, "400000");
    let status = manager.receive_line("STATUS=", "READY");
    assert!(status.contains("STATUS=stale: not connected"), "{status}");
    tail.signal("TERM");
    manager.receive_line("STOPPING=1", "READY");
    tail.ends();
}

#[test]
fn a_stale_stream_does_not_feed_the_watchdog() {
    let (_scratch, server) = serve(10);
    let manager = Manager::new();
    let host = server.address.to_string();
    let tail = manager.start_tail(&host, &["--cursor", "oldest"], "400000");
    manager.receive_line("WATCHDOG=1", "STOPPING");
    drop(server);
    let stale = manager.receive_line("STATUS=stale", "STOPPING");
    assert!(!stale.contains("WATCHDOG"), "{stale}");
    drop(tail);
}
