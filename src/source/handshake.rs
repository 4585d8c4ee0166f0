//! The WebSocket opening handshake (RFC 6455 §4.1) over an open [`Transport`]. Gives back the
//! raw stream: frames are read elsewhere, and no byte that came after the response is lost.

mod answer;
mod redirect;

use std::io;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::endpoint::Endpoint;
use super::head::{self, Head, HeadError};
use super::transport::Transport;
use super::{refusal, retry_after};
use crate::display::units;

pub use super::refusal::Xrpc;
pub use super::retry_after::MAX_RETRY_AFTER;
pub use redirect::Target;

/// Most characters of a header field that are shown.
const MAX_SHOWN_CHARS: usize = 300;

/// What to ask for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path below the endpoint's base path, such as `/subscribe`.
    pub path: String,
    /// The encoded query without `?`; may be empty. With path and host at most 65,534 bytes:
    /// send longer filters as a message instead (protocol/jetstream-v1.md §6).
    pub query: String,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Offered subprotocols; empty for v1. A server may pick one of them or none at all
    /// (protocol/jetstream-v2.md §1: a proxy may strip its choice).
    pub subprotocols: Vec<String>,
}

/// A WebSocket connection whose frames have not been touched.
#[derive(Debug)]
pub struct Upgraded {
    /// The stream, right after `leftover`.
    pub stream: Transport,
    /// What arrived together with the response: the first bytes of the first frames.
    pub leftover: Vec<u8>,
    /// The headers of the 101 response.
    pub response_headers: HeaderMap,
}

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The server, or a proxy before it, answered with an HTTP error.
    #[error("the server answers HTTP {status}{}", said(body, xrpc.as_ref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's words: one printable, shortened line; may be empty.
        body: String,
        /// Its error by name, where it is an XRPC server that answers.
        xrpc: Option<Xrpc>,
        /// How long it asks to be left alone; at most [`MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
        /// Whether the same request will be refused for ever (DESIGN.md, connection rules).
        permanent: bool,
        /// Whether the connection ended before the answer did. Half a sentence may be the
        /// beginning of any.
        is_cut: bool,
    },
    /// The server points elsewhere, which is not followed: a position belongs to a server.
    #[error("the server redirects (HTTP {status}) {target}")]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// Where it points.
        target: Target,
        /// How long it asks to be left alone; at most [`MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
    },
    /// A TLS server, asked without TLS.
    #[error("the server speaks TLS on this port: use {try_instead}")]
    TlsPort {
        /// The same server with the scheme that it speaks.
        try_instead: String,
    },
    /// The server picked a subprotocol that was not offered.
    #[error(
        "the server answers with the subprotocol {picked:?}, and was offered {offered:?}: what speaks there is no Jetstream v2 server"
    )]
    Subprotocol {
        /// What it picked, printable.
        picked: String,
        /// What it was offered.
        offered: String,
    },
    /// The answer breaks HTTP or the WebSocket protocol.
    #[error("the server's answer is not a WebSocket handshake: {0}")]
    Protocol(String),
    /// The connection ended before the answer did.
    #[error("the connection ended during the WebSocket handshake ({0})")]
    Cut(io::Error),
    /// The connection ended without a single byte.
    #[error("the server closed the connection without an answer to the WebSocket handshake{hint}")]
    Silent {
        /// What else to try; may be empty.
        hint: String,
    },
    /// No answer in time.
    #[error("timed out after {} while waiting for the answer to the WebSocket handshake", units::duration(*.0))]
    TimedOut(
        /// How long the handshake took, without the connection before it.
        Duration,
    ),
    /// The request can't be sent.
    #[error("the request can't be made: {0}")]
    BadRequest(String),
}

impl HandshakeError {
    /// Whether the same request to the same server will never succeed.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { permanent, .. } => *permanent,
            Self::BadRequest(_) | Self::Subprotocol { .. } | Self::TlsPort { .. } => true,
            _ => false,
        }
    }

    /// The server's error by name, where it is an XRPC server that answered.
    #[must_use]
    pub fn xrpc(&self) -> Option<&Xrpc> {
        match self {
            Self::Refused { xrpc, .. } => xrpc.as_ref(),
            _ => None,
        }
    }

    /// How long the server asks to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Redirected { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}

/// Asks the server to speak WebSocket. `deadline` bounds the whole exchange.
///
/// # Errors
/// [`HandshakeError`]; the transport is gone then.
pub async fn upgrade(
    mut transport: Transport,
    endpoint: &Endpoint,
    request: &Request,
    deadline: Instant,
) -> Result<Upgraded, HandshakeError> {
    let key = generate_key();
    let bytes = http_request(endpoint, request, &key)?;
    let began = Instant::now();
    let exchange = async {
        let written = async {
            transport.write_all(&bytes).await?;
            transport.flush().await
        };
        let written = written.await;
        // A server that refuses early may have closed its side for reading already.
        match (head::read_head(&mut transport).await, written) {
            (Err(HeadError::Io(_)), Err(e)) => Err(HeadError::Io(e)),
            (outcome, _) => outcome,
        }
    };
    let Head { status, headers, behind, .. } = match timeout_at(deadline, exchange).await {
        Ok(Ok(head)) => head,
        Ok(Err(error)) => return Err(no_head(error, endpoint)),
        Err(_) => return Err(HandshakeError::TimedOut(began.elapsed())),
    };
    if status == 101 {
        answer::check(&headers, &key, &request.subprotocols)?;
        return Ok(Upgraded { stream: transport, leftover: behind, response_headers: headers });
    }
    let retry_after = retry_after::retry_after(&headers, SystemTime::now());
    if (300..400).contains(&status) {
        let target = redirect::target(&headers, endpoint);
        return Err(HandshakeError::Redirected { status, target, retry_after });
    }
    let (body, xrpc, is_cut) = refusal::body(transport, behind, &headers, deadline).await;
    if status == 400 && !endpoint.tls && is_about_tls(&body) {
        return Err(HandshakeError::TlsPort { try_instead: endpoint.other_scheme() });
    }
    let permanent = !is_cut && matches!(status, 400 | 401 | 403 | 404);
    Err(HandshakeError::Refused { status, body, xrpc, retry_after, permanent, is_cut })
}

fn no_head(error: HeadError, endpoint: &Endpoint) -> HandshakeError {
    match error {
        HeadError::Tls if !endpoint.tls => {
            HandshakeError::TlsPort { try_instead: endpoint.other_scheme() }
        }
        HeadError::Silent => {
            let hint = match endpoint.tls {
                true => String::new(),
                false => {
                    format!(": if it speaks TLS on this port, use {}", endpoint.other_scheme())
                }
            };
            HandshakeError::Silent { hint }
        }
        HeadError::Io(error) => HandshakeError::Cut(error),
        other => HandshakeError::Protocol(other.to_string()),
    }
}

/// Whether the words of a 400 say that TLS was expected. Common servers answer plain HTTP on
/// their TLS port with such words, and in plain text.
fn is_about_tls(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("plain http") || words.contains("http request to an https")
}

/// The words of a refusal, with what stands in front of them.
fn said(body: &str, xrpc: Option<&Xrpc>) -> String {
    match xrpc {
        Some(Xrpc { name, message }) if message.is_empty() => format!(" ({name})"),
        Some(Xrpc { name, message }) => format!(" ({name}): {message}"),
        None if body.is_empty() => String::new(),
        None => format!(": {body}"),
    }
}

/// The bytes of the request. Those headers that some servers compare with their case are written
/// as RFC 6455 writes them.
fn http_request(
    endpoint: &Endpoint,
    request: &Request,
    key: &str,
) -> Result<Vec<u8>, HandshakeError> {
    let bad = |e: http::uri::InvalidUri| HandshakeError::BadRequest(e.to_string());
    // Checks characters and length.
    let uri: http::Uri =
        endpoint.request_uri(&request.path, &request.query).parse().map_err(bad)?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut text = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nUser-Agent: skytail/{}\r\n",
        endpoint.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    if let Some(credentials) = &endpoint.credentials {
        text.push_str(&format!("Authorization: {}\r\n", credentials.basic()));
    }
    if !request.subprotocols.is_empty() {
        let offered = request.subprotocols.join(", ");
        text.push_str(&format!("Sec-WebSocket-Protocol: {offered}\r\n"));
    }
    let mut bytes = text.into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(bytes)
}
