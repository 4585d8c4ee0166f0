//! The WebSocket opening handshake (RFC 6455 §4.1) over an open [`Transport`]. Returns the raw
//! stream and every byte that came after the response, so that no frame is lost.

mod redirect;
mod response;

use std::io;
use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::display::units;
use crate::source::endpoint::Endpoint;
use crate::source::http::error_body::{self, ErrorBody, XrpcError};
use crate::source::http::head::{self, HeadError, ResponseHead};
use crate::source::http::retry_after;
use crate::source::net::transport::Transport;

pub use redirect::RedirectTarget;

/// The most characters of a header field that are shown.
const MAX_SHOWN_CHARS: usize = 300;

/// An upgrade request.
#[derive(Clone, Debug, Default)]
pub struct UpgradeRequest {
    /// The path below the endpoint's base path, such as `/subscribe`.
    pub path: String,
    /// The encoded query without `?`; may be empty. Together with path and host it may have at
    /// most 65,534 bytes; longer filters go into a message (protocol/jetstream-v1.md §6).
    pub query: String,
    /// Further header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The offered subprotocols; empty for v1. A server may pick one of them, or none at all,
    /// because a proxy may strip its choice (protocol/jetstream-v2.md §1).
    pub subprotocols: Vec<String>,
}

/// A WebSocket connection whose frames have not been parsed.
#[derive(Debug)]
pub struct Upgraded {
    /// The stream after `leftover`.
    pub stream: Transport,
    /// The bytes that arrived together with the response: the start of the first frames.
    pub leftover: Vec<u8>,
    /// The header fields of the 101 response; for tests.
    #[doc(hidden)]
    pub response_headers: HeaderMap,
}

/// Why the handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The server, or a proxy in front of it, answered with an HTTP error.
    #[error("the server answers HTTP {status}{}", said(body, xrpc.as_ref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The text of the answer: one printable, shortened line; may be empty.
        body: String,
        /// The XRPC error, if the answer is one.
        xrpc: Option<XrpcError>,
        /// The wait that the server asks for; at most [`retry_after::MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
        /// Whether the server will refuse the same request again: for 400, 401, 403 and 404.
        permanent: bool,
        /// Whether the connection ended before the answer did, so that `body` may mean anything.
        is_cut: bool,
    },
    /// The server redirects. skytail does not follow, because a position belongs to one server.
    #[error("the server redirects (HTTP {status}) {target}")]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// Where it redirects to.
        target: RedirectTarget,
        /// The wait that the server asks for; at most [`retry_after::MAX_RETRY_AFTER`].
        retry_after: Option<Duration>,
    },
    /// The server speaks TLS, and the client did not.
    #[error("the server speaks TLS on this port: use {try_instead}")]
    TlsPort {
        /// The URL of the same server with the right scheme.
        try_instead: String,
    },
    /// The server picked a subprotocol that was not offered.
    #[error(
        "the server answers with the subprotocol {picked:?}, and was offered {offered:?}: it is not a Jetstream v2 server"
    )]
    Subprotocol {
        /// The picked subprotocol, printable.
        picked: String,
        /// The offered subprotocols.
        offered: String,
    },
    /// The answer violates HTTP or RFC 6455.
    #[error("the server's answer is not a WebSocket handshake: {0}")]
    Protocol(String),
    /// The connection ended before the answer did.
    #[error("the connection ended during the WebSocket handshake ({0})")]
    Interrupted(io::Error),
    /// The connection ended without a single byte.
    #[error("the server closed the connection without an answer to the WebSocket handshake{hint}")]
    NoResponse {
        /// What to try instead; may be empty.
        hint: String,
    },
    /// The answer did not arrive in time.
    #[error("timed out after {} while waiting for the answer to the WebSocket handshake", units::duration(*.0))]
    TimedOut(
        /// The duration of the handshake, without that of dialling.
        Duration,
    ),
    /// The request is invalid, and was not sent.
    #[error("the request can't be made: {0}")]
    BadRequest(String),
}

impl HandshakeError {
    /// Returns whether the same request to the same server will never succeed.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { permanent, .. } => *permanent,
            Self::BadRequest(_) | Self::Subprotocol { .. } | Self::TlsPort { .. } => true,
            _ => false,
        }
    }

    /// Returns the XRPC error, if the answer is one.
    #[must_use]
    pub fn xrpc(&self) -> Option<&XrpcError> {
        match self {
            Self::Refused { xrpc, .. } => xrpc.as_ref(),
            _ => None,
        }
    }

    /// Returns the wait that the server asks for.
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

/// Upgrades `transport` to WebSocket. `deadline` bounds the whole exchange.
///
/// # Errors
/// [`HandshakeError`]; the transport is dropped then.
pub async fn upgrade(
    mut transport: Transport,
    endpoint: &Endpoint,
    request: &UpgradeRequest,
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
        // A server that refuses early may have shut down its receiving side already.
        match (head::read_head(&mut transport).await, written) {
            (Err(HeadError::Io(_)), Err(e)) => Err(HeadError::Io(e)),
            (outcome, _) => outcome,
        }
    };
    let ResponseHead { status, headers, rest, .. } = match timeout_at(deadline, exchange).await {
        Ok(Ok(head)) => head,
        Ok(Err(error)) => return Err(head_error(error, endpoint)),
        Err(_) => return Err(HandshakeError::TimedOut(began.elapsed())),
    };
    if status == 101 {
        response::check(&headers, &key, &request.subprotocols)?;
        return Ok(Upgraded { stream: transport, leftover: rest, response_headers: headers });
    }
    let retry_after = retry_after::retry_after(&headers, SystemTime::now());
    if (300..400).contains(&status) {
        let target = redirect::target(&headers, endpoint);
        return Err(HandshakeError::Redirected { status, target, retry_after });
    }
    let ErrorBody { text: body, xrpc, is_cut } =
        error_body::read(transport, rest, &headers, deadline).await;
    if status == 400 && !endpoint.tls && expects_tls(&body) {
        return Err(HandshakeError::TlsPort { try_instead: endpoint.other_scheme() });
    }
    let permanent = !is_cut && matches!(status, 400 | 401 | 403 | 404);
    Err(HandshakeError::Refused { status, body, xrpc, retry_after, permanent, is_cut })
}

fn head_error(error: HeadError, endpoint: &Endpoint) -> HandshakeError {
    match error {
        HeadError::Tls if !endpoint.tls => {
            HandshakeError::TlsPort { try_instead: endpoint.other_scheme() }
        }
        HeadError::NoResponse => {
            let hint = match endpoint.tls {
                true => String::new(),
                false => {
                    format!(": if it speaks TLS on this port, use {}", endpoint.other_scheme())
                }
            };
            HandshakeError::NoResponse { hint }
        }
        HeadError::Io(error) => HandshakeError::Interrupted(error),
        other => HandshakeError::Protocol(other.to_string()),
    }
}

/// Returns whether the text of a 400 says that the server expects TLS. Common servers answer
/// plain HTTP on their TLS port with such a text.
fn expects_tls(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("plain http") || text.contains("http request to an https")
}

/// Returns the text of an error answer with its separator, for [`HandshakeError::Refused`].
fn said(body: &str, xrpc: Option<&XrpcError>) -> String {
    match xrpc {
        Some(XrpcError { name, message }) if message.is_empty() => format!(" ({name})"),
        Some(XrpcError { name, message }) => format!(" ({name}): {message}"),
        None if body.is_empty() => String::new(),
        None => format!(": {body}"),
    }
}

/// Returns the bytes of the request. Header names have the case of RFC 6455, because some servers
/// compare them case-sensitively.
fn http_request(
    endpoint: &Endpoint,
    request: &UpgradeRequest,
    key: &str,
) -> Result<Vec<u8>, HandshakeError> {
    let bad = |e: http::uri::InvalidUri| HandshakeError::BadRequest(e.to_string());
    // This checks characters and length.
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
