//! One GET over a connection of its own: small, bounded in bytes and time, and without
//! credentials of any kind.

use std::io;

use http::header::HeaderMap;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use super::transport::Transport;
use super::{head, refusal};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body, as far as it came.
    pub body: refusal::Body,
}

/// Asks for `path` (below the endpoint's base path, with its query). The body is read up to
/// `max_body_bytes`.
///
/// # Errors
/// Where no answer came whole up to its body before `deadline`.
pub async fn get(
    mut transport: Transport,
    endpoint: &Endpoint,
    path: &str,
    deadline: Instant,
    max_body_bytes: usize,
) -> io::Result<Answer> {
    // The user and password of an endpoint stay here: what is public needs none.
    let request = format!(
        "GET {}{path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: skytail/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        endpoint.base_path,
        endpoint.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    let exchange = async {
        transport.write_all(request.as_bytes()).await?;
        transport.flush().await?;
        head::read_head(&mut transport).await
    };
    let (bytes, behind) = timeout_at(deadline, exchange).await??;
    let Some((status, headers)) = head::parse(&bytes) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the head of the answer is damaged",
        ));
    };
    let body = refusal::read_body(transport, behind, &headers, deadline, max_body_bytes).await;
    Ok(Answer { status, headers, body })
}
