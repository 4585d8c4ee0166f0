//! Where the head of an HTTP/1 response ends, and what text from a peer may look like in a
//! message. No I/O but reading one head; nothing is interpreted here.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

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
            printable(bytes, 40)
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

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Text from a peer as a message may show it: one line, no control characters, at most
/// `max_chars` characters.
pub fn printable(bytes: &[u8], max_chars: usize) -> String {
    // A character has at most four bytes: no need to look at more.
    let bytes = bytes.get(..max_chars.saturating_mul(4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    let mut chars = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !shown.is_empty() {
            shown.push(' ');
            chars += 1;
        }
        for c in word.chars() {
            if chars >= max_chars {
                shown.push('…');
                return shown;
            }
            // Invisible and direction-changing characters could hide or forge text.
            let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
            shown.push(if hidden { '\u{fffd}' } else { c });
            chars += 1;
        }
    }
    shown
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

    #[test]
    fn text_from_a_peer_is_one_short_line() {
        assert_eq!(printable(b" a\r\n\tb\x1b[31m ", 100), "a b [31m");
        assert_eq!(printable("é".repeat(50).as_bytes(), 3), "ééé…");
        assert_eq!(printable("a\u{202e}b".as_bytes(), 9), "a\u{fffd}b");
        assert_eq!(printable(&[0xff, b'x'], 9), "\u{fffd}x");
    }
}
