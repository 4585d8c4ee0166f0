//! How lines become the bytes of a file. Each file format is one variant of [`Encoder`].
//!
//! An encoder decides what a checkpoint may promise. After [`Encoder::checkpoint`] a file of a
//! format that is [`Truncation::Now`] is valid as it is, so a later run may truncate it to that
//! length and append. A columnar format such as Parquet is [`Truncation::OnlyAtClose`]: it keeps
//! rows in memory until a row group is full, and its footer follows the last row. Its file proves
//! nothing before [`Encoder::finish`], so its rows belong to a checkpoint only when the file is
//! closed.
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
    /// A format with row groups in memory and a footer, as Parquet has them.
    #[cfg(test)]
    Columnar(tests::Columnar),
}

/// What a checkpoint may say of the file that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truncation<'a> {
    /// With these bytes appended the file is valid, and it can be truncated to that length later.
    Now(&'a [u8]),
    /// The file is valid only when it is closed. No format of this release is like that.
    #[cfg_attr(not(test), allow(dead_code))]
    OnlyAtClose,
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
            #[cfg(test)]
            Self::Columnar(encoder) => Ok(encoder.write(lines)),
        }
    }

    /// Brings the file to a point to which it can be truncated, if the format has such points
    /// before its end.
    pub(super) fn checkpoint(&mut self) -> io::Result<Truncation<'_>> {
        match self {
            Self::Plain => Ok(Truncation::Now(b"")),
            Self::Zstd(encoder) => encoder.end_frame().map(Truncation::Now),
            #[cfg(test)]
            Self::Columnar(_) => Ok(Truncation::OnlyAtClose),
        }
    }

    /// Ends the file. Returns its last bytes; the next call of [`Encoder::write`] begins another
    /// file.
    pub(super) fn finish(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain => Ok(b""),
            Self::Zstd(encoder) => encoder.end_frame(),
            #[cfg(test)]
            Self::Columnar(encoder) => Ok(encoder.finish()),
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
pub(super) mod tests {
    use super::*;
    use crate::sink::file::zstd::tests::decompress;

    /// Groups of two lines, and a footer with their number. Stands for Parquet.
    #[derive(Debug, Default)]
    pub(in crate::sink::file) struct Columnar {
        rows: Vec<u8>,
        buffered: usize,
        total: usize,
        out: Vec<u8>,
    }

    impl Columnar {
        const GROUP_ROWS: usize = 2;

        pub(super) fn write(&mut self, lines: &[u8]) -> &[u8] {
            self.out.clear();
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                self.rows.extend_from_slice(line);
                self.buffered += 1;
                self.total += 1;
                if self.buffered == Self::GROUP_ROWS {
                    self.out.append(&mut self.rows);
                    self.buffered = 0;
                }
            }
            &self.out
        }

        pub(super) fn finish(&mut self) -> &[u8] {
            self.out.clear();
            self.out.append(&mut self.rows);
            self.out.extend_from_slice(format!("rows: {}\n", self.total).as_bytes());
            (self.buffered, self.total) = (0, 0);
            &self.out
        }
    }

    /// Writes lines and checkpoints; returns the file and the lengths at which it is valid.
    fn encode(encoder: &mut Encoder, parts: &[&str]) -> (Vec<u8>, Vec<usize>) {
        let (mut file, mut valid) = (Vec::new(), Vec::new());
        for part in parts {
            file.extend_from_slice(encoder.write(part.as_bytes()).unwrap());
            if let Truncation::Now(bytes) = encoder.checkpoint().unwrap() {
                file.extend_from_slice(bytes);
                valid.push(file.len());
            }
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
    fn a_columnar_file_is_valid_only_when_it_is_closed() {
        let mut encoder = Encoder::Columnar(Columnar::default());
        let (file, valid) = encode(&mut encoder, &PARTS);
        assert!(valid.is_empty());
        assert_eq!(file, b"a\nb\nc\nd\nrows: 4\n");
        // The next file has a number of rows of its own.
        assert_eq!(encode(&mut encoder, &["e\n"]).0, b"e\nrows: 1\n");
    }

    #[test]
    fn nothing_written_encodes_to_nothing() {
        for mut encoder in [Encoder::Plain, Encoder::Zstd(Box::new(ZstdEncoder::new().unwrap()))] {
            assert_eq!(encoder.write(b"").unwrap(), b"");
            assert_eq!(encoder.checkpoint().unwrap(), Truncation::Now(b""));
            assert_eq!(encoder.finish().unwrap(), b"");
        }
    }
}
