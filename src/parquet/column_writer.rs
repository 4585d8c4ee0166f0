//! One column of the row group that is being written: its pages, dictionary, statistics and filter.

use std::collections::HashMap;
use std::io;

use super::bloom::Bloom;
use super::hybrid;
use super::page::{PLAIN, PageKind, RLE, RLE_DICTIONARY, ZSTD, Zstd};
use super::schema::{Column, Physical};
use super::thrift::{Writer, kind};

/// The size of a page before compression.
const PAGE_BYTES: usize = 1 << 20;
/// The size of a dictionary; then the rest of the row group is written without.
pub(super) const DICTIONARY_BYTES: usize = 1 << 20;
/// The longest value of a dictionary.
pub(super) const DICTIONARY_VALUE_BYTES: usize = 1024;
/// The longest value that statistics hold.
const STATISTICS_BYTES: usize = 64;

/// Writes the pages of one column.
#[derive(Debug)]
pub(super) struct ColumnWriter {
    column: Column,
    /// The compressed pages of the row group.
    pages: Vec<u8>,
    /// The values of the current page, as PLAIN has them; truth values one a byte.
    values: Vec<u8>,
    /// For each row of the page, 1 if it has a value.
    present: Vec<u32>,
    dictionary: Option<Dictionary>,
    statistics: Statistics,
    bloom: Option<Bloom>,
    rows: i64,
    uncompressed_bytes: i64,
    has_plain_page: bool,
}

#[derive(Debug, Default)]
struct Dictionary {
    numbers: HashMap<Box<[u8]>, u32>,
    /// Its entries, as PLAIN has them.
    bytes: Vec<u8>,
    /// The entries of the values of the current page.
    indices: Vec<u32>,
    /// The entry before, which sorted rows mostly repeat.
    last: Option<(Box<[u8]>, u32)>,
    is_full: bool,
}

#[derive(Debug, Default)]
struct Statistics {
    nulls: i64,
    integers: Option<(i64, i64)>,
    texts: Option<(Vec<u8>, Vec<u8>)>,
    has_long_text: bool,
}

/// What the footer says of a column in a row group.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The pages: the dictionary, then the data.
    pub(super) bytes: Vec<u8>,
    dictionary_bytes: usize,
    rows: i64,
    uncompressed_bytes: i64,
    has_plain_page: bool,
    statistics: Statistics,
    /// The Bloom filter with its header; empty for none.
    pub(super) bloom: Vec<u8>,
}

impl ColumnWriter {
    pub(super) fn new(column: Column) -> Self {
        Self {
            dictionary: column.has_dictionary.then(Dictionary::default),
            bloom: column.has_bloom.then(Bloom::default),
            column,
            pages: Vec::new(),
            values: Vec::new(),
            present: Vec::new(),
            statistics: Statistics::default(),
            rows: 0,
            uncompressed_bytes: 0,
            has_plain_page: false,
        }
    }

    pub(super) fn column(&self) -> &Column {
        &self.column
    }

    /// Returns how many bytes the row group holds of this column.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.pages.len() + self.values.len()
    }

    pub(super) fn null(&mut self) {
        self.rows += 1;
        self.present.push(0);
        self.statistics.nulls += 1;
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.rows += 1;
        self.present.push(1);
        self.values.extend_from_slice(&value.to_le_bytes());
        let (min, max) = self.statistics.integers.unwrap_or((value, value));
        self.statistics.integers = Some((min.min(value), max.max(value)));
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.rows += 1;
        self.present.push(1);
        self.values.push(u8::from(value));
    }

    /// Adds the bytes of a value as [`super::row::Row`] has them.
    pub(super) fn bytes(&mut self, value: &[u8], zstd: &mut Zstd) -> io::Result<()> {
        match self.column.physical {
            Physical::Bytes => self.text(value, zstd)?,
            Physical::Int64 => {
                self.integer(i64::from_le_bytes(value.try_into().unwrap_or_default()));
            }
            Physical::Boolean => self.boolean(value == [1]),
            Physical::Double => {
                self.rows += 1;
                self.present.push(1);
                self.values.extend_from_slice(value);
            }
        }
        self.end_value(zstd)
    }

    fn text(&mut self, value: &[u8], zstd: &mut Zstd) -> io::Result<()> {
        if self.column.has_statistics {
            self.statistics.add_text(value);
        }
        if let Some(bloom) = &mut self.bloom {
            bloom.add(value);
        }
        if let Some(dictionary) = self.dictionary.as_mut().filter(|d| !d.is_full) {
            if dictionary.add(value) {
                self.rows += 1;
                self.present.push(1);
                return Ok(());
            }
            self.end_page(zstd)?;
            if let Some(dictionary) = &mut self.dictionary {
                dictionary.is_full = true;
            }
        }
        self.rows += 1;
        self.present.push(1);
        push_text(&mut self.values, value);
        Ok(())
    }

    /// Ends the page if it is full.
    fn end_value(&mut self, zstd: &mut Zstd) -> io::Result<()> {
        if self.values.len() >= PAGE_BYTES { self.end_page(zstd) } else { Ok(()) }
    }

    fn end_page(&mut self, zstd: &mut Zstd) -> io::Result<()> {
        if self.present.is_empty() {
            return Ok(());
        }
        let page = &mut zstd.page;
        page.clear();
        if self.column.is_optional() {
            page.extend_from_slice(&[0; 4]);
            hybrid::encode(&self.present, 1, page);
            let length = (page.len() - 4) as u32;
            if let Some(place) = page.first_chunk_mut() {
                *place = length.to_le_bytes();
            }
        }
        // Without a value so far there may be no dictionary, and a page must not refer to one.
        let has_dictionary = |d: &&mut Dictionary| !d.is_full && !d.numbers.is_empty();
        let dictionary = self.dictionary.as_mut().filter(has_dictionary);
        let encoding = match dictionary {
            Some(dictionary) => {
                let width = hybrid::width_of((dictionary.numbers.len() as u32).saturating_sub(1));
                page.push(width);
                hybrid::encode(&dictionary.indices, width, page);
                dictionary.indices.clear();
                RLE_DICTIONARY
            }
            None => {
                match self.column.physical {
                    Physical::Boolean => pack_booleans(&self.values, page),
                    _ => page.extend_from_slice(&self.values),
                }
                self.has_plain_page = true;
                PLAIN
            }
        };
        let rows = self.present.len() as i32;
        let kind = PageKind::Data { rows, encoding };
        self.uncompressed_bytes += zstd.write_page(&mut self.pages, kind)?;
        self.present.clear();
        self.values.clear();
        Ok(())
    }

    /// Ends the row group.
    pub(super) fn finish(&mut self, zstd: &mut Zstd) -> io::Result<Chunk> {
        self.end_page(zstd)?;
        let mut bytes = Vec::new();
        if let Some(dictionary) = &mut self.dictionary {
            if !dictionary.numbers.is_empty() {
                let entries = dictionary.numbers.len() as i32;
                zstd.page.clear();
                zstd.page.extend_from_slice(&dictionary.bytes);
                let kind = PageKind::Dictionary { entries };
                self.uncompressed_bytes += zstd.write_page(&mut bytes, kind)?;
            }
            *dictionary = Dictionary::default();
        }
        let dictionary_bytes = bytes.len();
        match dictionary_bytes {
            0 => bytes = std::mem::take(&mut self.pages),
            _ => bytes.append(&mut self.pages),
        }
        Ok(Chunk {
            bytes,
            dictionary_bytes,
            rows: std::mem::take(&mut self.rows),
            uncompressed_bytes: std::mem::take(&mut self.uncompressed_bytes),
            has_plain_page: std::mem::take(&mut self.has_plain_page),
            statistics: std::mem::take(&mut self.statistics),
            bloom: self.bloom.as_mut().map(Bloom::finish).unwrap_or_default(),
        })
    }
}

impl Dictionary {
    /// Adds the entry of a value; returns false if it takes too much room.
    fn add(&mut self, value: &[u8]) -> bool {
        if let Some((last, number)) = &self.last
            && **last == *value
        {
            self.indices.push(*number);
            return true;
        }
        let number = match self.numbers.get(value) {
            Some(number) => *number,
            None => {
                let bytes = self.bytes.len() + value.len() + 4;
                if value.len() > DICTIONARY_VALUE_BYTES || bytes > DICTIONARY_BYTES {
                    return false;
                }
                let number = self.numbers.len() as u32;
                push_text(&mut self.bytes, value);
                self.numbers.insert(value.into(), number);
                number
            }
        };
        self.indices.push(number);
        self.last = Some((value.into(), number));
        true
    }
}

fn push_text(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

fn pack_booleans(values: &[u8], out: &mut Vec<u8>) {
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
    out.extend(values.chunks(8).map(byte));
}

impl Statistics {
    fn add_text(&mut self, value: &[u8]) {
        if value.len() > STATISTICS_BYTES {
            self.has_long_text = true;
        }
        if self.has_long_text {
            return;
        }
        match &mut self.texts {
            None => self.texts = Some((value.to_vec(), value.to_vec())),
            Some((min, _)) if value < &**min => value.clone_into(min),
            Some((_, max)) if value > &**max => value.clone_into(max),
            Some(_) => {}
        }
    }

    fn write(&self, w: &mut Writer) {
        let integers = self
            .integers
            .map(|(min, max)| (min.to_le_bytes().to_vec(), max.to_le_bytes().to_vec()));
        let texts = self.texts.clone().filter(|_| !self.has_long_text);
        w.i64(3, self.nulls);
        if let Some((min, max)) = integers.or(texts) {
            w.binary(5, &max);
            w.binary(6, &min);
            w.bool(7, true);
            w.bool(8, true);
        }
    }
}

impl Chunk {
    /// Writes what the footer says of the column, for pages at `at` and a Bloom filter at `bloom`.
    pub(super) fn write(&self, w: &mut Writer, column: &Column, at: u64, bloom: Option<u64>) {
        let has_dictionary = self.dictionary_bytes > 0;
        let mut encodings = vec![RLE];
        encodings.extend((self.has_plain_page || has_dictionary).then_some(PLAIN));
        encodings.extend(has_dictionary.then_some(RLE_DICTIONARY));
        w.structure_item(|w| {
            w.i64(2, at as i64);
            w.structure(3, |w| {
                w.i32(1, column.physical as i32);
                w.list(2, kind::I32, encodings.len());
                encodings.iter().for_each(|encoding| w.i32_item(*encoding));
                w.list(3, kind::BINARY, 1);
                w.binary_item(column.name.as_bytes());
                w.i32(4, ZSTD);
                w.i64(5, self.rows);
                w.i64(6, self.uncompressed_bytes);
                w.i64(7, self.bytes.len() as i64);
                w.i64(9, (at + self.dictionary_bytes as u64) as i64);
                if has_dictionary {
                    w.i64(11, at as i64);
                }
                w.structure(12, |w| match column.has_statistics {
                    true => self.statistics.write(w),
                    false => w.i64(3, self.statistics.nulls),
                });
                if let Some(bloom) = bloom {
                    w.i64(14, bloom as i64);
                    w.i32(15, self.bloom.len() as i32);
                }
            });
        });
    }

    pub(super) fn uncompressed_bytes(&self) -> i64 {
        self.uncompressed_bytes
    }
}
