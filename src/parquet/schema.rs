//! The columns of the files.

use super::fields::{Field, FieldType};
use super::thrift::Writer;

/// The physical types that skytail writes (`parquet.thrift`, `Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean = 0,
    Int64 = 2,
    Double = 5,
    Bytes = 6,
}

/// What a value means beyond its physical type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    None,
    /// UTF-8.
    Text,
    /// Microseconds since 1970, UTC.
    Time,
}

/// Where the values of a column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The place of the event in its period.
    Ordinal,
    /// `cursor`.
    Seq,
    /// `time_us`.
    Time,
    /// `account.active`.
    Active,
    /// A text of [`super::row::Row`], by its index; the fields follow the event's own texts.
    Slot(usize),
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) physical: Physical,
    meaning: Meaning,
    /// Whether the values are few, so that a dictionary pays.
    pub(super) has_dictionary: bool,
    /// Whether statistics are of use.
    pub(super) has_statistics: bool,
    /// Whether it has a Bloom filter.
    pub(super) has_bloom: bool,
}

/// The columns of each file, in their order. The texts have the indices of
/// [`crate::event::columns::Text`].
const COLUMNS: [(&str, Source); 15] = [
    ("ordinal", Source::Ordinal),
    ("seq", Source::Seq),
    ("time_us", Source::Time),
    ("did", Source::Slot(0)),
    ("kind", Source::Slot(1)),
    ("operation", Source::Slot(2)),
    ("collection", Source::Slot(3)),
    ("rkey", Source::Slot(4)),
    ("rev", Source::Slot(5)),
    ("cid", Source::Slot(6)),
    ("record", Source::Slot(7)),
    ("active", Source::Active),
    ("status", Source::Slot(8)),
    ("handle", Source::Slot(9)),
    ("extra", Source::Slot(10)),
];

const WITH_DICTIONARY: [&str; 4] = ["kind", "operation", "collection", "status"];
const WITHOUT_STATISTICS: [&str; 3] = ["cid", "record", "extra"];
/// The columns by which rows are sorted; their indices go to each row group.
const SORTED_BY: [&str; 3] = ["collection", "did", "time_us"];

/// Returns the columns of a file with these fields.
pub(super) fn columns(fields: &[Field]) -> Vec<Column> {
    let own = COLUMNS.iter().map(|(name, source)| {
        let (physical, meaning) = match source {
            Source::Ordinal | Source::Seq => (Physical::Int64, Meaning::None),
            Source::Time => (Physical::Int64, Meaning::Time),
            Source::Active => (Physical::Boolean, Meaning::None),
            Source::Slot(_) => (Physical::Bytes, Meaning::Text),
        };
        Column {
            name: (*name).to_owned(),
            source: *source,
            physical,
            meaning,
            has_dictionary: WITH_DICTIONARY.contains(name),
            has_statistics: !WITHOUT_STATISTICS.contains(name),
            has_bloom: *name == "did",
        }
    });
    let first = crate::event::columns::TEXTS;
    let fields = fields.iter().enumerate().map(|(i, field)| {
        let (physical, meaning) = match field.kind {
            FieldType::Text => (Physical::Bytes, Meaning::Text),
            FieldType::Int => (Physical::Int64, Meaning::None),
            FieldType::Time => (Physical::Int64, Meaning::Time),
            FieldType::Float => (Physical::Double, Meaning::None),
            FieldType::Bool => (Physical::Boolean, Meaning::None),
        };
        Column {
            name: field.name.clone(),
            source: Source::Slot(first + i),
            physical,
            meaning,
            has_dictionary: physical == Physical::Bytes,
            has_statistics: physical == Physical::Int64,
            has_bloom: false,
        }
    });
    own.chain(fields).collect()
}

/// Returns whether a column of each file has this name.
pub(super) fn is_own(name: &str) -> bool {
    COLUMNS.iter().any(|(own, _)| *own == name)
}

/// Returns the indices of the columns by which rows are sorted.
pub(super) fn sorting_columns() -> impl Iterator<Item = i32> {
    SORTED_BY
        .iter()
        .filter_map(|name| COLUMNS.iter().position(|(own, _)| own == name))
        .map(|index| index as i32)
}

impl Column {
    /// Returns whether a row may have no value.
    pub(super) fn is_optional(&self) -> bool {
        self.source != Source::Ordinal
    }

    /// Writes the column as an element of the schema.
    pub(super) fn write(&self, w: &mut Writer) {
        w.structure_item(|w| {
            w.i32(1, self.physical as i32);
            w.i32(3, i32::from(self.is_optional()));
            w.binary(4, self.name.as_bytes());
            match self.meaning {
                Meaning::None => {}
                Meaning::Text => {
                    w.i32(6, 0);
                    w.structure(10, |w| w.structure(1, |_| {}));
                }
                Meaning::Time => {
                    w.i32(6, 10);
                    w.structure(10, |w| {
                        w.structure(8, |w| {
                            w.bool(1, true);
                            w.structure(2, |w| w.structure(2, |_| {}));
                        });
                    });
                }
            }
        });
    }
}
