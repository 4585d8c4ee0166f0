//! The names of files: time fields, and numbers for names that are in use. This module does not
//! access the file system.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::fmt::strtime;

use super::parquet::open_path;
use super::rotation::Rotate;
use crate::parquet;
use crate::position::TimeUs;

/// 2026-01-01T00:00:00Z, an instant for checks of names.
const TRIAL_US: u64 = 1_767_225_600_000_000;
const HOUR_US: u64 = 3_600_000_000;
/// Two periods must have different names if they are this many hours apart: the next hour, the
/// other half of a 12-hour clock, the next day, weekday, month and year.
const APART_HOURS: [u64; 6] = [1, 12, 24, 7 * 24, 31 * 24, 365 * 24];
/// 2027-02-03T13:14:15.161718Z, which differs from the other instant in every field.
const OTHER_TRIAL_US: u64 = 1_801_660_455_161_718;
/// The ending of names whose files are compressed.
const ZSTD: &str = ".zst";
/// Endings that stand for another compression.
const OTHER_COMPRESSION: [(&str, &str); 14] = [
    ("gz", "gzip"),
    ("gzip", "gzip"),
    ("tgz", "gzip"),
    ("bz2", "bzip2"),
    ("xz", "xz"),
    ("lzma", "lzma"),
    ("lz4", "lz4"),
    ("br", "brotli"),
    ("sz", "snappy"),
    ("zip", "zip"),
    ("7z", "7-Zip"),
    ("z", "compress"),
    // `is_compressed` compares with the lower-case ending only.
    ("zst", "zstd"),
    ("zstd", "zstd"),
];

/// Why a name can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The path has no file name.
    #[error("{0:?} names no file: write the path of a file, or - for stdout")]
    NoFile(PathBuf),
    /// The path is not UTF-8.
    #[error("{0:?} is not UTF-8: give the file another name")]
    NotUtf8(PathBuf),
    /// The ending stands for a compression, and the events would not be compressed.
    #[error(
        "{name:?} says {what}, and only names in .zst are compressed (with zstd): call it {instead:?}, or leave --output out and pipe stdout through a program that compresses"
    )]
    OtherCompression {
        /// The name.
        name: String,
        /// The compression that its ending stands for.
        what: &'static str,
        /// A name that fits the content.
        instead: String,
    },
    /// The name of a directory has a field.
    #[error("{0:?} has a field in a directory's name: put fields in the name of the file only")]
    FieldInDirectory(PathBuf),
    /// The name asks for a split that there is not.
    #[error(
        "{0:?}: write {{collection}} in the name of a Parquet file, like all-{{collection}}.parquet, or leave it out"
    )]
    CollectionField(PathBuf),
    /// A field is unknown.
    #[error(
        "{name:?}: {field:?} is not a field of a name: write {{collection}} in the name of a Parquet file, time fields as strftime does (%Y-%m-%d) with --rotate, or a name without braces"
    )]
    UnknownField {
        /// The name.
        name: String,
        /// The field.
        field: String,
    },
    /// A field is invalid.
    #[error(
        "{name:?}: {cause}: write fields as strftime does (%Y-%m-%dT%H), and %% for a percent sign"
    )]
    BadField {
        /// The name.
        name: String,
        /// The error of the field.
        cause: String,
    },
    /// A field gives a text that a file name can't have.
    #[error(
        "{name:?} would become {example:?}, which is not a file name: use other fields (%Y-%m-%d)"
    )]
    BadResult {
        /// The name.
        name: String,
        /// The name with its fields filled in.
        example: String,
    },
    /// Two periods would have the same file.
    #[error("{name:?} is the same for different {what}: add {fields} to the name")]
    Ambiguous {
        /// The name.
        name: String,
        /// Hours or days.
        what: &'static str,
        /// The fields that distinguish them.
        fields: &'static str,
    },
}

/// The names of the files of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The directory of the files.
    pub directory: PathBuf,
    /// The name of the files; with `rotate` its fields are not filled in.
    pub name: String,
    /// When the next file begins; `None` for a single file.
    pub rotate: Option<Rotate>,
}

impl Naming {
    /// Parses a path that a user gave.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(given: &Path, rotate: Option<Rotate>) -> Result<Self, NameError> {
        let text = given.to_str().ok_or_else(|| NameError::NotUtf8(given.to_owned()))?;
        let name = given.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|_| !text.ends_with(std::path::is_separator)) else {
            return Err(NameError::NoFile(given.to_owned()));
        };
        refuse_other_compression(name)?;
        if let Some(field) = unknown_field(name) {
            return Err(NameError::UnknownField { name: name.to_owned(), field });
        }
        let directory = given.parent().filter(|d| !d.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        let naming = Self { directory, name: name.to_owned(), rotate };
        let has_field = |path: &Path| parquet::collection_field(path);
        if has_field(&naming.directory) || (has_field(Path::new(name)) && !naming.is_parquet()) {
            return Err(NameError::CollectionField(given.to_owned()));
        }
        if let Some(rotate) = rotate {
            if naming.directory.to_str().is_some_and(|d| d.contains('%')) {
                return Err(NameError::FieldInDirectory(given.to_owned()));
            }
            naming.check(rotate)?;
        }
        Ok(naming)
    }

    /// Returns whether the files that are written are compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.name.ends_with(ZSTD) || self.is_parquet()
    }

    /// Returns whether the files are converted to Parquet when their period ends.
    #[must_use]
    pub fn is_parquet(&self) -> bool {
        parquet::is_name(Path::new(&self.name))
    }

    /// Returns the path of the file to which events are appended: that of [`Naming::path`], or the
    /// file of lines that becomes it.
    #[must_use]
    pub fn working_path(&self, time: TimeUs, number: u32) -> PathBuf {
        let path = self.path(time, number);
        if self.is_parquet() { open_path(&path) } else { path }
    }

    /// Returns whether the name has time fields that are not filled in, because nothing rotates.
    #[must_use]
    pub fn has_unused_fields(&self) -> bool {
        let filled = |us| fill_in(&self.name, TimeUs(us));
        self.rotate.is_none()
            && filled(TRIAL_US).is_ok()
            && filled(TRIAL_US) != filled(OTHER_TRIAL_US)
    }

    /// Returns the path with its fields not filled in, which identifies the files in the state
    /// file.
    #[must_use]
    pub fn pattern(&self) -> String {
        self.directory.join(&self.name).to_string_lossy().into_owned()
    }

    /// Returns the path of the file for an instant, with `number` in its name unless it is 0.
    #[must_use]
    pub fn path(&self, time: TimeUs, number: u32) -> PathBuf {
        let name = match self.rotate {
            // Every field was checked before the run began.
            Some(_) => fill_in(&self.name, time).unwrap_or_else(|_| self.name.clone()),
            None => self.name.clone(),
        };
        self.directory.join(numbered(&name, number))
    }

    fn check(&self, rotate: Rotate) -> Result<(), NameError> {
        let name = || self.name.clone();
        let trial = |us| {
            fill_in(&self.name, TimeUs(us))
                .map_err(|cause| NameError::BadField { name: name(), cause })
        };
        let example = trial(TRIAL_US)?;
        let is_bad = |c: char| std::path::is_separator(c) || c.is_control();
        if example.contains(is_bad) || matches!(&*example, "" | "." | "..") {
            return Err(NameError::BadResult { name: name(), example });
        }
        let (least_hours, what, fields) = match rotate {
            Rotate::Hourly => (1, "hours", "%Y-%m-%dT%H"),
            Rotate::Daily => (24, "days", "%Y-%m-%d"),
            Rotate::Size(_) => return Ok(()),
        };
        for hours in APART_HOURS.into_iter().filter(|hours| *hours >= least_hours) {
            if trial(TRIAL_US + hours * HOUR_US)? == example {
                return Err(NameError::Ambiguous { name: name(), what, fields });
            }
        }
        Ok(())
    }
}

/// Returns what comes before and after the field for the collection in the name of a file.
#[must_use]
pub fn field_parts(path: &Path) -> Option<(String, String)> {
    let name = path.file_name()?.to_str()?;
    let (start, end) = name.split_once(parquet::COLLECTION)?;
    Some((start.to_owned(), end.to_owned()))
}

/// Returns the first text in braces that looks like a field and is not a known one.
fn unknown_field(name: &str) -> Option<String> {
    let is_word = |text: &&str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '%');
        !text.is_empty() && text.chars().all(is_letter)
    };
    let fields = name.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let fields = fields.filter(is_word).map(|word| format!("{{{word}}}"));
    let mut unknown = fields.filter(|field| field != parquet::COLLECTION);
    unknown.next()
}

/// Rejects a name whose ending stands for another compression, because readers rely on the ending.
fn refuse_other_compression(name: &str) -> Result<(), NameError> {
    let Some((stem, ending)) = name.rsplit_once('.').filter(|_| !name.ends_with(ZSTD)) else {
        return Ok(());
    };
    let is_it = |(known, _): &&(&str, &str)| ending.eq_ignore_ascii_case(known);
    match OTHER_COMPRESSION.iter().find(is_it) {
        None => Ok(()),
        Some((_, what)) => Err(NameError::OtherCompression {
            name: name.to_owned(),
            what,
            instead: format!("{stem}{ZSTD}"),
        }),
    }
}

/// Returns the name with its fields filled in for an instant in UTC.
fn fill_in(name: &str, time: TimeUs) -> Result<String, String> {
    // A calendar does not have the most distant times that a server may send.
    let us = i64::try_from(time.0).unwrap_or(i64::MAX);
    let time = Timestamp::from_microsecond(us).unwrap_or(Timestamp::MAX);
    strtime::format(name, time).map_err(|error| error.to_string())
}

/// Returns the name with a number before its extensions.
fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    let (stem, extensions) = name.split_at(extensions_at(name));
    format!("{stem}.{number}{extensions}")
}

/// Returns where the extensions begin: the last one, and the one before `.zst`. An extension begins
/// with a letter, so that a version or a date stays with the stem.
fn extensions_at(name: &str) -> usize {
    let last = |name: &str| {
        let at = name.rfind('.').filter(|at| *at > 0)?;
        let begins = name.get(at + 1..)?.chars().next()?;
        begins.is_ascii_alphabetic().then_some(at)
    };
    let Some(at) = last(name) else { return name.len() };
    let stem = name.get(..at).unwrap_or(name);
    if name.ends_with(ZSTD) { last(stem).unwrap_or(at) } else { at }
}

#[cfg(test)]
#[path = "naming/tests.rs"]
mod tests;
