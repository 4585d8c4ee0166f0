//! zstd frames with checksums. A frame ends at each checkpoint, so a file is a valid zstd file up
//! to every checkpoint.

use std::io;

use zstd::stream::raw::{CParameter, Encoder, Operation as _, OutBuffer};

/// zstd's default. On the firehose it compresses faster than any server sends.
const LEVEL: i32 = 3;
/// Bytes of output that the encoder is offered at a time; it never returns more than one block.
const BLOCK_BYTES: usize = 128 * 1024;

/// Compresses lines into frames.
pub(super) struct ZstdEncoder {
    encoder: Encoder<'static>,
    block: Vec<u8>,
    /// What the last call returned; its memory is reused.
    compressed: Vec<u8>,
    /// Whether a frame has begun.
    is_open: bool,
}

impl std::fmt::Debug for ZstdEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZstdEncoder").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

impl ZstdEncoder {
    pub(super) fn new() -> io::Result<Self> {
        let mut encoder = Encoder::new(LEVEL)?;
        encoder.set_parameter(CParameter::ChecksumFlag(true))?;
        let block = vec![0; BLOCK_BYTES];
        Ok(Self { encoder, block, compressed: Vec::new(), is_open: false })
    }

    /// Compresses `lines`. Returns the blocks that are complete.
    pub(super) fn write(&mut self, mut lines: &[u8]) -> io::Result<&[u8]> {
        self.compressed.clear();
        while !lines.is_empty() {
            self.is_open = true;
            let status = self.encoder.run_on_buffers(lines, &mut self.block)?;
            let block = self.block.get(..status.bytes_written).unwrap_or_default();
            self.compressed.extend_from_slice(block);
            lines = lines.get(status.bytes_read..).unwrap_or_default();
        }
        Ok(&self.compressed)
    }

    /// Ends the frame, if one has begun. Returns the rest of it.
    pub(super) fn end_frame(&mut self) -> io::Result<&[u8]> {
        self.compressed.clear();
        while self.is_open {
            let mut out = OutBuffer::around(self.block.as_mut_slice());
            let remaining_bytes = self.encoder.finish(&mut out, true)?;
            self.compressed.extend_from_slice(out.as_slice());
            self.is_open = remaining_bytes > 0;
        }
        Ok(&self.compressed)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::sink::file) fn decompress(compressed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(compressed).unwrap();
        std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
        plain
    }

    #[test]
    fn a_file_is_valid_up_to_the_end_of_each_frame_and_no_frame_is_empty() {
        let mut encoder = ZstdEncoder::new().unwrap();
        let (mut compressed, mut plain, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        assert_eq!(encoder.end_frame().unwrap(), b"");
        for size in [1, 10, 1_000, 1_000_000] {
            let lines: Vec<u8> = (0..size).map(|i: u64| (i * i / 7) as u8).collect();
            compressed.extend_from_slice(encoder.write(&lines).unwrap());
            compressed.extend_from_slice(encoder.end_frame().unwrap());
            assert_eq!(encoder.end_frame().unwrap(), b"");
            plain.extend(lines);
            ends.push((compressed.len(), plain.len()));
        }
        for (compressed_bytes, plain_bytes) in ends {
            assert!(decompress(&compressed[..compressed_bytes]) == plain[..plain_bytes]);
        }
    }

    #[test]
    fn a_changed_byte_fails_the_checksum() {
        let mut encoder = ZstdEncoder::new().unwrap();
        let mut compressed = encoder.write(&[b'x'; 1000]).unwrap().to_vec();
        compressed.extend_from_slice(encoder.end_frame().unwrap());
        let last = compressed.len() - 1;
        compressed[last] ^= 1;
        let mut decoder = zstd::stream::read::Decoder::new(&compressed[..]).unwrap();
        assert!(std::io::Read::read_to_end(&mut decoder, &mut Vec::new()).is_err());
    }
}
