//! Where the head of an HTTP/1 response ends, and the fields in it. No I/O but reading one
//! head; what the fields mean is not known here.

use std::io;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::display::printable::one_line;

/// Largest response head accepted, in bytes.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Most header fields accepted in a response.
pub const MAX_HEADERS: usize = 124;

/// What every response head starts with.
const START: &[u8] = b"HTTP/1.";

/// The length of the head, blank line included, once it is complete. Lines may end with a bare
/// line feed, as `httparse` allows. `searched` is how much of `bytes` was looked at before.
pub fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let tail = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| match tail.get(at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// Refuses a peer that does not speak HTTP/1 or that sends too large a head.
pub fn check_partial(bytes: &[u8]) -> io::Result<()> {
    let shared = bytes.len().min(START.len());
    if bytes.get(..shared) != START.get(..shared) {
        return Err(invalid(format!(
            "the answer is not HTTP; it starts with {:?}",
            one_line(bytes, 40)
        )));
    }
    if bytes.len() > MAX_HEAD_BYTES {
        return Err(invalid(format!(
            "the head of the answer has no end within {MAX_HEAD_BYTES} bytes"
        )));
    }
    Ok(())
}

/// Reads one response head. Returns it, and what was read behind it.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::with_capacity(1024);
    loop {
        let searched = head.len();
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = end_of_head(&head, searched) {
            check_partial(head.get(..end).unwrap_or_default())?;
            let behind = head.split_off(end);
            return Ok((head, behind));
        }
        check_partial(&head)?;
    }
}

/// Status and headers of a whole head; `None` where it can't be read.
pub fn parse(head: &[u8]) -> Option<(u16, HeaderMap)> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut fields);
    if response.parse(head).ok()?.is_partial() {
        return None;
    }
    let mut headers = HeaderMap::new();
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) {
            headers.append(name, value);
        }
    }
    Some((response.code?, headers))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_the_head_was_cut() {
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
}
