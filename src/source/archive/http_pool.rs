//! HTTP/1.1 connections to one archive, kept alive between requests: hyper's client over
//! skytail's own dialling. Bounded in bytes and time. It never follows a redirect, so the API
//! key stays with the server that it was given for.
//!
//! A server may close a kept connection at any time, so a request that fails on one before its
//! response begins is sent again on a new connection. That is safe: the archive's endpoints,
//! `planSnapshot` included, only read.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use crate::source::net::transport::Transport;

/// Largest head of a response, in bytes, and the read buffer of a connection.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most bytes that are reserved for a body of a stated length.
const MAX_RESERVED_BYTES: usize = 16 << 20;
/// Most header fields of a response.
const MAX_HEADERS: usize = 124;
/// A connection that was idle for longer is closed: a middlebox may have forgotten it, and a
/// request on it would wait for its timeout.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// Most idle connections. More requests at once open connections that are closed afterwards.
const MAX_IDLE_CONNECTIONS: usize = 16;

/// A request to the archive.
pub(super) type ArchiveRequest = http::Request<Full<Bytes>>;

/// The limits of one response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Time from the start of the request to the complete head.
    pub head_time: Duration,
    /// Time from there to the complete body. What was received until then is returned.
    pub body_time: Duration,
    /// Most bytes of the body that are read.
    pub max_body_bytes: usize,
}

/// A response, with as much of its body as was received.
#[derive(Debug)]
pub(super) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether `body` is complete.
    pub is_complete: bool,
}

/// The idle connections to one server.
#[derive(Debug, Default)]
pub(super) struct HttpPool(Mutex<Vec<Connection>>);

impl HttpPool {
    /// Sends a request on an idle connection, or on one that `connect` opens.
    ///
    /// # Errors
    /// Those of `connect`, and an I/O error if there is no complete head in time.
    pub(super) async fn send<E: From<io::Error>>(
        &self,
        request: ArchiveRequest,
        limits: Limits,
        connect: impl AsyncFnOnce() -> Result<Transport, E>,
    ) -> Result<Response, E> {
        while let Some(mut connection) = self.take_idle() {
            match connection.request_head(request.clone(), limits).await {
                Ok(head) => return Ok(self.read_body(connection, head, limits).await),
                // The server is there, but slow. Another connection is as slow.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error.into()),
                Err(error) => tracing::debug!("a kept connection was closed ({error})"),
            }
        }
        let mut connection = Connection::open(connect().await?).await?;
        let head = connection.request_head(request, limits).await?;
        Ok(self.read_body(connection, head, limits).await)
    }

    /// Reads the body, and keeps the connection if the response ended where it should.
    async fn read_body(
        &self,
        mut connection: Connection,
        head: http::Response<Incoming>,
        limits: Limits,
    ) -> Response {
        let (head, incoming) = head.into_parts();
        let stated = incoming.size_hint().lower().min(limits.max_body_bytes as u64);
        // A server may state any length; larger bodies grow as they come.
        let mut body = Vec::with_capacity((stated as usize).min(MAX_RESERVED_BYTES));
        let is_complete = connection.read_body(incoming, limits, &mut body).await;
        if is_complete && connection.is_reusable() {
            connection.idle_since = Instant::now();
            let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MAX_IDLE_CONNECTIONS {
                idle.push(connection);
            }
        }
        Response { status: head.status.as_u16(), headers: head.headers, body, is_complete }
    }

    /// Returns the connection that was used last, unless all were idle for too long.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.idle_since.elapsed() < MAX_IDLE);
        idle.pop()
    }
}

/// A connection and the future that moves its bytes, which is polled during requests only: a
/// dropped connection leaves no task behind.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    idle_since: Instant,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    async fn open(transport: Transport) -> io::Result<Self> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            // A client must read folded lines as one (RFC 9112 §5.2).
            .allow_obsolete_multiline_headers_in_responses(true)
            .title_case_headers(true)
            .handshake(TokioIo::new(transport))
            .await
            .map_err(io_error)?;
        let future = async move {
            // The request that fails reports the error, too.
            let _ = connection.await;
        };
        let driver = Driver { future: Box::pin(future), is_finished: false };
        Ok(Self { sender, driver, idle_since: Instant::now() })
    }

    async fn request_head(
        &mut self,
        request: ArchiveRequest,
        limits: Limits,
    ) -> io::Result<http::Response<Incoming>> {
        let Self { sender, driver, .. } = self;
        let exchange = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        match timeout_at(Instant::now() + limits.head_time, driver.run(exchange)).await {
            Ok(response) => response.map_err(io_error),
            Err(_) => {
                let message = "timed out while waiting for the answer";
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }
        }
    }

    /// Appends at most `max_body_bytes` of the body to `body`. Returns whether that is all of it.
    async fn read_body(
        &mut self,
        mut incoming: Incoming,
        limits: Limits,
        body: &mut Vec<u8>,
    ) -> bool {
        let reading = async {
            while let Some(frame) = incoming.frame().await {
                // After an error the caller continues at the byte reached.
                let Ok(frame) = frame else { return false };
                let Ok(data) = frame.into_data() else { continue };
                let room = limits.max_body_bytes.saturating_sub(body.len());
                body.extend_from_slice(data.get(..room).unwrap_or(&data));
                if data.len() > room {
                    return false;
                }
            }
            true
        };
        let by = Instant::now() + limits.body_time;
        timeout_at(by, self.driver.run(reading)).await.unwrap_or(false)
    }

    fn is_reusable(&self) -> bool {
        !self.driver.is_finished && !self.sender.is_closed()
    }
}

struct Driver {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_finished: bool,
}

impl Driver {
    /// Completes `work` while moving the connection's bytes.
    async fn run<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if !self.is_finished {
            tokio::select! {
                biased;
                output = &mut work => return output,
                () = &mut self.future => self.is_finished = true,
            }
        }
        // The connection has ended: what it received is still there, or its error.
        work.await
    }
}

/// Converts hyper's error into one with a message for people.
fn io_error(error: hyper::Error) -> io::Error {
    let io_source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(source) = io_source {
        return io::Error::new(source.kind(), source.to_string());
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        let message = "the peer closed the connection without an answer";
        return io::Error::new(io::ErrorKind::UnexpectedEof, message);
    }
    if error.is_parse_too_large() {
        let message = format!("the head of the answer has no end within {MAX_HEAD_BYTES} bytes");
        return io::Error::new(io::ErrorKind::InvalidData, message);
    }
    let message = match error.is_parse() {
        true => format!("the answer is not HTTP, or its head is damaged ({error})"),
        false => error.to_string(),
    };
    io::Error::new(io::ErrorKind::InvalidData, message)
}
