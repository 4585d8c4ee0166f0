//! The HTTP server of `--metrics-listen`. It runs on its own thread, so that requests don't delay
//! the stream.
//!
//! A client may be hostile: the server limits the number of connections, accepts one request per
//! connection, limits its time and its bytes, and never reads a body.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::health::HealthStatus;
use super::prometheus::{self, Run};
use crate::metrics::{Metrics, now_us};

/// Connections served at a time; others wait in the system's queue. A scraper needs one.
const MAX_CONNECTIONS: usize = 8;
/// Longest time for the head of a request. This is also the longest time for which eight idle
/// connections keep others waiting.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time for a whole connection: the page has a few KiB.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(6);
/// Longest head of a request, in bytes; hyper accepts no smaller bound.
const MAX_HEAD_BYTES: usize = 8192;
/// Largest number of header fields of a request.
const MAX_HEADERS: usize = 48;
/// The delay after a failed accept, for example when no file descriptor is left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// The address can't be bound.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: choose another address, or port 0 for any free one")]
pub struct ListenError {
    /// The value of `--metrics-listen`.
    address: SocketAddr,
    /// The system's error.
    source: io::Error,
}

/// A running server; it stops when this value is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    /// The bound address, with the port that the system chose if the flag had port 0.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Binds `address` and starts to answer requests.
///
/// # Errors
/// [`ListenError`] if the system refuses the address, a runtime or a thread.
pub fn listen(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    run: Run,
) -> Result<MetricsServer, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.map_err(failed)?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener).map_err(failed)?
    };
    let (stop, stopped) = oneshot::channel();
    let content = Arc::new(Content { metrics, run });
    let work = move || runtime.block_on(serve(listener, content, stopped));
    let thread = std::thread::Builder::new().name("metrics".into()).spawn(work).map_err(failed)?;
    Ok(MetricsServer { address: local, stop: Some(stop), thread: Some(thread) })
}

/// The data that the pages are made from.
#[derive(Debug)]
struct Content {
    metrics: Arc<Metrics>,
    run: Run,
}

/// Accepts connections until `stopped` resolves. Connections that are open then end with the
/// runtime.
async fn serve(listener: TcpListener, content: Arc<Content>, mut stopped: oneshot::Receiver<()>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let next = async || {
        let slot = Arc::clone(&slots).acquire_owned().await;
        (slot, listener.accept().await)
    };
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            (slot, accepted) = next() => match accepted {
                Ok((stream, _)) => {
                    let content = Arc::clone(&content);
                    tokio::spawn(async move {
                        answer(stream, content).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection for metrics failed");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
        }
    }
}

/// Serves one connection with one request.
async fn answer(stream: TcpStream, content: Arc<Content>) {
    let service = service_fn(|request: http::Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), &content);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS).keep_alive(false);
    let served = timeout(CONNECTION_TIMEOUT, http.serve_connection(TokioIo::new(stream), service));
    match served.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request for metrics failed"),
        Err(_) => tracing::debug!("a request for metrics took too long"),
    }
}

fn respond(method: &Method, path: &str, content: &Content) -> http::Response<Full<Bytes>> {
    let plain = "text/plain; charset=utf-8";
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let (status, media_type, body) = match path {
        _ if !is_read => (StatusCode::METHOD_NOT_ALLOWED, plain, "use GET or HEAD\n".to_owned()),
        "/metrics" => {
            let page = prometheus::page(&content.metrics, &content.run, now_us());
            (StatusCode::OK, prometheus::CONTENT_TYPE, page)
        }
        "/healthz" => match content.run.health.check(&content.metrics, now_us()) {
            HealthStatus::Alive(why) => (StatusCode::OK, plain, format!("ok: {why}\n")),
            HealthStatus::Stale(why) => {
                (StatusCode::SERVICE_UNAVAILABLE, plain, format!("stale: {why}\n"))
            }
        },
        _ => (
            StatusCode::NOT_FOUND,
            plain,
            "not found: this server has /metrics and /healthz\n".to_owned(),
        ),
    };
    let mut response = http::Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
