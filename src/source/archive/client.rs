//! The HTTP client of one server's archive: whole responses, and ranges of files that the server
//! may rewrite while they are read. It does not interpret the bytes.
//!
//! Source: protocol/jetstream-v2-archive.md §2, §3.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderName,
    HeaderValue, IF_RANGE, RANGE, USER_AGENT,
};
use bytes::Bytes;
use http_body_util::Full;
use tokio::time::Instant;

use super::api_key::{ApiKey, may_send_key};
use super::error::{ArchiveFetchError, RangeError};
use super::http_pool::{ArchiveRequest, HttpPool, Limits, Response};
use super::retry::{MAX_SERVER_WAIT, RetryBudget, server_wait};
use crate::metrics::Metrics;
use crate::source::endpoint::Endpoint;
use crate::source::http::error_body::{self, XrpcError};
use crate::source::net::dial;
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;

/// The prefix of the archive's endpoints, below an endpoint's base path.
const METHODS: &str = "/xrpc/network.bsky.jetstream.";

/// Time for the head of a response. A server needs a while to plan the whole archive.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// Time for a body, and the slowest link for which a longer one has time enough. On a slower
/// link the request ends early, and the next one continues at the byte reached.
const BODY_TIME: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_SECOND: u64 = 16 * 1024;

/// Most bytes of a refusal's body.
const MAX_REFUSAL_BYTES: usize = 8 * 1024;

/// A client of one server's archive.
#[derive(Debug)]
pub struct ArchiveClient {
    endpoint: Endpoint,
    proxies: Arc<Proxies>,
    tls: Arc<TlsContext>,
    key: Option<ApiKey>,
    connect_timeout: Duration,
    pub(super) metrics: Arc<Metrics>,
    pool: HttpPool,
    is_impatient: bool,
}

/// What an [`ArchiveClient`] needs.
#[derive(Clone, Debug)]
pub struct ArchiveClientConfig {
    /// The server.
    pub endpoint: Endpoint,
    /// Proxies from the environment.
    pub proxies: Arc<Proxies>,
    /// Trust anchors and pins.
    pub tls: Arc<TlsContext>,
    /// The archive's key, if the user gave one.
    pub key: Option<ApiKey>,
    /// Time to open a connection.
    pub connect_timeout: Duration,
    /// Counts the bytes of bodies, and what a backfill does.
    pub metrics: Arc<Metrics>,
}

/// The first bytes of a file.
#[derive(Debug)]
pub struct FilePrefix {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The strong ETag and the size of the file; `None` if the server does not send ranges of it.
    pub version: Option<(String, u64)>,
}

impl ArchiveClient {
    /// Returns a client without connections.
    #[must_use]
    pub fn new(config: ArchiveClientConfig) -> Self {
        let ArchiveClientConfig { endpoint, proxies, tls, key, connect_timeout, metrics } = config;
        let pool = HttpPool::default();
        Self { endpoint, proxies, tls, key, connect_timeout, metrics, pool, is_impatient: false }
    }

    /// Returns the client with fewer retries, for a user who waits for an answer.
    #[must_use]
    pub fn without_patience(self) -> Self {
        Self { is_impatient: true, ..self }
    }

    fn retry_budget(&self) -> RetryBudget {
        if self.is_impatient { RetryBudget::short() } else { RetryBudget::default() }
    }

    /// Sends one request, without a retry.
    async fn request(
        &self,
        target: &str,
        headers: &[(HeaderName, String)],
        body: Option<&[u8]>,
        max_body_bytes: usize,
    ) -> Result<Response, ArchiveFetchError> {
        tracing::debug!(server = %self.endpoint.label, target, "asking the archive");
        let request = self.build_request(target, headers, body)?;
        let seconds = max_body_bytes as u64 / SLOWEST_BYTES_PER_SECOND;
        let limits = Limits {
            head_time: HEAD_TIME.max(self.connect_timeout),
            body_time: BODY_TIME + Duration::from_secs(seconds),
            max_body_bytes,
        };
        let connect = async || {
            let deadline = Instant::now() + self.connect_timeout;
            let dialled = dial::dial(&self.endpoint, &self.proxies, &self.tls, deadline).await;
            dialled.map_err(ArchiveFetchError::from)
        };
        let response = self.pool.send(request, limits, connect).await?;
        self.metrics.wire_bytes.add(response.body.len() as u64);
        self.metrics.archive_bytes.add(response.body.len() as u64);
        match response.status {
            200 | 206 | 304 | 412 | 416 => Ok(response),
            _ => Err(refusal(&response)),
        }
    }

    fn build_request(
        &self,
        target: &str,
        headers: &[(HeaderName, String)],
        body: Option<&[u8]>,
    ) -> Result<ArchiveRequest, ArchiveFetchError> {
        let mut request = ::http::Request::builder()
            .method(if body.is_some() { "POST" } else { "GET" })
            .uri(format!("{}{METHODS}{target}", self.endpoint.base_path))
            .header(HOST, self.endpoint.authority())
            .header(USER_AGENT, concat!("skytail/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "*/*");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(value) = self.authorization() {
            let value = HeaderValue::try_from(value).map(|mut value| {
                value.set_sensitive(true);
                value
            });
            let value = value.map_err(|_| ArchiveFetchError::Unexpected(NO_REQUEST))?;
            request = request.header(AUTHORIZATION, value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.unwrap_or_default()));
        request.body(body).map_err(|_| ArchiveFetchError::Unexpected(NO_REQUEST))
    }

    /// Returns the key, or the user and password of the server's URL.
    fn authorization(&self) -> Option<String> {
        match (&self.key, &self.endpoint.credentials) {
            (Some(key), _) if may_send_key(&self.endpoint) => Some(key.authorization()),
            (None, Some(credentials)) => Some(credentials.basic().to_string()),
            _ => None,
        }
    }

    /// Returns a whole response of at most `max_bytes`, with retries.
    ///
    /// # Errors
    /// [`ArchiveFetchError`].
    pub async fn fetch_all(
        &self,
        target: &str,
        body: Option<&[u8]>,
        max_bytes: usize,
    ) -> Result<Vec<u8>, ArchiveFetchError> {
        let mut budget = self.retry_budget();
        loop {
            let error = match self.request(target, &[], body, max_bytes + 1).await {
                Ok(response) if response.status == 200 => {
                    if response.body.len() > max_bytes {
                        return Err(ArchiveFetchError::TooLarge(max_bytes));
                    }
                    if response.is_complete {
                        return Ok(response.body);
                    }
                    ArchiveFetchError::CutOff(response.body.len())
                }
                Ok(_) => {
                    ArchiveFetchError::Unexpected("a part of an answer, though all was asked for")
                }
                Err(error) => error,
            };
            budget.wait_after(error).await?;
        }
    }

    /// Returns a whole file of at most `max_bytes`. After a cut-off body it continues at the byte
    /// reached. It never joins two versions of the file.
    ///
    /// # Errors
    /// [`ArchiveFetchError`].
    pub async fn fetch_file(
        &self,
        target: &str,
        max_bytes: usize,
    ) -> Result<Vec<u8>, ArchiveFetchError> {
        let (mut budget, mut file, mut etag) = (self.retry_budget(), Vec::new(), None::<String>);
        loop {
            let headers = match &etag {
                Some(etag) if !file.is_empty() => {
                    vec![(RANGE, format!("bytes={}-", file.len())), (IF_RANGE, etag.clone())]
                }
                _ => {
                    file.clear();
                    Vec::new()
                }
            };
            let error = match self.request(target, &headers, None, max_bytes + 1).await {
                Err(error) => error,
                Ok(response) => {
                    let continues =
                        !file.is_empty() && is_part(&response, file.len() as u64, etag.as_deref());
                    if !continues {
                        file.clear();
                        etag = strong_etag(&response.headers);
                        if response.status != 200 {
                            // The file was rewritten, or the response does not fit: start again.
                            etag = None;
                            budget.wait_after(ArchiveFetchError::CutOff(0)).await?;
                            continue;
                        }
                    }
                    if !response.body.is_empty() {
                        budget.reset();
                    }
                    file.extend_from_slice(&response.body);
                    if file.len() > max_bytes {
                        return Err(ArchiveFetchError::TooLarge(max_bytes));
                    }
                    if response.is_complete {
                        return Ok(file);
                    }
                    ArchiveFetchError::CutOff(file.len())
                }
            };
            budget.wait_after(error).await?;
        }
    }

    /// Returns the first `bytes` bytes of a file, and whether ranges of it are available.
    ///
    /// # Errors
    /// [`ArchiveFetchError`].
    pub async fn fetch_prefix(
        &self,
        target: &str,
        bytes: usize,
    ) -> Result<FilePrefix, ArchiveFetchError> {
        let headers = [(RANGE, format!("bytes=0-{}", bytes.saturating_sub(1)))];
        let mut budget = self.retry_budget();
        loop {
            let error = match self.request(target, &headers, None, bytes).await {
                Ok(response) if response.body.len() >= bytes.min(1) => {
                    let size = content_range(&response.headers).filter(|range| range.start == 0);
                    let size = size.filter(|_| response.status == 206).map(|range| range.of);
                    let version = strong_etag(&response.headers).zip(size);
                    if response.body.len() == bytes || response.is_complete {
                        return Ok(FilePrefix { bytes: response.body, version });
                    }
                    ArchiveFetchError::CutOff(response.body.len())
                }
                Ok(response) => ArchiveFetchError::CutOff(response.body.len()),
                Err(error) => error,
            };
            budget.wait_after(error).await?;
        }
    }

    /// Returns the bytes `range` of the version `etag` of a file.
    ///
    /// # Errors
    /// [`RangeError`].
    pub async fn fetch_range(
        &self,
        target: &str,
        range: Range<u64>,
        etag: &str,
    ) -> Result<Vec<u8>, RangeError> {
        let wanted = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let (mut budget, mut bytes) = (self.retry_budget(), Vec::new());
        while bytes.len() < wanted {
            let start = range.start + bytes.len() as u64;
            let headers =
                [(RANGE, format!("bytes={start}-{}", range.end - 1)), (IF_RANGE, etag.to_owned())];
            let error = match self.request(target, &headers, None, wanted - bytes.len()).await {
                Err(error) => error,
                Ok(response) if is_part(&response, start, Some(etag)) => {
                    if !response.body.is_empty() {
                        budget.reset();
                    }
                    match bytes.is_empty() {
                        true => bytes = response.body,
                        false => bytes.extend_from_slice(&response.body),
                    }
                    if bytes.len() >= wanted {
                        break;
                    }
                    ArchiveFetchError::CutOff(bytes.len())
                }
                Ok(response) => {
                    let is_same = strong_etag(&response.headers).as_deref() == Some(etag);
                    return Err(match response.status {
                        200 if is_same => RangeError::RangeIgnored,
                        _ => RangeError::Changed,
                    });
                }
            };
            budget.wait_after(error).await?;
        }
        Ok(bytes)
    }
}

const NO_REQUEST: &str = "the server's name or key can't be written into an HTTP request";

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

/// Returns the ETag if it is strong: a weak one does not prove that two parts fit together.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(ETAG)?.to_str().ok()?.trim();
    let is_strong = etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"');
    is_strong.then(|| etag.to_owned())
}

/// Returns whether a response is the part of this version that begins at `start`.
fn is_part(response: &Response, start: u64, etag: Option<&str>) -> bool {
    response.status == 206
        && content_range(&response.headers).is_some_and(|range| range.start == start)
        && etag.is_some()
        && strong_etag(&response.headers).as_deref() == etag
}

fn refusal(response: &Response) -> ArchiveFetchError {
    let (status, bytes) = (response.status, &response.body);
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
            let asked = server_wait(&response.headers, SystemTime::now());
            let wait = asked.map(|asked| asked.min(MAX_SERVER_WAIT));
            ArchiveFetchError::Busy { status, said, wait, asked }
        }
        _ => ArchiveFetchError::Refused { status, said, name },
    }
}

#[cfg(test)]
#[path = "client/tests.rs"]
mod tests;
