//! What an HTTP answer that is no upgrade says: its body, its words for people, the error of
//! an XRPC server. Everything read is bounded in bytes and time, and what is shown is made
//! printable.

use std::io::ErrorKind;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::display::printable::one_line;

/// Most bytes of a body that are read.
const MAX_BODY_BYTES: usize = 8 * 1024;
/// Most characters of it that are shown.
const MAX_SHOWN_CHARS: usize = 300;
/// Longest wait for the body: the status is known already.
const BODY_TIME: Duration = Duration::from_secs(3);
/// How a chunked body ends (RFC 9112 §7.1).
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// Most bytes of an error's name that are believed.
const MAX_NAME_BYTES: usize = 100;

/// An error of an XRPC server: `{"error":"NAME","message":"TEXT"}`
/// (protocol/jetstream-v2.md §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xrpc {
    /// The name: what a program may look at.
    pub name: String,
    /// The text for people; one printable, shortened line.
    pub message: String,
}

/// A body, as far as it was read.
#[derive(Debug)]
pub struct Body {
    /// Its bytes, without the frame of a chunked one.
    pub bytes: Vec<u8>,
    /// Whether that is all of it, as far as the head tells.
    pub is_whole: bool,
    /// Whether the connection ended in the middle of it.
    pub is_cut: bool,
}

/// Reads at most `max_bytes` of a body until `deadline`. `body` is what was read behind the
/// head.
pub async fn read_body(
    mut stream: impl AsyncRead + Unpin,
    mut body: Vec<u8>,
    headers: &HeaderMap,
    deadline: Instant,
    max_bytes: usize,
) -> Body {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let chunked = text(TRANSFER_ENCODING).is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
    let length =
        text(CONTENT_LENGTH).filter(|_| !chunked).and_then(|length| length.trim().parse().ok());
    let wanted = length.unwrap_or(max_bytes).min(max_bytes);
    let mut ended = None;
    // Many TLS servers close the connection without saying so first. A body with a length shows
    // whether it is whole; without one, such an end may be a cut, but is the usual one.
    let mut is_unclosed = false;
    let reading = async {
        while body.len() < wanted && !(chunked && body.ends_with(LAST_CHUNK)) {
            // An error or the end: what has come is still worth showing.
            match stream.read_buf(&mut body).await {
                Ok(1..) => {}
                end => {
                    is_unclosed = matches!(&end, Err(e) if e.kind() == ErrorKind::UnexpectedEof);
                    ended = Some(end.is_ok());
                    break;
                }
            }
        }
    };
    let is_in_time = timeout_at(deadline, reading).await.is_ok();
    let is_whole = match (length, chunked) {
        (Some(length), _) => body.len() >= length,
        (None, true) => body.ends_with(LAST_CHUNK),
        (None, false) => is_in_time && ended == Some(true),
    };
    body.truncate(wanted);
    let bytes = if chunked { unchunked(&body) } else { body };
    let is_usual = is_unclosed && length.is_none() && !chunked;
    Body { bytes, is_whole, is_cut: !is_whole && ended.is_some() && !is_usual }
}

/// The words of a refusal, its XRPC error if it is one, and whether its end is missing: as much
/// of the body as comes soon.
pub async fn body(
    stream: impl AsyncRead + Unpin,
    body: Vec<u8>,
    headers: &HeaderMap,
    deadline: Instant,
) -> (String, Option<Xrpc>, bool) {
    let deadline = deadline.min(Instant::now() + BODY_TIME);
    let body = read_body(stream, body, headers, deadline, MAX_BODY_BYTES).await;
    (words(&body.bytes), xrpc(&body.bytes), body.is_cut)
}

/// The error of an XRPC server, if the body is one.
pub fn xrpc(body: &[u8]) -> Option<Xrpc> {
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
    is_name(&raw.error).then(|| Xrpc {
        message: one_line(raw.message.as_bytes(), MAX_SHOWN_CHARS),
        name: raw.error,
    })
}

/// The data of a chunked body, as far as it is there and well-formed.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) {
        let Some(chunk) = rest.get(start..).filter(|_| size > 0) else {
            break;
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        data.extend_from_slice(chunk.get(..size).unwrap_or(chunk));
        // Behind each chunk stands a line break.
        rest = size.checked_add(2).and_then(|next| chunk.get(next..)).unwrap_or_default();
    }
    data
}

/// The text of a body; of an HTML page, which only proxies send, the text between the tags.
pub fn words(body: &[u8]) -> String {
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

    fn with(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    async fn shown(stream: &[u8], read: Vec<u8>, headers: &HeaderMap, until: Instant) -> String {
        body(stream, read, headers, until).await.0
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

    #[tokio::test]
    async fn a_body_is_whole_when_its_head_says_so() {
        let later = Instant::now() + Duration::from_secs(60);
        let is_whole = async |bytes: &'static [u8], headers: &HeaderMap| {
            read_body(bytes, Vec::new(), headers, later, 100).await.is_whole
        };
        assert!(is_whole(b"hello", &with(CONTENT_LENGTH, "5")).await);
        assert!(!is_whole(b"hell", &with(CONTENT_LENGTH, "5")).await);
        assert!(is_whole(b"hello", &HeaderMap::new()).await);
        assert!(is_whole(b"2\r\nhe\r\n0\r\n\r\n", &with(TRANSFER_ENCODING, "chunked")).await);
        assert!(!is_whole(b"2\r\nhe\r\n", &with(TRANSFER_ENCODING, "chunked")).await);
        assert!(!is_whole(&[b'x'; 200], &HeaderMap::new()).await);
    }

    #[test]
    fn xrpc_errors_are_told_from_other_bodies() {
        let error = xrpc(br#"{"error":"CursorTooOld","message":"too\u001b old"}"#).unwrap();
        assert_eq!((&*error.name, &*error.message), ("CursorTooOld", "too old"));
        assert_eq!(xrpc(br#"{"error":"InvalidRequest"}"#).unwrap().message, "");
        for other in [
            &b"{\"message\":\"Not Found\"}"[..],
            b"{\"error\":\"\"}",
            b"{\"error\":\"a b\"}",
            b"404",
        ] {
            assert_eq!(xrpc(other), None);
        }
    }
}
