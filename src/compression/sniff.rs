//! Whether a stream is zstd, told by its first bytes and not by its name, and its bytes
//! decompressed. Bounded memory: nothing is kept but zstd's window.

use std::io::{self, Cursor, Read};

/// The first bytes of a zstd frame (RFC 8878 §3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The bytes of `input`, decompressed where they begin as a zstd frame; the frames of a file
/// follow each other. How long the result may be is the caller's business.
///
/// # Errors
/// Where the first bytes can't be read.
pub fn decompressed<'a>(mut input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(ZSTD_MAGIC.len());
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut head)?;
    let is_zstd = head == ZSTD_MAGIC;
    let input = Cursor::new(head).chain(input);
    Ok(match is_zstd {
        true => Box::new(zstd::stream::read::Decoder::new(input)?),
        false => Box::new(input),
    })
}
