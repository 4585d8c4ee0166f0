//! Reads and checks the footer of a file that skytail wrote.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use super::error::ReadError;
use super::page::ZSTD;
use super::schema::{self, Column};
use super::thrift::Reader;
use super::{MAGIC, MAX_FOOTER_BYTES};

/// More than 600 million events, as files of skytail have them.
const MOST_GROUPS: usize = 5_000;
/// The columns of each file, and those of `--fields`, with room to spare.
const MOST_COLUMNS: usize = 1_000;
/// Rows for each byte of the file. An event takes some ten bytes at least; a file that claims more
/// rows than this was made to keep its reader busy.
const MOST_ROWS_PER_BYTE: u64 = 16;

/// What the footer says.
#[derive(Debug)]
pub(super) struct Footer {
    /// The columns of each file, in their order.
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
    pub(super) groups: Vec<Group>,
    metadata: Vec<(String, String)>,
}

/// A row group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rows: u64,
    /// Where the pages of each column are in the file.
    pub(super) chunks: Vec<Range<u64>>,
}

impl Footer {
    /// Reads the footer of a file.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(super) fn read(file: &mut File) -> Result<Self, ReadError> {
        let length = file.metadata()?.len();
        let mut start = [0; MAGIC.len()];
        file.rewind()?;
        if length < 12 || file.read_exact(&mut start).is_err() || start != MAGIC {
            return Err(ReadError::NotParquet);
        }
        let mut end = [0; 8];
        file.seek(SeekFrom::Start(length - 8))?;
        file.read_exact(&mut end)?;
        let [a, b, c, d, magic @ ..] = end;
        if magic != MAGIC {
            return Err(ReadError::CutOff);
        }
        let footer_bytes = u64::from(u32::from_le_bytes([a, b, c, d]));
        let Some(data_end) = (length - 8).checked_sub(footer_bytes).filter(|at| *at >= 4) else {
            return Err(ReadError::Damaged("its footer is longer than the file"));
        };
        if footer_bytes > MAX_FOOTER_BYTES {
            return Err(ReadError::Foreign(format!("its footer has {footer_bytes} bytes")));
        }
        file.seek(SeekFrom::Start(data_end))?;
        let mut bytes = Vec::new();
        file.take(footer_bytes).read_to_end(&mut bytes)?;
        let footer = Draft::read(&bytes)?.finish(data_end)?;
        if footer.rows > length.saturating_mul(MOST_ROWS_PER_BYTE) {
            return Err(ReadError::Damaged("it claims more rows than it can hold"));
        }
        Ok(footer)
    }

    /// Returns a value of the key-value metadata.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }

    /// Returns all keys and values.
    pub(super) fn all_metadata(&self) -> &[(String, String)] {
        &self.metadata
    }
}

/// An element of the schema as the file has it.
#[derive(Debug, Default)]
struct Element {
    physical: Option<i64>,
    repetition: Option<i64>,
    name: Vec<u8>,
    children: i64,
}

#[derive(Debug, Default)]
struct Draft {
    schema: Vec<Element>,
    rows: i64,
    groups: Vec<DraftGroup>,
    metadata: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct DraftGroup {
    rows: i64,
    chunks: Vec<DraftChunk>,
}

#[derive(Clone, Copy, Debug, Default)]
struct DraftChunk {
    codec: i64,
    bytes: i64,
    data_at: i64,
    dictionary_at: Option<i64>,
}

impl Draft {
    fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut draft = Self::default();
        Reader::new(bytes).structure(|reader, field| {
            match field.id {
                2 => reader.structures(|reader| draft.element(reader))?,
                3 => draft.rows = reader.integer()?,
                4 => reader.structures(|reader| draft.group(reader))?,
                5 => reader.structures(|reader| draft.key_value(reader))?,
                _ => reader.skip(field.kind)?,
            }
            Ok(())
        })?;
        Ok(draft)
    }

    fn element(&mut self, reader: &mut Reader<'_>) -> Result<(), ReadError> {
        if self.schema.len() > MOST_COLUMNS {
            return Err(ReadError::Foreign(format!("it has more than {MOST_COLUMNS} columns")));
        }
        let mut element = Element::default();
        reader.structure(|reader, field| {
            match field.id {
                1 => element.physical = Some(reader.integer()?),
                3 => element.repetition = Some(reader.integer()?),
                4 => element.name = reader.binary()?.to_vec(),
                5 => element.children = reader.integer()?,
                _ => reader.skip(field.kind)?,
            }
            Ok(())
        })?;
        self.schema.push(element);
        Ok(())
    }

    fn group(&mut self, reader: &mut Reader<'_>) -> Result<(), ReadError> {
        if self.groups.len() >= MOST_GROUPS {
            return Err(ReadError::Foreign(format!("it has more than {MOST_GROUPS} row groups")));
        }
        let mut group = DraftGroup::default();
        reader.structure(|reader, field| {
            match field.id {
                1 => reader.structures(|reader| {
                    if group.chunks.len() >= MOST_COLUMNS {
                        return Err(ReadError::Damaged("a row group has too many columns"));
                    }
                    group.chunks.push(DraftChunk::read(reader)?);
                    Ok(())
                })?,
                3 => group.rows = reader.integer()?,
                _ => reader.skip(field.kind)?,
            }
            Ok(())
        })?;
        self.groups.push(group);
        Ok(())
    }

    fn key_value(&mut self, reader: &mut Reader<'_>) -> Result<(), ReadError> {
        let (mut key, mut value) = (String::new(), String::new());
        reader.structure(|reader, field| {
            let text = match field.id {
                1 => &mut key,
                2 => &mut value,
                _ => return reader.skip(field.kind),
            };
            *text = String::from_utf8_lossy(reader.binary()?).into_owned();
            Ok(())
        })?;
        self.metadata.push((key, value));
        Ok(())
    }

    fn finish(self, data_end: u64) -> Result<Footer, ReadError> {
        let columns = schema::columns(&[]);
        let elements = self.schema.get(1..).unwrap_or_default();
        let places = columns.iter().map(|column| place(elements, column));
        let places: Vec<usize> = places.collect::<Result<_, _>>()?;
        let mut total = 0_i64;
        let groups = self.groups.iter().map(|group| {
            total = total.saturating_add(group.rows.max(0));
            let chunks = places.iter().map(|place| {
                let chunk = group.chunks.get(*place);
                chunk.ok_or(ReadError::Damaged("a row group lacks a column"))?.range(data_end)
            });
            let rows = u64::try_from(group.rows)
                .map_err(|_| ReadError::Damaged("a row group has a negative number of rows"))?;
            Ok(Group { rows, chunks: chunks.collect::<Result<_, ReadError>>()? })
        });
        let groups = groups.collect::<Result<_, ReadError>>()?;
        if total != self.rows {
            return Err(ReadError::Damaged("its row groups have another number of rows than it"));
        }
        Ok(Footer { columns, rows: total.cast_unsigned(), groups, metadata: self.metadata })
    }
}

/// Returns the place of a column in the file. All columns are leaves of the root, so the place in
/// the schema is that in the row groups.
fn place(elements: &[Element], column: &Column) -> Result<usize, ReadError> {
    let foreign = |what: &str| ReadError::Foreign(format!("{what} column {:?}", column.name));
    if elements.iter().any(|element| element.children > 0) {
        return Err(ReadError::Foreign("it has nested columns".to_owned()));
    }
    let found = elements.iter().position(|element| element.name == column.name.as_bytes());
    let place = found.ok_or_else(|| foreign("it has no"))?;
    let is_same = elements.get(place).is_some_and(|element| {
        element.physical == Some(column.physical as i64)
            && element.repetition == Some(i64::from(column.is_optional()))
    });
    if is_same { Ok(place) } else { Err(foreign("values of another type are in the")) }
}

impl DraftChunk {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut chunk = Self::default();
        reader.structure(|reader, field| match field.id {
            3 => reader.structure(|reader, field| {
                match field.id {
                    4 => chunk.codec = reader.integer()?,
                    7 => chunk.bytes = reader.integer()?,
                    9 => chunk.data_at = reader.integer()?,
                    11 => chunk.dictionary_at = Some(reader.integer()?),
                    _ => reader.skip(field.kind)?,
                }
                Ok(())
            }),
            _ => reader.skip(field.kind),
        })?;
        Ok(chunk)
    }

    fn range(self, data_end: u64) -> Result<Range<u64>, ReadError> {
        if self.codec != i64::from(ZSTD) {
            return Err(ReadError::Foreign("it is not compressed with zstd".to_owned()));
        }
        let from = self.dictionary_at.unwrap_or(self.data_at).min(self.data_at);
        let range = u64::try_from(from).ok().zip(u64::try_from(self.bytes).ok());
        let range = range.and_then(|(from, bytes)| Some(from..from.checked_add(bytes)?));
        range
            .filter(|range| range.end <= data_end)
            .ok_or(ReadError::Damaged("a column lies outside of the file"))
    }
}
