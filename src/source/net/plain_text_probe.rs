//! Detects a plain-text HTTP server on a port where the client expects TLS. Requests only `/`, and
//! sends no credentials.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::source::endpoint::Endpoint;

/// How long a server may be silent before it is probed. A TLS server answers after one round trip;
/// a slow one only costs a second connection, because the first one continues.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// How long to wait for an answer in plain text.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits for [`PROBE_AFTER`], and returns only if the server answers in plain text.
pub async fn found_when_silent(address: Option<SocketAddr>, endpoint: &Endpoint) {
    sleep(PROBE_AFTER).await;
    if !is_found(address, endpoint).await {
        std::future::pending::<()>().await;
    }
}

/// Returns whether the server answers in plain text.
pub async fn is_found(address: Option<SocketAddr>, endpoint: &Endpoint) -> bool {
    let Some(address) = address else { return false };
    let asking = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!(
            "HEAD / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            endpoint.authority()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut start = [0; 5];
        stream.read_exact(&mut start).await.ok()?;
        Some(start == *b"HTTP/")
    };
    matches!(timeout(PROBE_TIMEOUT, asking).await, Ok(Some(true)))
}
