//! The HTTP server behind `--metrics-listen`: a thread of its own, so that whoever asks costs
//! the stream nothing.
//!
//! The peer is hostile: few connections at a time, one request each, little time and few bytes
//! for it. A body that somebody sends is never read.

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

use super::exposition::{self, Run};
use super::health::Verdict;
use crate::metrics::{Metrics, now_us};

/// Connections served at a time; more wait in the system's queue. A scraper needs one.
const MAX_CONNECTIONS: usize = 8;
/// Time for the head of a request. Eight idle connections keep others waiting no longer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a connection as a whole: the page is a few KiB.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(6);
/// Longest head of a request, in bytes; hyper takes no smaller bound.
const MAX_HEAD_BYTES: usize = 8192;
/// Most header fields of a request.
const MAX_HEADERS: usize = 48;
/// The wait after an accept that failed, say for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: choose another address, or port 0 for any free one")]
pub struct ListenError {
    /// The address asked for.
    address: SocketAddr,
    /// What the system said.
    source: io::Error,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Listening {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts to answer at `address`.
///
/// # Errors
/// [`ListenError`] where the system refuses.
pub fn listen(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    run: Run,
) -> Result<Listening, ListenError> {
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
    let told = Arc::new(Told { metrics, run });
    let work = move || runtime.block_on(serve(listener, told, stopped));
    let thread = std::thread::Builder::new().name("metrics".into()).spawn(work).map_err(failed)?;
    Ok(Listening { address: local, stop: Some(stop), thread: Some(thread) })
}

/// What is told.
#[derive(Debug)]
struct Told {
    metrics: Arc<Metrics>,
    run: Run,
}

/// Answers until `stopped` resolves; the connections that are open then end with the runtime.
async fn serve(listener: TcpListener, told: Arc<Told>, mut stopped: oneshot::Receiver<()>) {
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
                    let told = Arc::clone(&told);
                    tokio::spawn(async move {
                        answer(stream, told).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection for metrics failed");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
}

/// One connection with one request.
async fn answer(stream: TcpStream, told: Arc<Told>) {
    let service = service_fn(|request: http::Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), &told);
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

fn respond(method: &Method, path: &str, told: &Told) -> http::Response<Full<Bytes>> {
    let plain = "text/plain; charset=utf-8";
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let (status, media_type, body) = match path {
        _ if !is_read => {
            (StatusCode::METHOD_NOT_ALLOWED, plain, "GET or HEAD, please\n".to_owned())
        }
        "/metrics" => {
            let page = exposition::page(&told.metrics, &told.run, now_us());
            (StatusCode::OK, exposition::CONTENT_TYPE, page)
        }
        "/healthz" => match told.run.health.look(&told.metrics, now_us()) {
            Verdict::Alive(why) => (StatusCode::OK, plain, format!("ok: {why}\n")),
            Verdict::Stale(why) => {
                (StatusCode::SERVICE_UNAVAILABLE, plain, format!("stale: {why}\n"))
            }
        },
        _ => (StatusCode::NOT_FOUND, plain, "here are /metrics and /healthz\n".to_owned()),
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
