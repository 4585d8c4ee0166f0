//! Bytes of the archive over HTTP: whole answers, and ranges of files that may be rewritten
//! while they are read. What the bytes mean is not known here.
//!
//! Source: protocol/jetstream-v2-archive.md §2, §3. Each request has a connection of its own;
//! a redirect is never followed, so that the key stays where it belongs.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::header::{CONTENT_RANGE, ETAG, HeaderMap};
use tokio::time::Instant;

use super::error::{FetchError, RangeError};
use super::key::{ApiKey, may_be_shown};
use super::tries::{Tries, wait_asked_for};
use crate::metrics::Metrics;
use crate::source::endpoint::Endpoint;
use crate::source::http::error_body::{self, XrpcError};
use crate::source::http::{HttpRequest, HttpResponse, ResponseLimits, send};
use crate::source::net::dial;
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;

/// What the archive's endpoints are called, below an endpoint's base path.
const METHODS: &str = "/xrpc/network.bsky.jetstream.";

/// Time for the head of an answer.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// Time for a body, and more for each byte of it: a link slower than 16 KiB/s goes on at the
/// byte reached.
const BODY_TIME: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_SECOND: u64 = 16 * 1024;

/// Most bytes of a refusal's body.
const MAX_REFUSAL_BYTES: usize = 8 * 1024;

/// How to come to one server's archive.
#[derive(Clone, Debug)]
pub struct Way {
    /// The server.
    pub endpoint: Endpoint,
    /// Proxies from the environment.
    pub proxies: Arc<Proxies>,
    /// Trust.
    pub tls: Arc<TlsContext>,
    /// What to show there, if anything.
    pub key: Option<ApiKey>,
    /// Time for a connection and the head of its answer.
    pub connect_timeout: Duration,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// The beginning of a file.
#[derive(Debug)]
pub struct Beginning {
    /// Its first bytes.
    pub bytes: Vec<u8>,
    /// What tells this generation of the file from others, and its size; `None` where parts of
    /// it can't be had.
    pub whole: Option<(String, u64)>,
}

impl Way {
    /// Asks once.
    async fn once(
        &self,
        target: &str,
        headers: &str,
        body: Option<&[u8]>,
        max_body_bytes: usize,
    ) -> Result<HttpResponse, FetchError> {
        let head_by = Instant::now() + self.connect_timeout;
        let transport = dial::dial(&self.endpoint, &self.proxies, &self.tls, head_by).await?;
        let path = format!("{METHODS}{target}");
        let headers = format!("{headers}{}", self.authorization());
        let seconds = max_body_bytes as u64 / SLOWEST_BYTES_PER_SECOND;
        // A plan of the whole archive takes its server a while.
        let head_by = Instant::now() + HEAD_TIME.max(self.connect_timeout);
        let bounds = ResponseLimits {
            head_by,
            body_by: head_by + BODY_TIME + Duration::from_secs(seconds),
            max_body_bytes,
        };
        let request = HttpRequest { path: &path, headers: &headers, body };
        let answer = send(transport, &self.endpoint, request, bounds).await?;
        self.metrics.wire_bytes.add(answer.body.bytes.len() as u64);
        match answer.status {
            200 | 206 | 304 | 412 | 416 => Ok(answer),
            _ => Err(refusal(answer)),
        }
    }

    /// The key, or the user and password that came with the server's name.
    fn authorization(&self) -> String {
        match (&self.key, &self.endpoint.credentials) {
            (Some(key), _) if may_be_shown(&self.endpoint) => key.header(),
            (None, Some(credentials)) => format!("Authorization: {}\r\n", credentials.basic()),
            _ => String::new(),
        }
    }

    /// A whole answer of at most `max_bytes`, with as many tries as it takes.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn whole(
        &self,
        target: &str,
        body: Option<&[u8]>,
        max_bytes: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let mut tries = Tries::default();
        loop {
            let error = match self.once(target, "", body, max_bytes + 1).await {
                Ok(HttpResponse { status: 200, body, .. }) => match body {
                    body if body.bytes.len() > max_bytes => {
                        return Err(FetchError::TooLarge(max_bytes));
                    }
                    body if body.is_whole => return Ok(body.bytes),
                    body => FetchError::CutOff(body.bytes.len()),
                },
                Ok(_) => FetchError::Strange("a part of an answer, though all was asked for"),
                Err(error) => error,
            };
            tries.again(error).await?;
        }
    }

    /// A whole file of at most `max_bytes`, going on at the byte reached where an answer is cut
    /// off. Never joins two generations of it.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn file(&self, target: &str, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
        let (mut tries, mut so_far, mut etag) = (Tries::default(), Vec::new(), None::<String>);
        loop {
            let headers = match &etag {
                Some(etag) if !so_far.is_empty() => {
                    format!("Range: bytes={}-\r\nIf-Range: {etag}\r\n", so_far.len())
                }
                _ => {
                    so_far.clear();
                    String::new()
                }
            };
            let error = match self.once(target, &headers, None, max_bytes + 1).await {
                Err(error) => error,
                Ok(answer) => {
                    let goes_on = !so_far.is_empty()
                        && is_part(&answer, so_far.len() as u64, etag.as_deref());
                    if !goes_on {
                        so_far.clear();
                        etag = strong_etag(&answer.headers);
                        if answer.status != 200 {
                            // Rewritten, or an answer to something else: from the start.
                            etag = None;
                            tries.again(FetchError::CutOff(0)).await?;
                            continue;
                        }
                    }
                    if !answer.body.bytes.is_empty() {
                        tries.progress();
                    }
                    so_far.extend_from_slice(&answer.body.bytes);
                    if so_far.len() > max_bytes {
                        return Err(FetchError::TooLarge(max_bytes));
                    }
                    if answer.body.is_whole {
                        return Ok(so_far);
                    }
                    FetchError::CutOff(so_far.len())
                }
            };
            tries.again(error).await?;
        }
    }

    /// The first `bytes` bytes of a file, and whether parts of it can be had.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn beginning(&self, target: &str, bytes: usize) -> Result<Beginning, FetchError> {
        let headers = format!("Range: bytes=0-{}\r\n", bytes.saturating_sub(1));
        let mut tries = Tries::default();
        loop {
            let error = match self.once(target, &headers, None, bytes).await {
                Ok(answer) if answer.body.bytes.len() >= bytes.min(1) => {
                    let size = content_range(&answer.headers).filter(|range| range.start == 0);
                    let size = size.filter(|_| answer.status == 206).map(|range| range.of);
                    let whole = strong_etag(&answer.headers).zip(size);
                    if answer.body.bytes.len() == bytes || answer.body.is_whole {
                        return Ok(Beginning { bytes: answer.body.bytes, whole });
                    }
                    FetchError::CutOff(answer.body.bytes.len())
                }
                Ok(answer) => FetchError::CutOff(answer.body.bytes.len()),
                Err(error) => error,
            };
            tries.again(error).await?;
        }
    }

    /// The bytes `range` of the generation `etag` of a file.
    ///
    /// # Errors
    /// [`RangeError`].
    pub async fn range(
        &self,
        target: &str,
        range: Range<u64>,
        etag: &str,
    ) -> Result<Vec<u8>, RangeError> {
        let wanted = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let (mut tries, mut so_far) = (Tries::default(), Vec::new());
        while so_far.len() < wanted {
            let start = range.start + so_far.len() as u64;
            let headers = format!("Range: bytes={start}-{}\r\nIf-Range: {etag}\r\n", range.end - 1);
            let error = match self.once(target, &headers, None, wanted - so_far.len()).await {
                Err(error) => error,
                Ok(answer) if is_part(&answer, start, Some(etag)) => {
                    if !answer.body.bytes.is_empty() {
                        tries.progress();
                    }
                    so_far.extend_from_slice(&answer.body.bytes);
                    if so_far.len() >= wanted {
                        break;
                    }
                    FetchError::CutOff(so_far.len())
                }
                Ok(answer) => {
                    let is_same = strong_etag(&answer.headers).as_deref() == Some(etag);
                    return Err(match answer.status {
                        200 if is_same => RangeError::NotHonoured,
                        _ => RangeError::Changed,
                    });
                }
            };
            tries.again(error).await?;
        }
        Ok(so_far)
    }
}

/// `Content-Range: bytes 5-9/20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    of: u64,
}

fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes ")?;
    let (range, of) = text.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some(ContentRange { start: start.trim().parse().ok()?, of: of.trim().parse().ok()? })
}

/// The tag of a generation. Nothing can be joined by a weak one.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(ETAG)?.to_str().ok()?.trim();
    let is_strong = etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"');
    is_strong.then(|| etag.to_owned())
}

/// Whether an answer is the part of this generation from `start` on.
fn is_part(answer: &HttpResponse, start: u64, etag: Option<&str>) -> bool {
    answer.status == 206
        && content_range(&answer.headers).is_some_and(|range| range.start == start)
        && etag.is_some()
        && strong_etag(&answer.headers).as_deref() == etag
}

fn refusal(answer: HttpResponse) -> FetchError {
    let (status, bytes) = (answer.status, &answer.body.bytes);
    let bytes = bytes.get(..MAX_REFUSAL_BYTES).unwrap_or(bytes);
    let (name, said) = match error_body::xrpc_error(bytes) {
        Some(XrpcError { name, message }) => (Some(name.clone()), format!("{name}: {message}")),
        None if (300..400).contains(&status) => {
            (None, "a redirect, which is not followed".to_owned())
        }
        None => (None, error_body::text(bytes)),
    };
    match status {
        429 | 500 | 502..=599 => {
            let wait = wait_asked_for(&answer.headers, SystemTime::now());
            FetchError::Busy { status, said, wait }
        }
        _ => FetchError::Refused { status, said, name },
    }
}

#[cfg(test)]
#[path = "fetch/tests.rs"]
mod tests;
