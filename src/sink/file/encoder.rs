//! How lines become the bytes of a file. Each file format is one variant of [`Encoder`].
//!
//! A file must be valid at each checkpoint, so that a later run can truncate it to that length and
//! append. Parquet is not like that, so its events are zstd until their period ends (`parquet`).
//!
//! To add a format: one variant here, one file beside `zstd.rs`, one file ending in `naming.rs`,
//! and, if a file that another program wrote can be continued, its check in `open.rs`.

use std::io;

use super::naming::Naming;
use super::zstd::ZstdEncoder;

/// Encodes lines as the bytes of one file after another.
#[derive(Debug)]
pub(super) enum Encoder {
    /// The lines themselves.
    Plain,
    /// zstd frames; a frame ends at each checkpoint.
    Zstd(Box<ZstdEncoder>),
}

impl Encoder {
    /// Returns the encoder for files of this name.
    ///
    /// # Errors
    /// Fails if there is no memory for a compressor.
    pub(super) fn new(naming: &Naming) -> io::Result<Self> {
        match naming.is_compressed() {
            true => Ok(Self::Zstd(Box::new(ZstdEncoder::new()?))),
            false => Ok(Self::Plain),
        }
    }

    /// Encodes whole lines. Returns the bytes to append to the file now: possibly none, because a
    /// compressor or a row group keeps them. The caller writes them before its next call.
    pub(super) fn write<'a>(&'a mut self, lines: &'a [u8]) -> io::Result<&'a [u8]> {
        match self {
            Self::Plain => Ok(lines),
            Self::Zstd(encoder) => encoder.write(lines),
        }
    }

    /// Brings the file to a point to which it can be truncated. Returns the bytes to append.
    pub(super) fn checkpoint(&mut self) -> io::Result<&[u8]> {
        self.finish()
    }

    /// Ends the file. Returns its last bytes; the next call of [`Encoder::write`] begins another
    /// file.
    pub(super) fn finish(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain => Ok(b""),
            Self::Zstd(encoder) => encoder.end_frame(),
        }
    }

    /// Returns whether a file consists of the lines themselves. Only then can another program
    /// append lines between ours without making the file unreadable, and only then is the size of
    /// a file known before the lines are encoded.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::file::zstd::tests::decompress;

    /// Writes lines and checkpoints; returns the file and the lengths at which it is valid.
    fn encode(encoder: &mut Encoder, parts: &[&str]) -> (Vec<u8>, Vec<usize>) {
        let (mut file, mut valid) = (Vec::new(), Vec::new());
        for part in parts {
            file.extend_from_slice(encoder.write(part.as_bytes()).unwrap());
            file.extend_from_slice(encoder.checkpoint().unwrap());
            valid.push(file.len());
        }
        file.extend_from_slice(encoder.finish().unwrap());
        (file, valid)
    }

    const PARTS: [&str; 3] = ["a\n", "b\nc\n", "d\n"];

    #[test]
    fn plain_and_zstd_files_are_valid_at_every_checkpoint() {
        let (file, valid) = encode(&mut Encoder::Plain, &PARTS);
        assert_eq!((file.as_slice(), valid), (&b"a\nb\nc\nd\n"[..], vec![2, 6, 8]));
        let mut zstd = Encoder::Zstd(Box::new(ZstdEncoder::new().unwrap()));
        let (file, valid) = encode(&mut zstd, &PARTS);
        let texts = valid.iter().map(|length| decompress(&file[..*length]));
        assert!(texts.eq([&b"a\n"[..], b"a\nb\nc\n", b"a\nb\nc\nd\n"]));
        assert_eq!(valid[2], file.len(), "a finished file has no bytes after its last frame");
    }

    #[test]
    fn nothing_written_encodes_to_nothing() {
        for mut encoder in [Encoder::Plain, Encoder::Zstd(Box::new(ZstdEncoder::new().unwrap()))] {
            assert_eq!(encoder.write(b"").unwrap(), b"");
            assert_eq!(encoder.checkpoint().unwrap(), b"");
            assert_eq!(encoder.finish().unwrap(), b"");
        }
    }
}
