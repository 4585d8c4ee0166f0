//! Finds a plain-text HTTP server on a port where TLS was expected. Asks for nothing but `/`,
//! and sends no credentials.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::source::endpoint::Endpoint;

/// Silence after which a server is asked in plain text. A TLS server answers after one round
/// trip; a slow one only costs a second connection, since the first one goes on.
const QUIET: Duration = Duration::from_secs(1);

/// Time for the answer in plain text.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns once the server has answered in plain text, and never otherwise. Does not ask before
/// [`QUIET`] has passed.
pub async fn found_when_quiet(address: Option<SocketAddr>, endpoint: &Endpoint) {
    sleep(QUIET).await;
    if !is_found(address, endpoint).await {
        std::future::pending::<()>().await;
    }
}

/// Whether the server answers in plain text.
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
    matches!(timeout(PATIENCE, asking).await, Ok(Some(true)))
}
