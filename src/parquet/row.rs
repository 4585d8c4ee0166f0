//! One event between its line and the columns of a file: the bytes that a sort moves and spills.
//!
//! A row is the ordinal, sequence number and time (8 bytes each), the flags, the lengths of the
//! texts (4 bytes each), and the texts. All numbers are little-endian.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::fields::{Field, Found};
use crate::event::columns::{EventColumns, TEXTS, Text};

const SEQ: u8 = 1;
const TIME: u8 = 2;
const ACTIVE: u8 = 4;
const IS_ACTIVE: u8 = 8;
/// Where the flags are, and the lengths after them.
const FLAGS_AT: usize = 24;
const LENGTHS_AT: usize = FLAGS_AT + 1;
/// The length of a text that is missing.
const NULL: u32 = u32::MAX;

/// A row as its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    bytes: &'a [u8],
    slots: usize,
}

/// What became of the values of one field.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldCount {
    /// The values in the column.
    pub(super) values: u64,
    /// The values with another type.
    pub(super) mismatches: u64,
}

/// Appends a row to `out`. Counts what became of the values of each field.
pub(super) fn push(
    out: &mut Vec<u8>,
    ordinal: u64,
    event: &EventColumns<'_>,
    fields: Option<(&[Field], &[u8], &mut [FieldCount])>,
) {
    let slots = TEXTS + fields.as_ref().map_or(0, |(fields, ..)| fields.len());
    let start = out.len();
    out.extend_from_slice(&ordinal.to_le_bytes());
    out.extend_from_slice(&event.seq.unwrap_or_default().to_le_bytes());
    out.extend_from_slice(&event.time_us.unwrap_or_default().to_le_bytes());
    let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
    out.push(
        flag(event.seq.is_some(), SEQ)
            | flag(event.time_us.is_some(), TIME)
            | flag(event.active.is_some(), ACTIVE)
            | flag(event.active == Some(true), IS_ACTIVE),
    );
    let lengths_at = start + LENGTHS_AT;
    out.resize(lengths_at + slots * 4, 0xff);
    let mut slot = 0;
    let mut end_slot = |out: &mut Vec<u8>, from: usize, has_value: bool| {
        let length = if has_value { (out.len() - from) as u32 } else { NULL };
        let at = lengths_at + slot * 4;
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        slot += 1;
    };
    for text in event.texts() {
        let from = out.len();
        out.extend_from_slice(text.unwrap_or_default().as_bytes());
        end_slot(out, from, text.is_some());
    }
    let Some((fields, line, counts)) = fields else { return };
    for (field, count) in fields.iter().zip(counts) {
        let from = out.len();
        let found = field.append(line, out);
        count.values += u64::from(found == Found::Value);
        count.mismatches += u64::from(found == Found::Mismatch);
        end_slot(out, from, found == Found::Value);
    }
}

impl<'a> Row<'a> {
    /// Returns the row with these bytes, which [`push`] made with as many fields.
    pub(super) fn new(bytes: &'a [u8], fields: usize) -> Self {
        Self { bytes, slots: TEXTS + fields }
    }

    /// Returns the number of its bytes.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    fn number(&self, at: usize) -> i64 {
        let bytes = self.bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        i64::from_le_bytes(bytes.unwrap_or_default())
    }

    fn flags(&self) -> u8 {
        self.bytes.get(FLAGS_AT).copied().unwrap_or_default()
    }

    pub(super) fn ordinal(&self) -> u64 {
        self.number(0).cast_unsigned()
    }

    pub(super) fn seq(&self) -> Option<i64> {
        (self.flags() & SEQ != 0).then(|| self.number(8))
    }

    pub(super) fn time(&self) -> Option<i64> {
        (self.flags() & TIME != 0).then(|| self.number(16))
    }

    pub(super) fn active(&self) -> Option<bool> {
        (self.flags() & ACTIVE != 0).then(|| self.flags() & IS_ACTIVE != 0)
    }

    /// Returns the values of all texts and fields, in order.
    pub(super) fn slots(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let (bytes, slots) = (self.bytes, self.slots);
        let mut at = LENGTHS_AT + slots * 4;
        (0..slots).map(move |slot| {
            let place = LENGTHS_AT + slot * 4;
            let length = bytes.get(place..place + 4).and_then(|bytes| bytes.try_into().ok());
            let length = u32::from_le_bytes(length?);
            if length == NULL {
                return None;
            }
            let value = bytes.get(at..at + length as usize);
            at += length as usize;
            value
        })
    }

    /// Returns collection and account, by which rows are sorted; empty if missing.
    pub(super) fn content_key(&self) -> (&'a [u8], &'a [u8]) {
        let mut slots = self.slots();
        let did = slots.next().flatten().unwrap_or_default();
        let collection = slots.nth(Text::Collection as usize - 1).flatten();
        (collection.unwrap_or_default(), did)
    }

    /// Compares by collection, account, time and ordinal.
    pub(super) fn cmp_content(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.content_key(), other.content_key());
        mine.cmp(&theirs)
            .then_with(|| self.number(16).cmp(&other.number(16)))
            .then_with(|| self.ordinal().cmp(&other.ordinal()))
    }

    /// Returns the columns of the event.
    pub(super) fn event(&self) -> Option<EventColumns<'a>> {
        let mut event = EventColumns::default();
        (event.seq, event.time_us, event.active) = (self.seq(), self.time(), self.active());
        for (column, value) in TEXT_COLUMNS.into_iter().zip(self.slots()) {
            let text = value.map(|value| simdutf8::basic::from_utf8(value)).transpose().ok()?;
            event.set_text(column, text.map(Cow::Borrowed));
        }
        Some(event)
    }
}

/// The text columns in their order.
pub(super) const TEXT_COLUMNS: [Text; TEXTS] = [
    Text::Did,
    Text::Kind,
    Text::Operation,
    Text::Collection,
    Text::Rkey,
    Text::Rev,
    Text::Cid,
    Text::Record,
    Text::Status,
    Text::Handle,
    Text::Extra,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::columns::parse;

    #[test]
    fn a_row_holds_the_columns_and_the_fields() {
        let line = br#"{"did":"d","time_us":7,"kind":"account","account":{"active":true},"n":5}"#;
        let event = parse(line).unwrap();
        let fields = super::super::fields::parse(&["n:int", "account"]).unwrap();
        let (mut bytes, mut counts) = (vec![], [FieldCount::default(); 2]);
        push(&mut bytes, 3, &event, Some((&fields, line, &mut counts)));
        let row = Row::new(&bytes, 2);
        assert_eq!((row.ordinal(), row.seq(), row.active()), (3, None, Some(true)));
        assert_eq!(row.event().unwrap(), event);
        let values: Vec<_> = row.slots().collect();
        assert_eq!(values[TEXTS], Some(&5_i64.to_le_bytes()[..]));
        assert_eq!((values[TEXTS + 1], counts.map(|count| count.mismatches)), (None, [0, 1]));
    }

    #[test]
    fn damaged_bytes_are_no_panic() {
        for bytes in [&[][..], &[0; 25], &[1; 80], &[0xff; 70]] {
            let row = Row::new(bytes, 1);
            let _ = (row.event(), row.slots().count(), row.content_key(), row.ordinal());
        }
    }

    #[test]
    fn the_texts_have_the_order_of_their_numbers() {
        assert!(TEXT_COLUMNS.iter().enumerate().all(|(i, column)| *column as usize == i));
    }
}
