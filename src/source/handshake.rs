//! The WebSocket opening handshake (RFC 6455 §4.1) over an open [`Transport`]. Gives back the
//! raw stream: frames are read elsewhere, and no byte that came behind the response is lost.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::endpoint::Endpoint;
use super::head::{self, MAX_HEAD_BYTES};
use super::refusal;
use super::transport::Transport;
use crate::display::printable::one_line;

pub use super::refusal::{MAX_RETRY_AFTER, Xrpc};

/// Most characters of a library's error that are shown.
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
    /// The stream, right behind `leftover`.
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
    #[error(
        "the server redirects (HTTP {status}) to {location}: give that as --host, if you trust it"
    )]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// Scheme and host only, printable.
        location: String,
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
    #[error("the server's answer is no WebSocket handshake: {0}")]
    Protocol(String),
    /// The connection ended before the answer did.
    #[error("the connection ended during the WebSocket handshake ({0})")]
    Cut(io::Error),
    /// No answer in time.
    #[error("timed out while waiting for the WebSocket handshake")]
    TimedOut,
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
            Self::BadRequest(_) | Self::Subprotocol { .. } => true,
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
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Asks the server to speak WebSocket. `deadline` bounds the whole exchange.
///
/// # Errors
/// [`HandshakeError`]; the transport is gone then.
pub async fn upgrade(
    transport: Transport,
    endpoint: &Endpoint,
    request: &Request,
    deadline: Instant,
) -> Result<Upgraded, HandshakeError> {
    let offered = request.subprotocols.join(", ");
    let request = http_request(endpoint, request)?;
    let mut tap = HeadTap::new(transport);
    let outcome = timeout_at(deadline, tokio_tungstenite::client_async(request, &mut tap)).await;
    let error = match outcome {
        Err(_) => return Err(HandshakeError::TimedOut),
        Ok(Ok((_, response))) => return Ok(tap.into_upgraded(response.into_parts().0.headers)),
        Ok(Err(error)) => error,
    };
    // The library's error drops what it read, so the answer is taken from the tap: that also
    // covers answers that it can't read, such as HTTP/1.0 errors from old proxies.
    match tap.answer() {
        // The last thing that the library looks at: everything else is as it must be.
        Some((101, headers)) if is_about_subprotocol(&error, SubProtocolError::NoSubProtocol) => {
            Ok(tap.into_upgraded(headers))
        }
        Some((101, headers))
            if is_about_subprotocol(&error, SubProtocolError::InvalidSubProtocol) =>
        {
            let picked = headers.get(SEC_WEBSOCKET_PROTOCOL).map_or(&b""[..], |v| v.as_bytes());
            let picked = one_line(picked, MAX_SHOWN_CHARS);
            Err(HandshakeError::Subprotocol { picked, offered })
        }
        Some((101, _)) => Err(HandshakeError::Protocol(shown(&error))),
        Some((status, headers)) if (300..400).contains(&status) => {
            let base = endpoint.request_uri("/", "");
            Err(HandshakeError::Redirected { status, location: refusal::location(&headers, &base) })
        }
        Some((status, headers)) => {
            let Upgraded { stream, leftover, .. } = tap.into_upgraded(HeaderMap::new());
            let (body, xrpc, is_cut) = refusal::body(stream, leftover, &headers, deadline).await;
            Err(HandshakeError::Refused {
                status,
                body,
                xrpc,
                retry_after: refusal::retry_after(&headers, SystemTime::now()),
                permanent: !is_cut && matches!(status, 400 | 401 | 403 | 404),
                is_cut,
            })
        }
        None => Err(match (tap.failure.take(), error) {
            (Some(e), _) if e.kind() == io::ErrorKind::InvalidData => {
                HandshakeError::Protocol(e.to_string())
            }
            (Some(e), _) => HandshakeError::Cut(e),
            (None, tungstenite::Error::Io(e)) => HandshakeError::Cut(e),
            (None, error) => HandshakeError::Protocol(shown(&error)),
        }),
    }
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

fn is_about_subprotocol(error: &tungstenite::Error, fault: SubProtocolError) -> bool {
    let fault = ProtocolError::SecWebSocketSubProtocolError(fault);
    matches!(error, tungstenite::Error::Protocol(found) if *found == fault)
}

fn shown(error: &tungstenite::Error) -> String {
    one_line(error.to_string().as_bytes(), MAX_SHOWN_CHARS)
}

fn http_request(
    endpoint: &Endpoint,
    request: &Request,
) -> Result<http::Request<()>, HandshakeError> {
    let mut builder = http::Request::get(endpoint.request_uri(&request.path, &request.query))
        .header(HOST, endpoint.authority())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key())
        .header(USER_AGENT, concat!("skytail/", env!("CARGO_PKG_VERSION")));
    if let Some(credentials) = &endpoint.credentials {
        builder = builder.header(AUTHORIZATION, credentials.basic());
    }
    if !request.subprotocols.is_empty() {
        builder = builder.header(SEC_WEBSOCKET_PROTOCOL, request.subprotocols.join(", "));
    }
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder.body(()).map_err(|e| HandshakeError::BadRequest(e.to_string()))
}

/// A stream that reads a response head whole, hands exactly that to the WebSocket library, and
/// keeps what came behind it.
struct HeadTap {
    transport: Transport,
    /// Everything read so far.
    bytes: Vec<u8>,
    /// Length of the head in `bytes`, once known.
    head: Option<usize>,
    /// How much of the head was handed over.
    handed: usize,
    /// Why reading ended, since the library blurs that.
    failure: Option<io::Error>,
}

impl HeadTap {
    fn new(transport: Transport) -> Self {
        Self { transport, bytes: Vec::with_capacity(1024), head: None, handed: 0, failure: None }
    }

    /// Reads until the head is whole. The library counts small reads as an attack, so it never
    /// sees a part of it.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            if let Some(end) = self.head {
                return Poll::Ready(Ok(end));
            }
            let mut chunk = [0; 4096];
            let mut buf = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let searched = self.bytes.len();
            self.bytes.extend_from_slice(buf.filled());
            let head = head::end_of_head(&self.bytes, searched);
            // Frames behind the head don't count as part of it.
            let end = head.unwrap_or(self.bytes.len());
            head::check_partial(self.bytes.get(..end).unwrap_or_default())?;
            self.head = head;
        }
    }

    fn into_upgraded(mut self, response_headers: HeaderMap) -> Upgraded {
        let end = self.head.unwrap_or(self.bytes.len());
        Upgraded { leftover: self.bytes.split_off(end), stream: self.transport, response_headers }
    }

    /// Status and headers of the answer, if there is a whole one.
    fn answer(&self) -> Option<(u16, HeaderMap)> {
        head::parse(self.bytes.get(..self.head?)?)
    }
}

impl AsyncRead for HeadTap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match ready!(this.poll_head(cx)) {
            Ok(end) => {
                let rest = this.bytes.get(this.handed..end).unwrap_or_default();
                let now = rest.len().min(buf.remaining());
                buf.put_slice(rest.get(..now).unwrap_or_default());
                this.handed += now;
                Poll::Ready(Ok(()))
            }
            Err(e) => {
                let copy = io::Error::new(e.kind(), e.to_string());
                this.failure = Some(e);
                Poll::Ready(Err(copy))
            }
        }
    }
}

impl AsyncWrite for HeadTap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

// A head of this size still passes the library's own limit.
const _: () = assert!(MAX_HEAD_BYTES <= 65_536);
