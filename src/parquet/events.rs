//! The events of a file as lines, in the order in which they were received.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::column_reader::{ColumnReader, Input};
use super::error::ReadError;
use super::footer::{Footer, Group};
use super::row::{self, Row, TEXT_COLUMNS};
use super::schema::Source;
use super::sort::{Order, Sorted, Sorter};
use crate::event::columns::{EventColumns, compose};

/// The events of a file. Reads all of the file, and sorts it with the memory and the temporary
/// files of a conversion.
#[derive(Debug)]
pub struct Events {
    sorted: Sorted,
    metadata: Vec<(String, String)>,
    events: u64,
    line: Vec<u8>,
    /// How much of `line` was read as a stream.
    used: usize,
    row: u64,
}

impl Events {
    /// Reads a file. `directory` is for temporary files.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(mut file: File, directory: &Path) -> Result<Self, ReadError> {
        let footer = Footer::read(&mut file)?;
        let mut sorter = Sorter::new(Order::Ordinal, 0, directory);
        let mut input = Input::new(file)?;
        for group in &footer.groups {
            read_group(&footer, group, &mut input, &mut sorter)?;
        }
        Ok(Self {
            sorted: sorter.finish()?,
            metadata: footer.all_metadata().to_vec(),
            events: footer.rows,
            line: Vec::new(),
            used: 0,
            row: 0,
        })
    }

    /// Returns how many events the file has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.events
    }

    /// Returns the keys and values of the file.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// Returns the next event: its ordinal, and its line with a line feed; `None` after the last.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn next_event(&mut self) -> Result<Option<(u64, &[u8])>, ReadError> {
        self.line.clear();
        self.used = 0;
        let Some(bytes) = self.sorted.next()? else { return Ok(None) };
        self.row += 1;
        let row = Row::new(bytes, 0);
        let ordinal = row.ordinal();
        let event = row.event().ok_or(ReadError::Damaged("a text is not UTF-8"))?;
        compose(&event, &mut self.line)
            .map_err(|cause| ReadError::BadRow { row: self.row, cause })?;
        self.line.push(b'\n');
        Ok(Some((ordinal, &self.line)))
    }
}

impl Read for Events {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.used == self.line.len() {
            self.next_event()?;
        }
        let rest = self.line.get(self.used..).unwrap_or_default();
        let length = rest.len().min(out.len());
        let (Some(to), Some(from)) = (out.get_mut(..length), rest.get(..length)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.used += length;
        Ok(length)
    }
}

fn read_group(
    footer: &Footer,
    group: &Group,
    input: &mut Input,
    sorter: &mut Sorter,
) -> Result<(), ReadError> {
    let chunks = footer.columns.iter().zip(&group.chunks);
    let mut readers: Vec<ColumnReader> =
        chunks.map(|(column, pages)| ColumnReader::new(column, pages.clone())).collect();
    for _ in 0..group.rows {
        for reader in &mut readers {
            reader.advance(input)?;
        }
        let (ordinal, event) = event(footer, &readers)?;
        sorter.add(|rows| {
            row::push(rows, ordinal, &event, None);
            Ok::<_, ReadError>(())
        })?;
    }
    Ok(())
}

/// Returns the ordinal and the columns of the current row.
fn event<'a>(
    footer: &Footer,
    readers: &'a [ColumnReader],
) -> Result<(u64, EventColumns<'a>), ReadError> {
    let mut event = EventColumns::default();
    let mut ordinal = 0;
    for (column, reader) in footer.columns.iter().zip(readers) {
        match column.source {
            Source::Ordinal => ordinal = reader.integer().unwrap_or_default().cast_unsigned(),
            Source::Seq => event.seq = reader.integer(),
            Source::Time => event.time_us = reader.integer(),
            Source::Active => event.active = reader.boolean(),
            Source::Slot(slot) => {
                let text = reader.bytes().map(simdutf8::basic::from_utf8).transpose();
                let text = text.map_err(|_| ReadError::Damaged("a text is not UTF-8"))?;
                if let Some(column) = TEXT_COLUMNS.get(slot) {
                    event.set_text(*column, text.map(Cow::Borrowed));
                }
            }
        }
    }
    Ok((ordinal, event))
}
