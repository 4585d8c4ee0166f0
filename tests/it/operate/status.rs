//! The status line on SIGUSR1.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::operate::{MonitoredTail, get_until, serve, start_monitored};
use crate::support::PATIENCE;

fn wait_until_open(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nothing listens at {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_signal_prints_the_status_line_without_a_terminal() {
    let (_scratch, server) = serve(100);
    let tail = start_monitored(&server, &[]);
    let address = tail.metrics_address();
    get_until(address, "/metrics", |page| page.body.contains("{outcome=\"written\"} 100\n"));
    for _ in 0..2 {
        tail.signal("USR1");
        let line = tail.says("100 events, ");
        assert!(line.starts_with("skytail: "), "{line}");
        assert!(line.contains(" behind") && line.ends_with(" written"), "{line}");
    }
    tail.stop();
}

#[test]
fn the_status_line_follows_the_log_format_and_quiet_does_not_hide_it() {
    let (_scratch, server) = serve(100);
    // With -q the address is not logged, so the test chooses the port.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let flags = ["--metrics-listen", &port, "--cursor", "oldest", "-q", "--log-format", "json"];
    let tail = MonitoredTail::start(&server.address.to_string(), &flags, |_| {});
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    wait_until_open(address);
    get_until(address, "/metrics", |page| page.body.contains("{outcome=\"written\"} 100\n"));
    tail.signal("USR1");
    let line = tail.says("\"status\"");
    let status: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(status["level"], "info");
    assert_eq!(status["connected"], true);
    assert_eq!(status["events"], 100);
    assert!(status["lag_s"].as_f64().unwrap() > 1.0, "{line}");
    tail.stop();
}
