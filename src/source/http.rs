//! One HTTP request over a connection of its own: bounded in bytes and time, never redirected,
//! and without credentials but those that the caller adds.

use std::io;

use http::header::HeaderMap;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use super::head::{self, Head};
use super::refusal;
use super::transport::Transport;

/// A request.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The path below the endpoint's base path, with its query.
    pub path: &'a str,
    /// Further header lines, each with its line break. May hold what is secret.
    pub headers: &'a str,
    /// The body, in JSON. With one it is a POST, without one a GET.
    pub body: Option<&'a [u8]>,
}

/// The bounds of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// When its head must be there.
    pub head_by: Instant,
    /// When its body must be there. What has come until then is kept.
    pub body_by: Instant,
    /// Most bytes of the body that are read.
    pub max_body_bytes: usize,
}

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
    transport: Transport,
    endpoint: &Endpoint,
    path: &str,
    deadline: Instant,
    max_body_bytes: usize,
) -> io::Result<Answer> {
    // The user and password of an endpoint stay here: what is public needs none.
    let request = Request { path, ..Request::default() };
    let bounds = Bounds { head_by: deadline, body_by: deadline, max_body_bytes };
    send(transport, endpoint, request, bounds).await
}

/// Sends a request and reads its answer.
///
/// # Errors
/// Where no answer came whole up to its body in time.
pub async fn send(
    mut transport: Transport,
    endpoint: &Endpoint,
    request: Request<'_>,
    bounds: Bounds,
) -> io::Result<Answer> {
    let Request { path, headers, body } = request;
    let (method, about_body) = match body {
        None => ("GET", String::new()),
        Some(body) => (
            "POST",
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
        ),
    };
    let request = format!(
        "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: skytail/{}\r\nAccept: */*\r\nConnection: close\r\n{about_body}{headers}\r\n",
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
    let head = timeout_at(bounds.head_by, exchange).await.map_err(|_| {
        let words = "timed out while waiting for the answer";
        io::Error::new(io::ErrorKind::TimedOut, words)
    })??;
    let Head { status, headers, behind, .. } = head;
    let Bounds { body_by, max_body_bytes, .. } = bounds;
    let body = refusal::read_body(transport, behind, &headers, body_by, max_body_bytes).await;
    Ok(Answer { status, headers, body })
}
