//! A client of the metrics port can stop neither the stream nor the scraper.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::operate::scrape::samples;
use crate::operate::{ask, get, serve, start_monitored};
use crate::support::PATIENCE;

#[test]
fn an_endless_head_is_refused() {
    let (_scratch, server) = serve(10);
    let tail = start_monitored(&server, &[]);
    let address = tail.metrics_address();
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000));
    for request in [long.as_str(), &many, "nonsense\r\n\r\n", "\u{1}\u{2}\r\n\r\n"] {
        // A reset before the answer can be read is a refusal, too.
        if let Some(answer) = ask(address, request) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    assert_eq!(get(address, "/metrics").status, 200);
    tail.stop();
}

#[test]
fn silent_connections_are_closed_and_block_no_other_for_long() {
    let (_scratch, server) = serve(10);
    let tail = start_monitored(&server, &[]);
    let address = tail.metrics_address();
    let connect = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HT").unwrap();
        stream
    };
    let mut silent: Vec<TcpStream> = (0..20).map(connect).collect();
    // Three rounds of eight, each closed because it is silent, and then this one.
    assert_eq!(get(address, "/metrics").status, 200);
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // Closed or reset, but never left open.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_ne!(
                error.kind(),
                std::io::ErrorKind::WouldBlock,
                "the connection is still open"
            );
        }
    }
    let open = samples(&get(address, "/metrics").body)["process_open_fds"];
    assert!(open < 40.0, "{open} descriptors are open");
    tail.stop();
}
