//! Reads the head of an HTTP/1 response: its status and its header fields. Skips interim
//! responses before the final one. Does not interpret the fields.

use std::io;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::display::printable::one_line;

/// The largest head accepted, in bytes, interim responses included.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most header fields accepted in a response.
const MAX_HEADERS: usize = 124;

/// The most interim responses (1xx) accepted before the final one. RFC 9110 §15.2 allows any
/// number; real servers send one or two (100 Continue, 103 Early Hints).
const MAX_INTERIM: usize = 16;

/// The start of every response head.
const START: &[u8] = b"HTTP/1.";

/// The content types of TLS records (RFC 8446 §5.1). A TLS server's answer to plain HTTP begins
/// with one of them, and no HTTP response does.
const TLS_RECORDS: std::ops::RangeInclusive<u8> = 0x14..=0x17;

/// The head of the final response.
#[derive(Debug)]
pub struct ResponseHead {
    /// The HTTP status.
    pub status: u16,
    /// The text after the status, printable; may be empty.
    pub reason: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// What was read after the head: the first bytes of a body or of a stream.
    pub rest: Vec<u8>,
}

/// Why the head could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The connection failed, or ended within the head.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The connection ended before its first byte.
    #[error("the peer closed the connection without an answer")]
    NoResponse,
    /// The peer answered with a TLS record.
    #[error("the answer is TLS, not HTTP: use wss:// for this port")]
    Tls,
    /// The answer is not HTTP/1.
    #[error("the answer is not HTTP; it starts with {0:?}")]
    NotHttp(String),
    /// The answer is HTTP/1 and malformed.
    #[error("{0}")]
    Malformed(String),
}

impl From<HeadError> for io::Error {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Io(error) => error,
            HeadError::NoResponse => Self::new(io::ErrorKind::UnexpectedEof, error.to_string()),
            other => Self::new(io::ErrorKind::InvalidData, other.to_string()),
        }
    }
}

/// Reads the head of the final response. Skips 1xx responses except 101, which is final
/// (RFC 9110 §15.2).
///
/// # Errors
/// [`HeadError`]. Reads at most [`MAX_HEAD_BYTES`] and what one more read returns.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<ResponseHead, HeadError> {
    let mut bytes = Vec::with_capacity(1024);
    // Where the current response begins, and how far its end was searched for.
    let (mut start, mut searched, mut interim) = (0, 0, 0);
    loop {
        let end = end_of_head(bytes.get(start..).unwrap_or_default(), searched - start);
        let end = end.map(|length| start + length);
        check_partial(bytes.get(start..end.unwrap_or(bytes.len())).unwrap_or_default())?;
        if end.unwrap_or(bytes.len()) > MAX_HEAD_BYTES {
            let fault = format!("the head of the answer has no end within {MAX_HEAD_BYTES} bytes");
            return Err(HeadError::Malformed(fault));
        }
        let Some(end) = end else {
            searched = bytes.len();
            match stream.read_buf(&mut bytes).await {
                Ok(1..) => continue,
                // A peer that closes without reading the request causes a reset.
                Ok(0) if bytes.is_empty() => return Err(HeadError::NoResponse),
                Err(e) if bytes.is_empty() && e.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(HeadError::NoResponse);
                }
                Ok(_) => return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into())),
                Err(e) => return Err(HeadError::Io(e)),
            }
        };
        let (status, reason, headers) = parse(bytes.get(start..end).unwrap_or_default())?;
        if !(100..200).contains(&status) || status == 101 {
            return Ok(ResponseHead { status, reason, headers, rest: bytes.split_off(end) });
        }
        interim += 1;
        if interim > MAX_INTERIM {
            let fault = format!("more than {MAX_INTERIM} interim answers and no final one");
            return Err(HeadError::Malformed(fault));
        }
        (start, searched) = (end, end);
    }
}

/// Returns the length of the head, blank line included, once it is complete. Lines may end with a
/// bare line feed, as `httparse` allows. `searched` bytes were searched before.
fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let tail = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| match tail.get(at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// Fails if the bytes so far cannot be the start of an HTTP/1 response.
fn check_partial(bytes: &[u8]) -> Result<(), HeadError> {
    let shared = bytes.len().min(START.len());
    if bytes.get(..shared) == START.get(..shared) {
        return Ok(());
    }
    match bytes.first() {
        Some(first) if TLS_RECORDS.contains(first) => Err(HeadError::Tls),
        _ => Err(HeadError::NotHttp(one_line(bytes, 40))),
    }
}

/// Parses status, reason and fields of a whole head.
fn parse(head: &[u8]) -> Result<(u16, String, HeaderMap), HeadError> {
    let malformed =
        |what: &str| HeadError::Malformed(format!("the head of the answer is damaged ({what})"));
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut fields);
    let mut parser = httparse::ParserConfig::default();
    // A client must read folded lines as if they were one (RFC 9112 §5.2).
    parser.allow_obsolete_multiline_headers_in_responses(true);
    match parser.parse_response(&mut response, head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(malformed("it has no end")),
        Err(error) => return Err(malformed(&error.to_string())),
    }
    let mut headers = HeaderMap::new();
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        // A folded line holds line breaks, which a `HeaderValue` can't.
        let value: Vec<u8> = field
            .value
            .iter()
            .map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b })
            .collect();
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&value)) {
            headers.append(name, value);
        }
    }
    let reason = one_line(response.reason.unwrap_or_default().as_bytes(), 80);
    Ok((response.code.ok_or_else(|| malformed("it has no status"))?, reason, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_head_arrives() {
        for (text, end) in [
            ("HTTP/1.1 101 X\r\nA: b\r\n\r\nrest\r\n\r\n", 24),
            ("HTTP/1.1 101 X\nA: b\n\nrest", 21),
            ("HTTP/1.1 101 X\r\n\r\n", 18),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(end_of_head(bytes, 0), Some(end));
            for cut in 0..end {
                assert_eq!(end_of_head(&bytes[..cut], 0), None);
                assert_eq!(end_of_head(bytes, cut), Some(end), "{text:?} after {cut}");
            }
        }
    }

    async fn read(mut bytes: &[u8]) -> Result<ResponseHead, String> {
        read_head(&mut bytes).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn interim_responses_are_skipped_up_to_a_bound() {
        let last = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest";
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100\r\n\r\n";
        let head = read(format!("{interim}{last}").as_bytes()).await.unwrap();
        assert_eq!((head.status, &*head.reason, &*head.rest), (200, "OK", &b"rest"[..]));
        assert_eq!(head.headers.len(), 1);
        let most = format!("{}{last}", interim.repeat(MAX_INTERIM / 2));
        assert_eq!(read(most.as_bytes()).await.unwrap().status, 200);
        let error = read(format!("{interim}{most}").as_bytes()).await.unwrap_err();
        assert!(error.contains("16 interim answers"), "{error}");
        let long = format!("HTTP/1.1 100 {}\r\n\r\n", "x".repeat(30_000)).repeat(3);
        let error = read(format!("{long}{last}").as_bytes()).await.unwrap_err();
        assert!(error.contains("no end within 65536 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_folded_field_is_one_value() {
        let head = read(b"HTTP/1.1 200 OK\r\nA: b\r\n\t c\r\nD: e\r\n\r\n").await.unwrap();
        let value = head.headers["a"].to_str().unwrap();
        assert_eq!(value.split_whitespace().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(head.headers["d"], "e");
    }

    #[tokio::test]
    async fn anything_but_a_head_is_an_error_that_names_it() {
        for (bytes, words) in [
            (&b""[..], "without an answer"),
            (b"HTTP/1.1 2", "unexpected end of file"),
            (b"\x15\x03\x03\0\x02\x02\x46", "TLS, not HTTP"),
            (b"SSH-2.0-x\r\n", "not HTTP; it starts with \"SSH-2.0-x\""),
            (b"HTTP/1.1 \xff\xff\r\n\r\n", "damaged"),
        ] {
            let error = read(bytes).await.unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
