//! The body of an HTTP error: its text for people, and the XRPC error if it is one. What is
//! shown is made printable and bounded.

use std::time::Duration;

use http::header::HeaderMap;
use tokio::io::AsyncRead;
use tokio::time::Instant;

use super::body;
use crate::display::printable::one_line;

/// The most bytes of an error's body that are read.
const MAX_BODY_BYTES: usize = 8 * 1024;
/// The most characters of it that are shown.
const MAX_SHOWN_CHARS: usize = 300;
/// The longest wait for the body: the status is known already.
const BODY_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest XRPC error name that is accepted, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// An XRPC error: `{"error":"NAME","message":"TEXT"}` (protocol/jetstream-v2.md §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XrpcError {
    /// The name, which programs may depend on.
    pub name: String,
    /// The text for people; one printable, shortened line.
    pub message: String,
}

/// The body of an HTTP error.
#[derive(Debug)]
pub struct ErrorBody {
    /// Its text as one printable, shortened line; may be empty.
    pub text: String,
    /// The XRPC error, if the body is one.
    pub xrpc: Option<XrpcError>,
    /// Whether the connection ended before the body did.
    pub is_cut: bool,
}

/// Reads as much of an error's body as arrives within three seconds. `start` is what was read
/// after the head.
pub async fn read(
    stream: impl AsyncRead + Unpin,
    start: Vec<u8>,
    headers: &HeaderMap,
    deadline: Instant,
) -> ErrorBody {
    let deadline = deadline.min(Instant::now() + BODY_TIMEOUT);
    let body = body::read(stream, start, headers, deadline, MAX_BODY_BYTES).await;
    ErrorBody { text: text(&body.bytes), xrpc: xrpc_error(&body.bytes), is_cut: body.is_cut }
}

/// Parses an XRPC error; `None` if the body is something else.
pub fn xrpc_error(body: &[u8]) -> Option<XrpcError> {
    #[derive(serde::Deserialize)]
    struct Raw {
        error: String,
        #[serde(default)]
        message: String,
    }
    let raw: Raw = serde_json::from_slice(body).ok()?;
    let is_name = |name: &str| {
        (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    is_name(&raw.error).then(|| XrpcError {
        message: one_line(raw.message.as_bytes(), MAX_SHOWN_CHARS),
        name: raw.error,
    })
}

/// Returns the text of a body as one line. Of an HTML page, which only proxies send, it returns
/// the text between the tags.
pub fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if !text.trim_start().starts_with('<') {
        return one_line(body, MAX_SHOWN_CHARS);
    }
    let mut plain = String::new();
    for piece in text.split('<') {
        if let Some((_, after)) = piece.split_once('>') {
            plain.push_str(after);
            plain.push(' ');
        }
    }
    one_line(plain.as_bytes(), MAX_SHOWN_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

    fn with(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    async fn shown(stream: &[u8], start: Vec<u8>, headers: &HeaderMap, until: Instant) -> String {
        read(stream, start, headers, until).await.text
    }

    #[tokio::test]
    async fn bodies_are_cut_to_their_length_and_made_readable() {
        let later = Instant::now() + Duration::from_secs(60);
        let none = HeaderMap::new();
        let long = "x".repeat(100_000);
        let html: &[u8] = b"<html><title>502 Bad Gateway</title>\n<hr>nginx</html>";
        assert_eq!(shown(html, vec![], &none, later).await, "502 Bad Gateway nginx");
        assert_eq!(shown(&b"lo\nmore"[..], b"hel".into(), &none, later).await, "hello more");
        let five = with(CONTENT_LENGTH, "5");
        assert_eq!(shown(&b"lo\nmore"[..], b"hel".into(), &five, later).await, "hello");
        assert_eq!(shown(&b""[..], b"hello more".into(), &five, later).await, "hello");
        let cut = shown(long.as_bytes(), vec![], &with(CONTENT_LENGTH, "100000"), later).await;
        assert_eq!(cut.chars().count(), MAX_SHOWN_CHARS + 1);
        let chunked = with(TRANSFER_ENCODING, "chunked");
        let parts: &[u8] = b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        assert_eq!(shown(parts, vec![], &chunked, later).await, "hello");
        assert_eq!(shown(&b"ffffffffffffffff\r\nhel"[..], vec![], &chunked, later).await, "hel");
    }

    #[test]
    fn xrpc_errors_are_distinguished_from_other_bodies() {
        let error = xrpc_error(br#"{"error":"CursorTooOld","message":"too\u001b old"}"#).unwrap();
        assert_eq!((&*error.name, &*error.message), ("CursorTooOld", "too old"));
        assert_eq!(xrpc_error(br#"{"error":"InvalidRequest"}"#).unwrap().message, "");
        for other in [
            &b"{\"message\":\"Not Found\"}"[..],
            b"{\"error\":\"\"}",
            b"{\"error\":\"a b\"}",
            b"404",
        ] {
            assert_eq!(xrpc_error(other), None);
        }
    }
}
