//! Thrift's compact protocol, as far as the metadata of Parquet needs it (Thrift's
//! `doc/specs/thrift-compact-protocol.md`).
//!
//! The reader allocates nothing that the input only claims: it counts lists by what follows in the
//! input, and returns strings as slices of it.

use super::error::ReadError;

/// The types of fields and of the items of lists.
pub(super) mod kind {
    pub(in crate::parquet) const TRUE: u8 = 1;
    pub(in crate::parquet) const FALSE: u8 = 2;
    pub(in crate::parquet) const I32: u8 = 5;
    pub(in crate::parquet) const I64: u8 = 6;
    pub(in crate::parquet) const BINARY: u8 = 8;
    pub(in crate::parquet) const LIST: u8 = 9;
    pub(in crate::parquet) const STRUCT: u8 = 12;
}

/// The deepest nesting that the reader skips. Parquet's metadata has seven levels.
const MAX_DEPTH: u32 = 32;

/// Writes structs.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The bytes that were written.
    pub(super) out: Vec<u8>,
    /// The number of the field before, in the innermost struct.
    last: i16,
}

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn header(&mut self, id: i16, kind: u8) {
        match id - self.last {
            delta @ 1..=15 => self.out.push((delta as u8) << 4 | kind),
            _ => {
                self.out.push(kind);
                self.zigzag(i64::from(id));
            }
        }
        self.last = id;
    }

    pub(super) fn i32(&mut self, id: i16, value: i32) {
        self.header(id, kind::I32);
        self.zigzag(i64::from(value));
    }

    pub(super) fn i64(&mut self, id: i16, value: i64) {
        self.header(id, kind::I64);
        self.zigzag(value);
    }

    pub(super) fn bool(&mut self, id: i16, value: bool) {
        self.header(id, if value { kind::TRUE } else { kind::FALSE });
    }

    pub(super) fn binary(&mut self, id: i16, value: &[u8]) {
        self.header(id, kind::BINARY);
        self.binary_item(value);
    }

    /// Writes a struct as a field.
    pub(super) fn structure(&mut self, id: i16, fields: impl FnOnce(&mut Self)) {
        self.header(id, kind::STRUCT);
        self.structure_item(fields);
    }

    /// Begins a list; the caller writes its items.
    pub(super) fn list(&mut self, id: i16, kind: u8, length: usize) {
        self.header(id, kind::LIST);
        match length {
            0..15 => self.out.push((length as u8) << 4 | kind),
            _ => {
                self.out.push(0xf0 | kind);
                self.varint(length as u64);
            }
        }
    }

    /// Writes a struct as an item of a list, or as a message of its own.
    pub(super) fn structure_item(&mut self, fields: impl FnOnce(&mut Self)) {
        let last = std::mem::take(&mut self.last);
        fields(self);
        self.out.push(0);
        self.last = last;
    }

    pub(super) fn i32_item(&mut self, value: i32) {
        self.zigzag(i64::from(value));
    }

    pub(super) fn binary_item(&mut self, value: &[u8]) {
        self.varint(value.len() as u64);
        self.out.extend_from_slice(value);
    }
}

/// Reads structs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

const DAMAGED: ReadError = ReadError::Damaged("its metadata does not follow Thrift's format");

/// The header of a field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) id: i16,
    pub(super) kind: u8,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns how many bytes are not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn byte(&mut self) -> Result<u8, ReadError> {
        let (first, rest) = self.rest.split_first().ok_or(DAMAGED)?;
        self.rest = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u64, ReadError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DAMAGED)
    }

    /// Reads an integer of any width.
    pub(super) fn integer(&mut self) -> Result<i64, ReadError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], ReadError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DAMAGED)?;
        let (value, rest) = self.rest.split_at_checked(length).ok_or(DAMAGED)?;
        self.rest = rest;
        Ok(value)
    }

    /// Reads the header of a list: the kind of its items, and how many there are. Each takes at
    /// least one byte, so a longer list than the rest is refused.
    pub(super) fn list(&mut self) -> Result<(u8, usize), ReadError> {
        let header = self.byte()?;
        let length = match header >> 4 {
            15 => usize::try_from(self.varint()?).map_err(|_| DAMAGED)?,
            short => usize::from(short),
        };
        if length > self.rest.len() {
            return Err(DAMAGED);
        }
        Ok((header & 0xf, length))
    }

    /// Calls `each` for the fields of a struct. It must consume the value, or call
    /// [`Reader::skip`].
    pub(super) fn structure(
        &mut self,
        mut each: impl FnMut(&mut Self, Field) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut last = 0_i16;
        while let Some(field) = self.field(last)? {
            last = field.id;
            each(self, field)?;
        }
        Ok(())
    }

    /// Calls `each` once for each struct of a list.
    pub(super) fn structures(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let (kind, length) = self.list()?;
        if kind != kind::STRUCT && length > 0 {
            return Err(DAMAGED);
        }
        (0..length).try_for_each(|_| each(self))
    }

    fn field(&mut self, last: i16) -> Result<Option<Field>, ReadError> {
        let header = self.byte()?;
        if header == 0 {
            return Ok(None);
        }
        let id = match header >> 4 {
            0 => i16::try_from(self.integer()?).map_err(|_| DAMAGED)?,
            delta => last.checked_add(i16::from(delta)).ok_or(DAMAGED)?,
        };
        Ok(Some(Field { id, kind: header & 0xf }))
    }

    /// Skips the value of a field.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), ReadError> {
        self.skip_nested(kind, false, 0)
    }

    fn skip_nested(&mut self, kind: u8, is_item: bool, depth: u32) -> Result<(), ReadError> {
        if depth > MAX_DEPTH {
            return Err(DAMAGED);
        }
        match kind {
            // In a list a truth value takes a byte; as a field it is in the header.
            kind::TRUE | kind::FALSE if is_item => self.byte().map(drop),
            kind::TRUE | kind::FALSE => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.integer().map(drop),
            7 => (0..8).try_for_each(|_| self.byte().map(drop)),
            kind::BINARY => self.binary().map(drop),
            kind::LIST | 10 => {
                let (kind, length) = self.list()?;
                (0..length).try_for_each(|_| self.skip_nested(kind, true, depth + 1))
            }
            kind::STRUCT => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    last = field.id;
                    self.skip_nested(field.kind, false, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(DAMAGED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back_and_can_be_skipped() {
        let mut writer = Writer::default();
        writer.structure_item(|w| {
            w.i32(1, -5);
            w.i64(20, i64::MAX);
            w.bool(21, true);
            w.structure(22, |w| w.binary(1, b"in"));
            w.list(23, kind::I32, 20);
            (0..20).for_each(|n| w.i32_item(n));
            w.binary(24, b"end");
        });
        let mut reader = Reader::new(&writer.out);
        let mut skipped = reader;
        skipped.skip(kind::STRUCT).unwrap();
        assert_eq!(skipped.left(), 0);
        let mut found = Vec::new();
        let outcome = reader.structure(|reader, field| {
            match field.id {
                1 | 20 => found.push(reader.integer()?.to_string()),
                24 => found.push(String::from_utf8_lossy(reader.binary()?).into_owned()),
                _ => reader.skip(field.kind)?,
            }
            Ok(())
        });
        outcome.unwrap();
        assert_eq!(found, ["-5", &i64::MAX.to_string(), "end"]);
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        assert!(Reader::new(&[0x1c; 100_000]).skip(kind::STRUCT).is_err());
        assert!(Reader::new(&[0x19; 100_000]).skip(kind::LIST).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reader::new(&bytes).skip(kind::STRUCT);
        }
    }
}
