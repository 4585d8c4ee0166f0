//! Writes one file: row groups of sorted rows, and the footer.

use std::io::{self, Write};

use super::column_writer::ColumnWriter;
use super::page::Zstd;
use super::row::Row;
use super::schema::{self, Source};
use super::thrift::{Writer, kind};
use super::{GROUP_ROWS, MAGIC};

/// The level of zstd, which decides most of the time of a conversion.
const LEVEL: i32 = 1;
/// A row group ends before [`GROUP_ROWS`] if it takes this much memory: its columns follow each
/// other in the file, so all of them are kept until it ends.
const GROUP_BYTES: usize = 48 << 20;
/// How many bytes of rows may come between two checks of that memory.
const CHECK_BYTES: usize = 1 << 20;

/// Writes rows to one file.
#[derive(Debug)]
pub(super) struct FileWriter<W: Write> {
    out: W,
    at: u64,
    columns: Vec<ColumnWriter>,
    zstd: Zstd,
    group_rows: u64,
    /// The length of the rows since the memory of the row group was last added up.
    unchecked_bytes: usize,
    rows: u64,
    /// The row groups, as the footer has them.
    groups: Writer,
    group_count: usize,
}

impl<W: Write> FileWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn new(mut out: W, fields: &[super::fields::Field]) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        Ok(Self {
            out,
            at: MAGIC.len() as u64,
            columns: schema::columns(fields).into_iter().map(ColumnWriter::new).collect(),
            zstd: Zstd::new(LEVEL)?,
            group_rows: 0,
            unchecked_bytes: 0,
            rows: 0,
            groups: Writer::default(),
            group_count: 0,
        })
    }

    /// Returns how many rows were written.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends a row. Rows come in the order of the file.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn push(&mut self, row: &Row<'_>) -> io::Result<()> {
        let mut slots = row.slots();
        let zstd = &mut self.zstd;
        for writer in &mut self.columns {
            let number = match writer.column().source {
                Source::Ordinal => Some(row.ordinal().cast_signed()),
                Source::Seq => row.seq(),
                Source::Time => row.time(),
                Source::Active => {
                    match row.active() {
                        Some(active) => writer.boolean(active),
                        None => writer.null(),
                    }
                    continue;
                }
                // The texts are in the order of the columns.
                Source::Slot(_) => {
                    match slots.next().flatten() {
                        Some(value) => writer.bytes(value, zstd)?,
                        None => writer.null(),
                    }
                    continue;
                }
            };
            match number {
                Some(number) => writer.integer(number),
                None => writer.null(),
            }
        }
        self.rows += 1;
        self.group_rows += 1;
        self.unchecked_bytes += row.length();
        let must_check = self.unchecked_bytes >= CHECK_BYTES;
        if must_check {
            self.unchecked_bytes = 0;
        }
        let is_full =
            self.group_rows >= GROUP_ROWS || (must_check && self.buffered_bytes() >= GROUP_BYTES);
        if is_full { self.end_group() } else { Ok(()) }
    }

    fn buffered_bytes(&self) -> usize {
        self.columns.iter().map(ColumnWriter::buffered_bytes).sum()
    }

    fn end_group(&mut self) -> io::Result<()> {
        if self.group_rows == 0 {
            return Ok(());
        }
        let start = self.at;
        let (mut chunks, mut total) = (Vec::new(), 0);
        for writer in &mut self.columns {
            let chunk = writer.finish(&mut self.zstd)?;
            self.out.write_all(&chunk.bytes)?;
            total += chunk.uncompressed_bytes();
            chunks.push((self.at, chunk));
            self.at += chunks.last().map_or(0, |(_, chunk)| chunk.bytes.len() as u64);
        }
        let pages = self.at - start;
        let mut blooms = Vec::new();
        for (_, chunk) in &chunks {
            self.out.write_all(&chunk.bloom)?;
            blooms.push((!chunk.bloom.is_empty()).then_some(self.at));
            self.at += chunk.bloom.len() as u64;
        }
        let (columns, rows, count) = (&self.columns, self.group_rows, self.group_count);
        self.groups.structure_item(|w| {
            w.list(1, kind::STRUCT, chunks.len());
            for ((writer, (at, chunk)), bloom) in columns.iter().zip(&chunks).zip(blooms) {
                chunk.write(w, writer.column(), *at, bloom);
            }
            w.i64(2, total);
            w.i64(3, rows as i64);
            w.list(4, kind::STRUCT, schema::sorting_columns().count());
            for column in schema::sorting_columns() {
                w.structure_item(|w| {
                    w.i32(1, column);
                    w.bool(2, false);
                    w.bool(3, true);
                });
            }
            w.i64(5, start as i64);
            w.i64(6, pages as i64);
        });
        self.group_count = count + 1;
        self.group_rows = 0;
        Ok(())
    }

    /// Writes the footer with these keys and values, and returns the output.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn finish(mut self, metadata: &[(&str, String)]) -> io::Result<W> {
        self.end_group()?;
        let mut footer = Writer::default();
        let (columns, groups) = (&self.columns, &self.groups.out);
        let (rows, group_count) = (self.rows, self.group_count);
        footer.structure_item(|w| {
            w.i32(1, 2);
            w.list(2, kind::STRUCT, columns.len() + 1);
            w.structure_item(|w| {
                w.binary(4, b"event");
                w.i32(5, columns.len() as i32);
            });
            columns.iter().for_each(|writer| writer.column().write(w));
            w.i64(3, rows as i64);
            w.list(4, kind::STRUCT, group_count);
            w.out.extend_from_slice(groups);
            w.list(5, kind::STRUCT, metadata.len());
            for (key, value) in metadata {
                w.structure_item(|w| {
                    w.binary(1, key.as_bytes());
                    w.binary(2, value.as_bytes());
                });
            }
            w.binary(6, concat!("skytail ", env!("CARGO_PKG_VERSION")).as_bytes());
            w.list(7, kind::STRUCT, columns.len());
            columns.iter().for_each(|_| w.structure_item(|w| w.structure(1, |_| {})));
        });
        self.out.write_all(&footer.out)?;
        self.out.write_all(&(footer.out.len() as u32).to_le_bytes())?;
        self.out.write_all(&MAGIC)?;
        Ok(self.out)
    }
}
