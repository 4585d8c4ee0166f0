//! Reads and parses the head of an HTTP/1.1 request, with a bound and a time limit. Paths and
//! parameters are interpreted elsewhere.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Maximum size of a request head, in bytes: the limit of v2's HTTP stack (protocol/jetstream-v1.md
/// §3), enough for 10,000 DIDs in the URL.
pub(super) const MAX_HEAD_BYTES: usize = 1 << 20;
/// Maximum number of header lines.
const MAX_HEADERS: usize = 100;
const READ_BYTES: usize = 8 * 1024;

/// A request without its body.
#[derive(Debug, Default)]
pub(super) struct RequestHead {
    pub method: String,
    pub path: String,
    /// The part after the question mark, not decoded.
    pub query: String,
    headers: Vec<(String, String)>,
    /// Bytes that the client sent after the head.
    pub leftover: Vec<u8>,
}

/// Why no request could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// The client disconnected.
    Disconnected,
    TooLong,
    Malformed,
}

/// Why no body could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The client disconnected.
    Disconnected,
    TooLong,
    /// Chunked transfer coding, which this server does not read.
    Chunked,
}

impl RequestHead {
    /// Reads the body that follows this head, of at most `max_bytes` bytes; empty if the head
    /// announces none.
    pub(super) async fn read_body(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        max_bytes: usize,
    ) -> Result<Vec<u8>, BodyError> {
        if self.header("Transfer-Encoding").next().is_some() {
            return Err(BodyError::Chunked);
        }
        let length = match self.header("Content-Length").next().map(str::trim) {
            None => 0,
            Some(text) => text.parse().map_err(|_| BodyError::TooLong)?,
        };
        if length > max_bytes {
            return Err(BodyError::TooLong);
        }
        let mut body = std::mem::take(&mut self.leftover);
        if self.has_token("Expect", "100-continue") && body.len() < length {
            let go_on = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            go_on.await.map_err(|_| BodyError::Disconnected)?;
        }
        let missing = length.saturating_sub(body.len()) as u64;
        stream.take(missing).read_to_end(&mut body).await.map_err(|_| BodyError::Disconnected)?;
        if body.len() < length {
            return Err(BodyError::Disconnected);
        }
        body.truncate(length);
        Ok(body)
    }

    /// Reads and parses one head.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, HeadError> {
        let mut bytes: Vec<u8> = Vec::with_capacity(READ_BYTES);
        loop {
            // The end of the head may span two reads.
            let searched = bytes.len().saturating_sub(3);
            bytes.reserve(READ_BYTES);
            let n = stream.read_buf(&mut bytes).await.map_err(|_| HeadError::Disconnected)?;
            if n == 0 {
                return Err(HeadError::Disconnected);
            }
            let tail = bytes.get(searched..).unwrap_or_default();
            if let Some(at) = memchr::memmem::find(tail, b"\r\n\r\n") {
                let rest = bytes.split_off(searched + at + 4);
                return Self::parse(&bytes, rest).ok_or(HeadError::Malformed);
            }
            if bytes.len() > MAX_HEAD_BYTES {
                return Err(HeadError::TooLong);
            }
        }
    }

    fn parse(bytes: &[u8], leftover: Vec<u8>) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        if !request.parse(bytes).ok()?.is_complete() {
            return None;
        }
        let target = request.path?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = request.headers.iter();
        Some(Self {
            method: request.method?.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.map(|h| (h.name.to_owned(), text(h.value))).collect(),
            leftover,
        })
    }

    /// Returns the values of a header.
    pub(super) fn header(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// As [`RequestHead::has_token`], but case-sensitive.
    pub(super) fn has_exact_token(&self, name: &str, token: &str) -> bool {
        self.header(name).flat_map(|v| v.split(',')).any(|t| t.trim() == token)
    }

    /// Returns whether the comma-separated values of a header contain this token.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.header(name).flat_map(|v| v.split(','));
        tokens.any(|t| t.trim().eq_ignore_ascii_case(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<RequestHead, HeadError> {
        RequestHead::read(&mut &bytes[..]).await
    }

    #[tokio::test]
    async fn parses_a_request_and_keeps_the_bytes_after_it() {
        let head =
            read(b"GET /subscribe?a=1?2 HTTP/1.1\r\nHost: x\r\nconnection: a, Upgrade\r\n\r\nmore")
                .await
                .unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str()), ("GET", "/subscribe"));
        assert_eq!((head.query.as_str(), &head.leftover[..]), ("a=1?2", &b"more"[..]));
        assert!(head.has_token("Connection", "upgrade"));
        assert!(!head.has_token("Connection", "up"));
    }

    #[tokio::test]
    async fn malformed_requests_are_rejected() {
        assert_eq!(read(b"GET /").await.unwrap_err(), HeadError::Disconnected);
        assert_eq!(read(b"\x16\x03\x01 tls\r\n\r\n").await.unwrap_err(), HeadError::Malformed);
        let long = vec![b'a'; MAX_HEAD_BYTES + READ_BYTES];
        assert_eq!(read(&long).await.unwrap_err(), HeadError::TooLong);
    }
}
