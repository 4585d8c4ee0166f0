//! A minimal HTTP/1.1 client: one request per connection, bounded in bytes and time.
//!
//! It follows no redirects ([`super::download`] does), and sends no credentials except those that
//! the caller adds.

mod body;
pub mod error_body;
pub mod head;
pub mod retry_after;

use std::io;

use http::header::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use head::ResponseHead;

pub use body::ResponseBody;

/// A request.
#[derive(Clone, Copy, Default)]
pub struct HttpRequest<'a> {
    /// The path below the endpoint's base path, with its query.
    pub path: &'a str,
    /// Further header lines, each with its line break. May hold secrets.
    pub headers: &'a str,
    /// A JSON body for a POST; `None` for a GET.
    pub body: Option<&'a [u8]>,
}

/// The limits of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseLimits {
    /// The deadline for the head.
    pub head_by: Instant,
    /// The deadline for the body. Bytes that came before it are kept.
    pub body_by: Instant,
    /// The most bytes of the body that are read.
    pub max_body_bytes: usize,
}

/// A response.
#[derive(Debug)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: ResponseBody,
}

/// Gets `path` (below the endpoint's base path, with its query). Reads at most `max_body_bytes`
/// of the body.
///
/// # Errors
/// If the head did not arrive before `deadline`.
pub async fn get(
    transport: impl AsyncRead + AsyncWrite + Unpin,
    endpoint: &Endpoint,
    path: &str,
    deadline: Instant,
    max_body_bytes: usize,
) -> io::Result<HttpResponse> {
    // The endpoint's user name and password are not sent: public files need none.
    let request = HttpRequest { path, ..HttpRequest::default() };
    let limits = ResponseLimits { head_by: deadline, body_by: deadline, max_body_bytes };
    send(transport, endpoint, request, limits).await
}

/// Sends a request and reads its response.
///
/// # Errors
/// If the head did not arrive in time.
pub async fn send(
    mut transport: impl AsyncRead + AsyncWrite + Unpin,
    endpoint: &Endpoint,
    request: HttpRequest<'_>,
    limits: ResponseLimits,
) -> io::Result<HttpResponse> {
    let HttpRequest { path, headers, body } = request;
    let (method, body_headers) = match body {
        None => ("GET", String::new()),
        Some(body) => (
            "POST",
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
        ),
    };
    let request = format!(
        "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: skytail/{}\r\nAccept: */*\r\nConnection: close\r\n{body_headers}{headers}\r\n",
        endpoint.base_path,
        endpoint.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    let exchange = async {
        transport.write_all(request.as_bytes()).await?;
        transport.write_all(body.unwrap_or_default()).await?;
        transport.flush().await?;
        Ok::<_, io::Error>(head::read_head(&mut transport).await?)
    };
    let head = timeout_at(limits.head_by, exchange).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, "timed out while waiting for the answer")
    })??;
    let ResponseHead { status, headers, rest, .. } = head;
    let ResponseLimits { body_by, max_body_bytes, .. } = limits;
    let body = body::read(transport, rest, &headers, body_by, max_body_bytes).await;
    Ok(HttpResponse { status, headers, body })
}
