//! The words of the format for pages (`parquet.thrift`), and the compression of a page.

use std::io;

use zstd::bulk::Compressor;

use super::thrift::Writer;

pub(super) const PLAIN: i32 = 0;
pub(super) const RLE: i32 = 3;
pub(super) const RLE_DICTIONARY: i32 = 8;
pub(super) const ZSTD: i32 = 6;
pub(super) const DATA_PAGE: i32 = 0;
pub(super) const DICTIONARY_PAGE: i32 = 2;

/// The compressor of pages, and its buffers.
pub(super) struct Zstd {
    compressor: Compressor<'static>,
    /// The page to compress.
    pub(super) page: Vec<u8>,
    compressed: Vec<u8>,
}

impl std::fmt::Debug for Zstd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd").finish_non_exhaustive()
    }
}

impl Zstd {
    pub(super) fn new(level: i32) -> io::Result<Self> {
        let compressor = Compressor::new(level)?;
        Ok(Self { compressor, page: Vec::new(), compressed: Vec::new() })
    }

    /// Appends the current page with its header. Returns the size before compression.
    pub(super) fn write_page(&mut self, out: &mut Vec<u8>, kind: PageKind) -> io::Result<i64> {
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(self.page.len()));
        self.compressor.compress_to_buffer(&self.page, &mut self.compressed)?;
        let mut header = Writer::default();
        header.structure_item(|w| {
            w.i32(
                1,
                if matches!(kind, PageKind::Data { .. }) { DATA_PAGE } else { DICTIONARY_PAGE },
            );
            w.i32(2, self.page.len() as i32);
            w.i32(3, self.compressed.len() as i32);
            w.i32(4, crc32fast::hash(&self.compressed).cast_signed());
            match kind {
                PageKind::Data { rows, encoding } => w.structure(5, |w| {
                    w.i32(1, rows);
                    w.i32(2, encoding);
                    w.i32(3, RLE);
                    w.i32(4, RLE);
                }),
                PageKind::Dictionary { entries } => w.structure(7, |w| {
                    w.i32(1, entries);
                    w.i32(2, PLAIN);
                }),
            }
        });
        out.extend_from_slice(&header.out);
        out.extend_from_slice(&self.compressed);
        Ok((header.out.len() + self.page.len()) as i64)
    }
}

/// What a page holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum PageKind {
    Data { rows: i32, encoding: i32 },
    Dictionary { entries: i32 },
}
