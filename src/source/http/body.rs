//! Reads the body of an HTTP/1 response, bounded in bytes and time.

use std::io::ErrorKind;

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

/// A body, as far as it was read.
#[derive(Debug)]
pub struct ResponseBody {
    /// The data, without the framing of a chunked body.
    pub bytes: Vec<u8>,
    /// Whether the head shows that this is the whole body.
    pub is_whole: bool,
    /// Whether the connection ended before the body did.
    pub is_cut: bool,
}

/// Reads at most `max_bytes` of a body before `deadline`. `body` is what was read after the
/// head.
pub async fn read(
    mut stream: impl AsyncRead + Unpin,
    mut body: Vec<u8>,
    headers: &HeaderMap,
    deadline: Instant,
    max_bytes: usize,
) -> ResponseBody {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let chunked = text(TRANSFER_ENCODING).is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
    let length =
        text(CONTENT_LENGTH).filter(|_| !chunked).and_then(|length| length.trim().parse().ok());
    let wanted = length.unwrap_or(max_bytes).min(max_bytes);
    let mut ended = None;
    let mut chunks = Chunks::default();
    // Many TLS servers close the connection without a close_notify alert. A body with a length
    // shows whether it is whole. Without one, such an end may be a cut, but usually is not.
    let mut has_no_close_notify = false;
    let reading = async {
        while body.len() < wanted && !(chunked && chunks.have_ended(&body)) {
            // After an error or the end, what has come is still worth showing.
            match stream.read_buf(&mut body).await {
                Ok(1..) => {}
                end => {
                    has_no_close_notify =
                        matches!(&end, Err(e) if e.kind() == ErrorKind::UnexpectedEof);
                    ended = Some(end.is_ok());
                    break;
                }
            }
        }
    };
    let is_in_time = timeout_at(deadline, reading).await.is_ok();
    let is_whole = match (length, chunked) {
        (Some(length), _) => body.len() >= length,
        (None, true) => chunks.have_ended(&body),
        (None, false) => is_in_time && ended == Some(true),
    };
    body.truncate(wanted);
    let bytes = if chunked { unchunked(&body) } else { body };
    let is_usual_end = has_no_close_notify && length.is_none() && !chunked;
    ResponseBody { bytes, is_whole, is_cut: !is_whole && ended.is_some() && !is_usual_end }
}

/// How far a chunked body has come (RFC 9112 §7.1).
#[derive(Debug, Default)]
struct Chunks {
    /// Where the size of the next chunk begins.
    next: usize,
}

impl Chunks {
    /// Returns whether `body` contains the last chunk and its trailers. Bytes inside a chunk that
    /// look like the last one are data. Call it with a body that only grows.
    fn have_ended(&mut self, body: &[u8]) -> bool {
        while let Some(rest) = body.get(self.next..)
            && let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest)
        {
            if size == 0 {
                let trailers = rest.get(start..).unwrap_or_default();
                return trailers.starts_with(b"\r\n")
                    || memchr::memmem::find(trailers, b"\r\n\r\n").is_some();
            }
            // A line break follows each chunk.
            let next = usize::try_from(size).ok().and_then(|size| size.checked_add(start + 2));
            let Some(next) = next.and_then(|length| self.next.checked_add(length)) else {
                return false;
            };
            if next > body.len() {
                return false;
            }
            self.next = next;
        }
        false
    }
}

/// Returns the data of a chunked body, as far as it is present and well-formed.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) {
        let Some(chunk) = rest.get(start..).filter(|_| size > 0) else {
            break;
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        data.extend_from_slice(chunk.get(..size).unwrap_or(chunk));
        // A line break follows each chunk.
        rest = size.checked_add(2).and_then(|next| chunk.get(next..)).unwrap_or_default();
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::Duration;

    fn with(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[tokio::test]
    async fn a_body_is_whole_when_its_head_says_so() {
        let later = Instant::now() + Duration::from_secs(60);
        let is_whole = async |bytes: &'static [u8], headers: &HeaderMap| {
            read(bytes, Vec::new(), headers, later, 100).await.is_whole
        };
        assert!(is_whole(b"hello", &with(CONTENT_LENGTH, "5")).await);
        assert!(!is_whole(b"hell", &with(CONTENT_LENGTH, "5")).await);
        assert!(is_whole(b"hello", &HeaderMap::new()).await);
        assert!(is_whole(b"2\r\nhe\r\n0\r\n\r\n", &with(TRANSFER_ENCODING, "chunked")).await);
        assert!(!is_whole(b"2\r\nhe\r\n", &with(TRANSFER_ENCODING, "chunked")).await);
        assert!(is_whole(b"0\r\n\r\n", &with(TRANSFER_ENCODING, "chunked")).await);
        assert!(is_whole(b"0\r\nA: b\r\n\r\n", &with(TRANSFER_ENCODING, "chunked")).await);
        // What looks like the last chunk is data.
        let inside = b"9\r\nx\r\n0\r\n\r\ny\r\n";
        assert!(!is_whole(inside, &with(TRANSFER_ENCODING, "chunked")).await);
        assert!(!is_whole(&[b'x'; 200], &HeaderMap::new()).await);
    }
}
