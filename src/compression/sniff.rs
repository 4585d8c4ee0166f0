//! Detects how a stream is compressed from its first bytes, not from its name, and
//! decompresses it. Memory is bounded by zstd's window.

use std::io::{self, Cursor, Read};

/// The first bytes of a zstd frame (RFC 8878 §3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The first bytes of a gzip member with the only method there is (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// The byte order mark in UTF-8, which some editors write.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The input is gzip, which skytail does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("looks like gzip")]
pub struct LooksLikeGzip;

/// Returns what the user can run instead, if `error` says that the input at `path` is gzip;
/// `command` reads plain text from its standard input.
#[must_use]
pub fn gzip_remedy(error: &io::Error, path: &str, command: &str) -> Option<String> {
    error.get_ref().filter(|inner| inner.is::<LooksLikeGzip>())?;
    let file = if path == "-" { "FILE" } else { path };
    Some(format!("looks like gzip: gunzip -c {file} | {command}"))
}

/// Returns the bytes of `input`, decompressed if they begin as a zstd frame (the frames of a
/// file follow each other), and without a byte order mark. The caller limits the length.
///
/// # Errors
/// If the first bytes can't be read, and [`LooksLikeGzip`].
pub fn decompressed<'a>(mut input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(ZSTD_MAGIC.len());
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut head)?;
    if head.starts_with(&GZIP_MAGIC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, LooksLikeGzip));
    }
    if head.starts_with(&BOM) {
        head.drain(..BOM.len());
    }
    let is_zstd = head == ZSTD_MAGIC;
    let input = Cursor::new(head).chain(input);
    Ok(match is_zstd {
        true => Box::new(zstd::stream::read::Decoder::new(input)?),
        false => Box::new(input),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompressed(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn the_first_bytes_select_the_decoder() {
        assert_eq!(read(b"{}\n").unwrap(), b"{}\n");
        assert_eq!(read(b"\xef\xbb\xbf{}\n").unwrap(), b"{}\n");
        assert_eq!(read(b"\xef\xbb\xbf").unwrap(), b"");
        assert_eq!(read(&zstd::encode_all(&b"{}\n"[..], 3).unwrap()).unwrap(), b"{}\n");
        let error = read(b"\x1f\x8b\x08\0\0\0").unwrap_err();
        let remedy = gzip_remedy(&error, "a.gz", "skytail stats -").unwrap();
        assert_eq!(remedy, "looks like gzip: gunzip -c a.gz | skytail stats -");
        assert_eq!(gzip_remedy(&io::ErrorKind::NotFound.into(), "a", "b"), None);
    }
}
