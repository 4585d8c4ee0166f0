//! zstd frames: lines in, whole frames out. A frame ends where it is told to, so that a file
//! is a sound zstd file up to every checkpoint.

use std::io;

use zstd::stream::raw::{CParameter, Encoder, Operation as _, OutBuffer};

/// The level: the default of zstd. On the firehose it packs faster than any server sends.
const LEVEL: i32 = 3;
/// Room that the encoder is offered at a time; it never hands out more than one block.
const ROOM_BYTES: usize = 128 * 1024;

/// Packs lines into frames with checksums.
pub struct ZstdEncoder {
    encoder: Encoder<'static>,
    room: Vec<u8>,
    is_open: bool,
}

impl std::fmt::Debug for ZstdEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZstdEncoder").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

impl ZstdEncoder {
    /// An encoder before its first frame.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn new() -> io::Result<Self> {
        let mut encoder = Encoder::new(LEVEL)?;
        encoder.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { encoder, room: vec![0; ROOM_BYTES], is_open: false })
    }

    /// Packs `lines`, and appends to `compressed` what is finished so far.
    ///
    /// # Errors
    /// As zstd reports.
    pub fn write(&mut self, mut lines: &[u8], compressed: &mut Vec<u8>) -> io::Result<()> {
        while !lines.is_empty() {
            self.is_open = true;
            let status = self.encoder.run_on_buffers(lines, &mut self.room)?;
            compressed.extend_from_slice(self.room.get(..status.bytes_written).unwrap_or_default());
            lines = lines.get(status.bytes_read..).unwrap_or_default();
        }
        Ok(())
    }

    /// Offsets the frame, if one was begun, and appends the rest of it to `compressed`.
    ///
    /// # Errors
    /// As zstd reports.
    pub fn end_frame(&mut self, compressed: &mut Vec<u8>) -> io::Result<()> {
        while self.is_open {
            let mut out = OutBuffer::around(self.room.as_mut_slice());
            let left_bytes = self.encoder.finish(&mut out, true)?;
            compressed.extend_from_slice(out.as_slice());
            self.is_open = left_bytes > 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decompress(compressed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(compressed).unwrap();
        std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
        plain
    }

    #[test]
    fn frames_end_where_they_are_told_to_and_none_is_empty() {
        let mut encoder = ZstdEncoder::new().unwrap();
        let (mut compressed, mut plain, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        encoder.end_frame(&mut compressed).unwrap();
        assert_eq!(compressed, b"");
        for size in [1, 10, 1_000, 1_000_000] {
            let lines: Vec<u8> = (0..size).map(|i: u64| (i * i / 7) as u8).collect();
            encoder.write(&lines, &mut compressed).unwrap();
            encoder.end_frame(&mut compressed).unwrap();
            encoder.end_frame(&mut compressed).unwrap();
            plain.extend(lines);
            ends.push((compressed.len(), plain.len()));
        }
        for (compressed_bytes, plain_bytes) in ends {
            assert!(decompress(&compressed[..compressed_bytes]) == plain[..plain_bytes]);
        }
    }

    #[test]
    fn a_damaged_byte_is_noticed() {
        let mut encoder = ZstdEncoder::new().unwrap();
        let mut compressed = Vec::new();
        encoder.write(&[b'x'; 1000], &mut compressed).unwrap();
        encoder.end_frame(&mut compressed).unwrap();
        let last = compressed.len() - 1;
        compressed[last] ^= 1;
        let mut decoder = zstd::stream::read::Decoder::new(&compressed[..]).unwrap();
        assert!(std::io::Read::read_to_end(&mut decoder, &mut Vec::new()).is_err());
    }
}
