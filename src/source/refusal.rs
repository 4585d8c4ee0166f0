//! What an HTTP answer that is no upgrade says to people: its words, how long to wait, where
//! it points. Everything read is bounded in bytes and time, and made printable.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_LENGTH, HeaderMap, LOCATION, RETRY_AFTER, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::display::printable::one_line;

/// Longest `Retry-After` that is believed.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// Most bytes of a body that are read.
const MAX_BODY_BYTES: usize = 8 * 1024;
/// Most characters of it that are shown.
const MAX_SHOWN_CHARS: usize = 300;
/// Longest wait for the body: the status is known already.
const BODY_TIME: Duration = Duration::from_secs(3);
/// How a chunked body ends (RFC 9112 §7.1).
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// The words of a refusal: as much of the body as comes soon, on one printable line.
/// `body` is what was read behind the head.
pub async fn body(
    mut stream: impl AsyncRead + Unpin,
    mut body: Vec<u8>,
    headers: &HeaderMap,
    deadline: Instant,
) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let chunked = text(TRANSFER_ENCODING).is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
    let wanted = text(CONTENT_LENGTH)
        .filter(|_| !chunked)
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(MAX_BODY_BYTES)
        .min(MAX_BODY_BYTES);
    let reading = async {
        while body.len() < wanted && !(chunked && body.ends_with(LAST_CHUNK)) {
            // An error or the end: what has come is still worth showing.
            if !matches!(stream.read_buf(&mut body).await, Ok(1..)) {
                break;
            }
        }
    };
    let _ = timeout_at(deadline.min(Instant::now() + BODY_TIME), reading).await;
    body.truncate(wanted);
    if chunked {
        body = unchunked(&body);
    }
    words(&body)
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
fn words(body: &[u8]) -> String {
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

/// Where a redirect points, seen from `base`: scheme and host only, since the rest may hold
/// anything.
pub fn location(headers: &HeaderMap, base: &str) -> String {
    let target = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| url::Url::parse(base).ok()?.join(text).ok());
    let Some(target) = target else {
        return "nowhere".to_owned();
    };
    let port = target.port().map(|p| format!(":{p}")).unwrap_or_default();
    let host = target.host_str().unwrap_or_default();
    one_line(format!("{}://{host}{port}", target.scheme()).as_bytes(), 260)
}

/// `Retry-After` in seconds or as an HTTP date (RFC 9110 §10.2.3), capped.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            // The day of the week adds nothing, and some servers get it wrong.
            let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
            let at = parser.parse_timestamp(text).ok()?.as_second();
            let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
            u64::try_from(at).unwrap_or(0).saturating_sub(now)
        }
    };
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date_and_capped() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("86400", Some(300)),
            ("99999999999999999999999", None),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:30 GMT", Some(300)),
            ("soon", None),
            ("-3", None),
        ] {
            let wait = retry_after(&with(RETRY_AFTER, value), now);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn redirects_are_told_without_their_path() {
        for (value, shown) in [
            ("https://other.example:8443/x?token=secret", "https://other.example:8443"),
            ("https://u:secret@other.example/", "https://other.example"),
            ("/login?secret", "wss://h.example"),
            ("http://[", "nowhere"),
        ] {
            assert_eq!(location(&with(LOCATION, value), "wss://h.example/"), shown);
        }
        assert_eq!(location(&HeaderMap::new(), "wss://h.example/"), "nowhere");
    }

    #[tokio::test]
    async fn bodies_are_cut_to_their_length_and_made_readable() {
        let later = Instant::now() + Duration::from_secs(60);
        let none = HeaderMap::new();
        let long = "x".repeat(100_000);
        let html: &[u8] = b"<html><title>502 Bad Gateway</title>\n<hr>nginx</html>";
        assert_eq!(body(html, vec![], &none, later).await, "502 Bad Gateway nginx");
        assert_eq!(body(&b"lo\nmore"[..], b"hel".into(), &none, later).await, "hello more");
        let five = with(CONTENT_LENGTH, "5");
        assert_eq!(body(&b"lo\nmore"[..], b"hel".into(), &five, later).await, "hello");
        assert_eq!(body(&b""[..], b"hello more".into(), &five, later).await, "hello");
        let cut = body(long.as_bytes(), vec![], &with(CONTENT_LENGTH, "100000"), later).await;
        assert_eq!(cut.chars().count(), MAX_SHOWN_CHARS + 1);
        let chunked = with(TRANSFER_ENCODING, "chunked");
        let parts: &[u8] = b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        assert_eq!(body(parts, vec![], &chunked, later).await, "hello");
        assert_eq!(body(&b"ffffffffffffffff\r\nhel"[..], vec![], &chunked, later).await, "hel");
    }
}
