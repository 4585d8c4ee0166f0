//! Reads the values of one column of a row group, page by page.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use super::column_writer::{DICTIONARY_BYTES, DICTIONARY_VALUE_BYTES};
use super::error::ReadError;
use super::hybrid::Decoder;
use super::page::{DATA_PAGE, DICTIONARY_PAGE, PLAIN, RLE_DICTIONARY};
use super::schema::{Column, Physical};
use super::thrift::Reader;
use crate::compression::inflate::Inflater;

/// The longest page: one page of the writer, and the longest record.
const MAX_PAGE_BYTES: usize = 20 << 20;
/// The longest header of a page, which has some thirty bytes.
const MAX_HEADER_BYTES: u64 = 512;

/// The values of a column.
#[derive(Debug)]
pub(super) struct ColumnReader {
    physical: Physical,
    is_optional: bool,
    /// What is not read yet.
    rest: Range<u64>,
    page: Vec<u8>,
    dictionary: Dictionary,
    levels: Decoder,
    values: Values,
    left_in_page: u64,
    current: Place,
}

#[derive(Debug, Default)]
struct Dictionary {
    bytes: Vec<u8>,
    entries: Vec<Range<u32>>,
}

/// Where the next value of the page is.
#[derive(Debug)]
enum Values {
    /// At an offset of the page; a truth value at a bit.
    Plain {
        at: usize,
        bit: u32,
    },
    Dictionary(Decoder),
}

/// Where the value of the current row is.
#[derive(Clone, Debug)]
enum Place {
    Null,
    Page(Range<usize>),
    Entry(usize),
    Boolean(bool),
}

const SHORT: ReadError = ReadError::Damaged("a page ends before its values");

impl ColumnReader {
    pub(super) fn new(column: &Column, pages: Range<u64>) -> Self {
        Self {
            physical: column.physical,
            is_optional: column.is_optional(),
            rest: pages,
            page: Vec::new(),
            dictionary: Dictionary::default(),
            levels: Decoder::default(),
            values: Values::Plain { at: 0, bit: 0 },
            left_in_page: 0,
            current: Place::Null,
        }
    }

    /// Moves to the next row.
    ///
    /// # Errors
    /// [`ReadError`]; a column that ends before its row group is damaged.
    pub(super) fn advance(&mut self, input: &mut Input) -> Result<(), ReadError> {
        while self.left_in_page == 0 {
            self.next_page(input)?;
        }
        self.left_in_page -= 1;
        let is_present = !self.is_optional || self.levels.next(&self.page)? == 1;
        self.current = if is_present { self.next_value()? } else { Place::Null };
        Ok(())
    }

    fn next_value(&mut self) -> Result<Place, ReadError> {
        match (&mut self.values, self.physical) {
            (Values::Dictionary(indices), _) => {
                let index = indices.next(&self.page)? as usize;
                match index < self.dictionary.entries.len() {
                    true => Ok(Place::Entry(index)),
                    false => Err(ReadError::Damaged("a value is not in its dictionary")),
                }
            }
            (Values::Plain { at, bit }, Physical::Boolean) => {
                let byte = self.page.get(*at).ok_or(SHORT)?;
                let value = byte >> *bit & 1 == 1;
                (*at, *bit) = (*at + usize::from(*bit == 7), (*bit + 1) % 8);
                Ok(Place::Boolean(value))
            }
            (Values::Plain { at, .. }, Physical::Bytes) => {
                let text = text_at(&self.page, *at)?;
                *at = text.end;
                Ok(Place::Page(text))
            }
            (Values::Plain { at, .. }, Physical::Int64 | Physical::Double) => {
                let value = *at..*at + 8;
                *at = value.end;
                Ok(Place::Page(value))
            }
        }
    }

    /// Returns the bytes of the current row's value.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match &self.current {
            Place::Null | Place::Boolean(_) => None,
            Place::Page(range) => self.page.get(range.clone()),
            Place::Entry(index) => {
                let range = self.dictionary.entries.get(*index)?;
                self.dictionary.bytes.get(range.start as usize..range.end as usize)
            }
        }
    }

    /// Returns the number of the current row.
    pub(super) fn integer(&self) -> Option<i64> {
        self.bytes().and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes)
    }

    /// Returns the truth value of the current row.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.current {
            Place::Boolean(value) => Some(value),
            _ => None,
        }
    }

    fn next_page(&mut self, input: &mut Input) -> Result<(), ReadError> {
        let header = input.header(&mut self.rest)?;
        input.body(&header, &mut self.rest, &mut self.page)?;
        match header.kind {
            DICTIONARY_PAGE if self.physical == Physical::Bytes => {
                self.dictionary = Dictionary::read(std::mem::take(&mut self.page))?;
                Ok(())
            }
            DATA_PAGE => self.start_page(&header),
            _ => Err(ReadError::Foreign("it has pages of another kind".to_owned())),
        }
    }

    fn start_page(&mut self, header: &PageHeader) -> Result<(), ReadError> {
        let mut at = 0;
        if self.is_optional {
            let length = self.page.first_chunk().ok_or(SHORT)?;
            let length = u32::from_le_bytes(*length) as usize;
            self.levels = Decoder::new(4, 1);
            at = 4 + length;
            if at > self.page.len() {
                return Err(SHORT);
            }
        }
        self.values = match header.encoding {
            PLAIN => Values::Plain { at, bit: 0 },
            RLE_DICTIONARY => {
                // A page without values has no width.
                let width = self.page.get(at).copied().unwrap_or_default();
                if width > 32 {
                    return Err(ReadError::Damaged("a page has indices of more than 32 bits"));
                }
                Values::Dictionary(Decoder::new(at + 1, width))
            }
            _ => return Err(ReadError::Foreign("it has another encoding".to_owned())),
        };
        self.left_in_page = header.rows;
        Ok(())
    }
}

/// Returns the place of a text that its length precedes.
fn text_at(bytes: &[u8], at: usize) -> Result<Range<usize>, ReadError> {
    let length = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(SHORT)?;
    let from = at + 4;
    let to = from + u32::from_le_bytes(*length) as usize;
    if to > bytes.len() { Err(SHORT) } else { Ok(from..to) }
}

impl Dictionary {
    fn read(bytes: Vec<u8>) -> Result<Self, ReadError> {
        let (mut entries, mut at) = (Vec::new(), 0);
        if bytes.len() > DICTIONARY_BYTES {
            return Err(ReadError::Foreign("it has a large dictionary".to_owned()));
        }
        while at < bytes.len() {
            let text = text_at(&bytes, at)?;
            // One long entry could stand for gigabytes of values.
            if text.len() > DICTIONARY_VALUE_BYTES {
                return Err(ReadError::Foreign("it has long values in a dictionary".to_owned()));
            }
            at = text.end;
            entries.push(text.start as u32..text.end as u32);
        }
        Ok(Self { bytes, entries })
    }
}

#[derive(Debug)]
struct PageHeader {
    kind: i32,
    uncompressed_bytes: usize,
    compressed_bytes: usize,
    rows: u64,
    encoding: i32,
    /// The CRC-32 of the compressed page; `None` in files of programs that write none.
    checksum: Option<u32>,
}

/// The file, and what decompresses its pages.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    zstd: Inflater,
    compressed: Vec<u8>,
}

impl Input {
    pub(super) fn new(file: File) -> Result<Self, ReadError> {
        let zstd = Inflater::new(b"").map_err(std::io::Error::other)?;
        Ok(Self { file, zstd, compressed: Vec::new() })
    }

    fn read(&mut self, at: u64, length: u64) -> Result<(), ReadError> {
        self.compressed.clear();
        self.file.seek(SeekFrom::Start(at))?;
        (&self.file).take(length).read_to_end(&mut self.compressed)?;
        match self.compressed.len() as u64 == length {
            true => Ok(()),
            false => Err(ReadError::CutOff),
        }
    }

    fn header(&mut self, rest: &mut Range<u64>) -> Result<PageHeader, ReadError> {
        let left = rest.end.saturating_sub(rest.start);
        if left == 0 {
            return Err(ReadError::Damaged("a column ends before its row group"));
        }
        self.read(rest.start, left.min(MAX_HEADER_BYTES))?;
        let mut numbers = [0_i64; 5];
        let mut checksum = None;
        let [kind, uncompressed, compressed, rows, encoding] = &mut numbers;
        let mut reader = Reader::new(&self.compressed);
        reader.structure(|reader, field| {
            match field.id {
                1 => *kind = reader.integer()?,
                2 => *uncompressed = reader.integer()?,
                3 => *compressed = reader.integer()?,
                4 => checksum = i32::try_from(reader.integer()?).ok().map(i32::cast_unsigned),
                5 | 7 => reader.structure(|reader, field| {
                    match field.id {
                        1 => *rows = reader.integer()?,
                        2 => *encoding = reader.integer()?,
                        _ => reader.skip(field.kind)?,
                    }
                    Ok(())
                })?,
                _ => reader.skip(field.kind)?,
            }
            Ok(())
        })?;
        rest.start += (self.compressed.len() - reader.left()) as u64;
        let damaged = ReadError::Damaged("the header of a page has a number out of range");
        let [kind, uncompressed, compressed, rows, encoding] = numbers;
        let size = |bytes: i64| usize::try_from(bytes).ok().filter(|n| *n <= MAX_PAGE_BYTES);
        let (Some(uncompressed_bytes), Some(compressed_bytes), Ok(rows)) =
            (size(uncompressed), size(compressed), u64::try_from(rows))
        else {
            return Err(damaged);
        };
        let word = |number: i64| i32::try_from(number).unwrap_or(-1);
        let (kind, encoding) = (word(kind), word(encoding));
        Ok(PageHeader { kind, uncompressed_bytes, compressed_bytes, rows, encoding, checksum })
    }

    fn body(
        &mut self,
        header: &PageHeader,
        rest: &mut Range<u64>,
        page: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let bytes = header.compressed_bytes as u64;
        if bytes > rest.end.saturating_sub(rest.start) {
            return Err(ReadError::Damaged("a page is longer than its column"));
        }
        self.read(rest.start, bytes)?;
        rest.start += bytes;
        // zstd finds only some of the changed bytes. A fuzzer could hardly get past a checksum.
        let is_intact = header.checksum.is_none_or(|sum| sum == crc32fast::hash(&self.compressed));
        if !is_intact && !cfg!(fuzzing) {
            return Err(ReadError::Damaged("a page has another checksum than its header says"));
        }
        page.clear();
        let most = header.uncompressed_bytes;
        let done = self.zstd.append(&self.compressed, page, most);
        match done {
            Ok(()) if page.len() == most => Ok(()),
            _ => Err(ReadError::Damaged("a page can't be decompressed")),
        }
    }
}

#[cfg(test)]
#[path = "column_reader/tests.rs"]
mod tests;
