//! From lines to files: sorts the events, splits them by collection if the name asks for that, and
//! puts each file into its place only when it is complete.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::fields::Field;
use super::file_writer::FileWriter;
use super::footer::Footer;
use super::row::{self, FieldCount, Row};
use super::sort::{Order, Sorter};
use crate::display::printable::printable;
use crate::display::units::counted;
use crate::event::columns::{self, Text};
use crate::event::error::Malformed;
use crate::filter::syntax::is_nsid;
use crate::paths::new_file::{NewFile, NewFileError};

/// The field of a name that stands for the collection.
pub const COLLECTION: &str = "{collection}";
/// The name of what is not among the largest collections.
const OTHER: &str = "_other";
/// Collections with a file of their own.
const MOST_FILES: usize = 63;
/// The longest collection in a name; names of files have at most 255 bytes.
const MOST_NAME_BYTES: usize = 150;
/// Different collections that are counted. The network has some 10,000.
const MOST_COUNTED: usize = 20_000;

/// The keys of the metadata.
const SOURCE: &str = "skytail.source";
/// The columns of `--fields`, as [`super::fields::parse`] takes them, separated by commas.
pub(super) const FIELDS: &str = "skytail.fields";

/// Why files can't be written. None of them was put into its place, or some of them: the same
/// events written again give the same files.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file exists already, and did not come of the same input.
    #[error("{} exists already and has other events: move it away, or name another file", .0.display())]
    Exists(PathBuf),
    /// The system can't write it.
    #[error(transparent)]
    NewFile(#[from] NewFileError),
}

/// Why a line was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It is not an event.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A temporary file can't be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the files say of their events, besides what the events themselves say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Keys and values.
    pub entries: Vec<(String, String)>,
    /// What identifies the input. An existing file with the same identity is replaced; any other
    /// stays.
    pub source: Option<String>,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many events it has.
    pub events: u64,
}

/// Collects the events of one file.
#[derive(Debug)]
pub struct EventWriter {
    sorter: Sorter,
    fields: Vec<Field>,
    counts: Vec<FieldCount>,
    collections: HashMap<Box<str>, u64>,
    next_ordinal: u64,
}

/// Returns whether a file that is split by collection may have this text in place of the field.
#[must_use]
pub fn is_part_name(text: &str) -> bool {
    text == OTHER || is_nsid(text)
}

/// Returns whether the name of a file asks to be split by collection.
#[must_use]
pub fn collection_field(path: &Path) -> bool {
    path.to_string_lossy().contains(COLLECTION)
}

/// Returns whether the Parquet file at `path` has this source. A file that can't be read as Parquet
/// has none.
#[must_use]
pub fn is_source(path: &Path, source: &str) -> bool {
    let footer = File::open(path).ok().and_then(|mut file| Footer::read(&mut file).ok());
    footer.is_some_and(|footer| footer.metadata(SOURCE) == Some(source))
}

impl EventWriter {
    /// Returns a writer with these added columns. `directory` is for temporary files.
    #[must_use]
    pub fn new(fields: Vec<Field>, directory: &Path) -> Self {
        Self {
            sorter: Sorter::new(Order::Content, fields.len(), directory),
            counts: vec![FieldCount::default(); fields.len()],
            fields,
            collections: HashMap::new(),
            next_ordinal: 0,
        }
    }

    /// Adds one event. Its ordinal follows that of the event before.
    ///
    /// # Errors
    /// [`AddError`]; a line that is not an event is not added.
    pub fn add(&mut self, line: &[u8]) -> Result<(), AddError> {
        self.add_at(self.next_ordinal, line)
    }

    /// Adds one event with an ordinal, which must differ from all others.
    ///
    /// # Errors
    /// As [`EventWriter::add`].
    pub fn add_at(&mut self, ordinal: u64, line: &[u8]) -> Result<(), AddError> {
        let event = columns::parse(line)?;
        if let Some(collection) = event.text(Text::Collection) {
            count(&mut self.collections, collection);
        }
        let (fields, counts) = (&*self.fields, &mut *self.counts);
        self.sorter.add(|rows| {
            row::push(rows, ordinal, &event, Some((fields, line, counts)));
            Ok::<_, AddError>(())
        })?;
        self.next_ordinal = ordinal + 1;
        Ok(())
    }

    /// Returns a sentence for each field whose column lacks values that a user may expect: they have
    /// another type, or no event has the field.
    #[must_use]
    pub fn field_warnings(&self) -> Vec<String> {
        let is_empty = self.next_ordinal == 0;
        let warning = |(field, count): (&Field, &FieldCount)| {
            let name = printable(field.name.as_bytes(), 100);
            match count {
                FieldCount { mismatches: 1.., .. } => Some(format!(
                    "--fields: {} of {name} have another type, and are null",
                    counted(count.mismatches, "value")
                )),
                FieldCount { values: 0, .. } if !is_empty => Some(format!(
                    "--fields: no event has {name}, so its column is empty: check how it is spelled (skytail tail -n 1 --format pretty shows an event)"
                )),
                _ => None,
            }
        };
        self.fields.iter().zip(&self.counts).filter_map(warning).collect()
    }

    /// Writes the files, syncs them, and puts them into their places. `path` may have the field
    /// for the collection.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(self, path: &Path, metadata: &Metadata) -> Result<Vec<Written>, WriteError> {
        let failed = |cause| NewFileError::Failed { path: path.to_owned(), cause };
        let own_files = match collection_field(path) {
            true => largest(&self.collections),
            false => HashSet::new(),
        };
        let fields = self.fields.len();
        let mut outputs = Outputs { path, metadata, fields: &self.fields, done: Vec::new() };
        let mut sorted = self.sorter.finish().map_err(failed)?;
        let (mut rest, mut current): (Option<Output>, Option<(Vec<u8>, Output)>) = (None, None);
        while let Some(bytes) = sorted.next().map_err(failed)? {
            let row = Row::new(bytes, fields);
            let (collection, _) = row.content_key();
            if !own_files.contains(collection) {
                let output = match &mut rest {
                    Some(output) => output,
                    none => none.insert(outputs.begin(OTHER)?),
                };
                output.push(&row)?;
                continue;
            }
            if current.as_ref().is_none_or(|(name, _)| name != collection) {
                if let Some((_, output)) = current.take() {
                    outputs.end(output)?;
                }
                let name = String::from_utf8_lossy(collection);
                current = Some((collection.to_vec(), outputs.begin(&name)?));
            }
            if let Some((_, output)) = &mut current {
                output.push(&row)?;
            }
        }
        if rest.is_none() && current.is_none() {
            rest = Some(outputs.begin(OTHER)?);
        }
        for output in current.map(|(_, output)| output).into_iter().chain(rest) {
            outputs.end(output)?;
        }
        outputs.publish()
    }
}

fn count(collections: &mut HashMap<Box<str>, u64>, collection: &str) {
    if let Some(count) = collections.get_mut(collection) {
        *count += 1;
    } else if collections.len() < MOST_COUNTED {
        collections.insert(collection.into(), 1);
    }
}

/// Returns the collections with files of their own. Names that differ only in case would be one
/// file on some systems, so the smaller collection of such a pair has none.
fn largest(collections: &HashMap<Box<str>, u64>) -> HashSet<Vec<u8>> {
    let mut by_size: Vec<(&str, u64)> = collections
        .iter()
        .map(|(name, count)| (&**name, *count))
        .filter(|(name, _)| name.len() <= MOST_NAME_BYTES && is_nsid(name))
        .collect();
    by_size.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut names = HashSet::new();
    let is_new = |(name, _): &(&str, u64)| names.insert(name.to_ascii_lowercase());
    let chosen = by_size.into_iter().filter(is_new).take(MOST_FILES);
    chosen.map(|(name, _)| name.as_bytes().to_vec()).collect()
}

/// The files of one input.
struct Outputs<'a> {
    path: &'a Path,
    metadata: &'a Metadata,
    fields: &'a [Field],
    done: Vec<(NewFile, Written)>,
}

/// The ordinal, sequence number and time of an event.
type End = (u64, Option<i64>, Option<i64>);

/// A file that is being written.
struct Output {
    writer: FileWriter<BufWriter<File>>,
    new: NewFile,
    /// The first and the last event.
    ends: Option<[End; 2]>,
}

impl Outputs<'_> {
    fn begin(&self, collection: &str) -> Result<Output, WriteError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let path = self.path.with_file_name(name.replace(COLLECTION, collection));
        self.check_free(&path)?;
        let (new, file) = NewFile::create(&path)?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let writer = FileWriter::new(file, self.fields).map_err(|cause| new.failed(cause))?;
        Ok(Output { writer, new, ends: None })
    }

    /// Fails if there is anything at `path` that is not an earlier result of the same input.
    fn check_free(&self, path: &Path) -> Result<(), WriteError> {
        let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
        if !found.is_file() {
            return Err(NewFileError::NotRegular(path.to_owned()).into());
        }
        match &self.metadata.source {
            Some(source) if is_source(path, source) => Ok(()),
            _ => Err(WriteError::Exists(path.to_owned())),
        }
    }

    fn end(&mut self, output: Output) -> Result<(), WriteError> {
        let Output { writer, new, ends } = output;
        let mut metadata: Vec<(&str, String)> =
            vec![("skytail.version", env!("CARGO_PKG_VERSION").to_owned())];
        metadata.extend(self.metadata.entries.iter().map(|(k, v)| (&**k, v.clone())));
        if let Some(source) = &self.metadata.source {
            metadata.push((SOURCE, source.clone()));
        }
        if !self.fields.is_empty() {
            let fields: Vec<String> = self.fields.iter().map(ToString::to_string).collect();
            metadata.push((FIELDS, fields.join(",")));
        }
        for ((_, seq, time), [seq_key, time_key]) in ends.into_iter().flatten().zip([
            ["skytail.first_seq", "skytail.first_time_us"],
            ["skytail.last_seq", "skytail.last_time_us"],
        ]) {
            metadata.extend(seq.map(|seq| (seq_key, seq.to_string())));
            metadata.extend(time.map(|time| (time_key, time.to_string())));
        }
        let events = writer.rows();
        let failed = |cause| new.failed(cause);
        let mut out = writer.finish(&metadata).map_err(failed)?;
        out.flush().map_err(failed)?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let written = Written { path: new.path().to_owned(), bytes, events };
        self.done.push((new, written));
        Ok(())
    }

    fn publish(self) -> Result<Vec<Written>, WriteError> {
        for (new, _) in &self.done {
            self.check_free(new.path())?;
        }
        let mut written = Vec::new();
        for (new, file) in self.done {
            new.publish()?;
            written.push(file);
        }
        Ok(written)
    }
}

impl Output {
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError> {
        let end = (row.ordinal(), row.seq(), row.time());
        let [first, last] = self.ends.get_or_insert([end, end]);
        if end.0 < first.0 {
            *first = end;
        }
        if end.0 > last.0 {
            *last = end;
        }
        Ok(self.writer.push(row).map_err(|cause| self.new.failed(cause))?)
    }
}
