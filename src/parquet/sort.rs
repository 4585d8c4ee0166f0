//! Sorts more rows than fit in memory: sorted runs in temporary files, which are then merged.
//!
//! The files are compressed, and removed as soon as they are open, so that a killed run leaves
//! nothing behind.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zstd::stream::raw::CParameter;

use super::row::Row;
use crate::paths;

/// Rows that are sorted in memory. Together with the pages of a row group, and with the runs that
/// are merged, this keeps a conversion below 256 MiB.
const RUN_BYTES: usize = 96 << 20;
/// Runs that are merged at once. Each takes about half a megabyte for zstd and its buffers.
const MOST_RUNS: usize = 64;
/// The window of a run's compression, as a power of two: it bounds the memory of the merge.
const WINDOW_LOG: u32 = 18;
const BUFFER_BYTES: usize = 64 << 10;
/// Different collections in a run; then the run ends, because their names are kept twice.
const MOST_COLLECTIONS: usize = 20_000;

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By collection, account, time and ordinal.
    Content,
    /// By ordinal.
    Ordinal,
}

/// Collects rows.
pub(super) struct Sorter {
    shape: Shape,
    directory: PathBuf,
    run_bytes: usize,
    rows: Vec<u8>,
    entries: Vec<Entry>,
    /// The collections of the rows, numbered in the order in which they came.
    collections: HashMap<Box<[u8]>, u32>,
    runs: Vec<Run>,
}

impl std::fmt::Debug for Sorter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sorter").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// What is needed to compare two rows.
#[derive(Clone, Copy, Debug)]
struct Shape {
    order: Order,
    fields: usize,
}

/// A row in memory. The first two members decide most comparisons without a look at the row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The first bytes of the account, or the ordinal.
    key: u128,
    /// The number of the collection.
    collection: u32,
    at: u32,
    length: u32,
}

impl Shape {
    fn cmp(self, a: &[u8], b: &[u8]) -> Ordering {
        let (a, b) = (Row::new(a, self.fields), Row::new(b, self.fields));
        match self.order {
            Order::Content => a.cmp_content(&b),
            Order::Ordinal => a.ordinal().cmp(&b.ordinal()),
        }
    }
}

impl Sorter {
    /// Returns a sorter of rows with this number of fields, whose temporary files are in
    /// `directory`.
    pub(super) fn new(order: Order, fields: usize, directory: &Path) -> Self {
        Self {
            shape: Shape { order, fields },
            directory: directory.to_owned(),
            run_bytes: RUN_BYTES,
            rows: Vec::new(),
            entries: Vec::new(),
            collections: HashMap::new(),
            runs: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn with_run_bytes(self, run_bytes: usize) -> Self {
        Self { run_bytes, ..self }
    }

    /// Adds the row that `push` appends.
    ///
    /// # Errors
    /// The error of the system, if a run can't be written.
    pub(super) fn add<E: From<io::Error>>(
        &mut self,
        push: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.rows.capacity() == 0 {
            // Reserved at once: a vector that grows would need twice the memory for a moment.
            self.rows.reserve_exact(self.run_bytes + self.run_bytes / 16);
        }
        let at = self.rows.len();
        if let Err(error) = push(&mut self.rows) {
            self.rows.truncate(at);
            return Err(error);
        }
        let row = Row::new(self.rows.get(at..).unwrap_or_default(), self.shape.fields);
        let length = (self.rows.len() - at) as u32;
        let (collection, key) = match self.shape.order {
            Order::Ordinal => (0, u128::from(row.ordinal())),
            Order::Content => {
                let (collection, did) = row.content_key();
                (number_of(&mut self.collections, collection), prefix(did))
            }
        };
        self.entries.push(Entry { key, collection, at: at as u32, length });
        let is_full = self.rows.len() >= self.run_bytes
            || self.entries.len() * size_of::<Entry>() >= self.run_bytes
            || self.collections.len() >= MOST_COLLECTIONS;
        if is_full { self.spill().map_err(E::from) } else { Ok(()) }
    }

    /// Ends the input. Returns the sorted rows.
    ///
    /// # Errors
    /// The error of the system, if a run can't be written or read.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        if self.runs.is_empty() {
            self.sort();
            let (rows, entries) = (self.rows, self.entries);
            return Ok(Sorted::InMemory { rows, entries, next: 0 });
        }
        self.spill()?;
        self.rows = Vec::new();
        self.entries = Vec::new();
        while self.runs.len() > MOST_RUNS {
            let merged = self.runs.drain(..MOST_RUNS).collect();
            let mut merge = Merge::new(self.shape, merged)?;
            let mut run = RunWriter::new(&self.directory)?;
            while let Some(row) = merge.next()? {
                run.write(row)?;
            }
            self.runs.push(run.finish()?);
        }
        Merge::new(self.shape, self.runs).map(Sorted::Merged)
    }

    fn sort(&mut self) {
        let mut names: Vec<(&[u8], u32)> =
            self.collections.iter().map(|(name, number)| (&**name, *number)).collect();
        names.sort_unstable();
        let mut ranks = vec![0; names.len()];
        for (rank, (_, number)) in names.into_iter().enumerate() {
            if let Some(slot) = ranks.get_mut(number as usize) {
                *slot = rank as u32;
            }
        }
        for entry in &mut self.entries {
            entry.collection = ranks.get(entry.collection as usize).copied().unwrap_or_default();
        }
        let (rows, shape) = (&self.rows, self.shape);
        self.entries.sort_unstable_by(|a, b| {
            let by_key = (a.collection, a.key).cmp(&(b.collection, b.key));
            by_key.then_with(|| shape.cmp(a.bytes(rows), b.bytes(rows)))
        });
        self.collections.clear();
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.sort();
        let mut run = RunWriter::new(&self.directory)?;
        for entry in &self.entries {
            run.write(entry.bytes(&self.rows))?;
        }
        self.entries.clear();
        self.rows.clear();
        self.runs.push(run.finish()?);
        Ok(())
    }
}

impl Entry {
    fn bytes<'a>(&self, rows: &'a [u8]) -> &'a [u8] {
        let at = self.at as usize;
        rows.get(at..at + self.length as usize).unwrap_or_default()
    }
}

fn number_of(collections: &mut HashMap<Box<[u8]>, u32>, name: &[u8]) -> u32 {
    if let Some(number) = collections.get(name) {
        return *number;
    }
    let number = collections.len() as u32;
    collections.insert(name.into(), number);
    number
}

/// Returns the first 16 bytes as a number that is ordered as they are.
fn prefix(text: &[u8]) -> u128 {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(text) {
        *to = *from;
    }
    u128::from_be_bytes(first)
}

/// Rows in their order.
pub(super) enum Sorted {
    InMemory { rows: Vec<u8>, entries: Vec<Entry>, next: usize },
    Merged(Merge),
}

impl std::fmt::Debug for Sorted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sorted").finish_non_exhaustive()
    }
}

impl Sorted {
    /// Returns the next row; `None` after the last.
    ///
    /// # Errors
    /// The error of the system, if a run can't be read.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        match self {
            Self::InMemory { rows, entries, next } => {
                let entry = entries.get(*next);
                *next += 1;
                Ok(entry.map(|entry| entry.bytes(rows)))
            }
            Self::Merged(merge) => merge.next(),
        }
    }
}

type Run = zstd::stream::read::Decoder<'static, BufReader<File>>;

struct RunWriter(zstd::stream::write::Encoder<'static, BufWriter<File>>);

impl RunWriter {
    fn new(directory: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, temporary_file(directory)?);
        let mut encoder = zstd::stream::write::Encoder::new(file, 1)?;
        encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        Ok(Self(encoder))
    }

    fn write(&mut self, row: &[u8]) -> io::Result<()> {
        self.0.write_all(&(row.len() as u32).to_le_bytes())?;
        self.0.write_all(row)
    }

    fn finish(self) -> io::Result<Run> {
        let mut file = self.0.finish()?.into_inner().map_err(|error| error.into_error())?;
        file.rewind()?;
        zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, file))
    }
}

/// Merges sorted runs.
pub(super) struct Merge {
    heads: BinaryHeap<Head>,
    runs: Vec<Run>,
    /// Whether the row at the top was returned already.
    is_used: bool,
}

/// The next row of a run.
struct Head {
    row: Vec<u8>,
    run: usize,
    shape: Shape,
}

impl Ord for Head {
    /// The reverse, because the heap has its largest item at the top.
    fn cmp(&self, other: &Self) -> Ordering {
        self.shape.cmp(&other.row, &self.row)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl Merge {
    fn new(shape: Shape, mut runs: Vec<Run>) -> io::Result<Self> {
        let mut heads = BinaryHeap::new();
        for (index, run) in runs.iter_mut().enumerate() {
            let mut row = Vec::new();
            if read_row(run, &mut row)? {
                heads.push(Head { row, run: index, shape });
            }
        }
        Ok(Self { heads, runs, is_used: false })
    }

    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.is_used
            && let Some(mut top) = self.heads.peek_mut()
        {
            let run = self.runs.get_mut(top.run);
            let has_row = run.map_or(Ok(false), |run| read_row(run, &mut top.row))?;
            if !has_row {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        self.is_used = true;
        Ok(self.heads.peek().map(|head| &*head.row))
    }
}

/// Reads the next row of a run; returns false at its end.
fn read_row(run: &mut Run, row: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    match run.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        result => result?,
    }
    row.resize(u32::from_le_bytes(length) as usize, 0);
    run.read_exact(row)?;
    Ok(true)
}

/// Returns a file that no name leads to.
fn temporary_file(directory: &Path) -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = COUNT.fetch_add(1, Relaxed);
        let name = format!(".skytail-sort-{}-{number}.tmp", std::process::id());
        let path = directory.join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        match paths::open_without_link(&mut options, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
}

#[cfg(test)]
#[path = "sort/tests.rs"]
mod tests;
