//! Scrubs a list of recordings.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::decide::{Decider, Rules};
use super::entry::{ELSEWHERE, MOST_FILES, Place};
use super::input::{Input, Stamp};
use super::replace::{Ownership, ReplaceError, replace};
use super::report::{FileReport, Outcome, Report};
use super::scan::{ScanError, Scanned, Scanner};
use super::sorter::{Sorted, Sorter};
use crate::checkpoint::store::{Store, StoreError};
use crate::event::format::EventFormat;
use crate::platform;
use crate::sink::sqlite::export;

/// Memory for the entries that are sorted at a time, in bytes.
pub const SORT_BYTES: usize = 64 << 20;
/// By how much less memory places need.
const PLACES_PART: usize = 4;

/// What to scrub, and how.
#[derive(Clone, Debug)]
pub struct ScrubSettings {
    /// The recordings, in their order.
    pub files: Vec<PathBuf>,
    /// The state file, if it exists.
    pub state: Option<PathBuf>,
    /// What to remove.
    pub rules: Rules,
    /// Whether to change nothing.
    pub is_dry_run: bool,
    /// The directory for temporary files; `None` for that of the first recording.
    pub temporary: Option<PathBuf>,
    /// Memory for entries that are sorted at a time, in bytes: [`SORT_BYTES`].
    pub sort_bytes: usize,
    /// This machine's clock in Unix microseconds.
    pub now_us: u64,
}

/// Why nothing can be scrubbed.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// Too many files.
    #[error(
        "more than {MOST_FILES} recordings: scrub them in parts, each with --markers-from for the others"
    )]
    TooManyFiles,
    /// The state file can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A recording of `--markers-from` can't be read.
    #[error("--markers-from {}: {what}", path.display())]
    Markers {
        /// The recording.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A temporary file can't be written or read.
    #[error("can't sort in {}: {cause}; name a directory with more room with --temp DIR (40 bytes for each event)", path.display())]
    Temporary {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
}

/// How far a scrub is; another thread may read it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes that the current step reads.
    pub total: AtomicU64,
    /// Bytes that it has read.
    pub done: Arc<AtomicU64>,
    /// The number of the step, from 0: reading, sorting, rewriting.
    pub step: AtomicU64,
}

/// A scrub: first it reads, then it decides and rewrites.
#[derive(Debug)]
pub struct Scrub {
    settings: ScrubSettings,
    temporary: PathBuf,
    store: Option<Store>,
    scanner: Scanner,
    files: Vec<ScannedFile>,
    markers: u64,
    format: EventFormat,
    progress: Arc<Progress>,
}

/// A recording that was read, or that can't be.
#[derive(Debug)]
struct ScannedFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    scanned: Scanned,
    /// Whether a program writes it.
    is_written: bool,
    /// Why it can't be scrubbed.
    problem: Option<String>,
}

impl Scrub {
    /// Prepares a scrub.
    ///
    /// # Errors
    /// [`ScrubError`].
    pub fn new(settings: ScrubSettings, progress: Arc<Progress>) -> Result<Self, ScrubError> {
        if settings.files.len() > MOST_FILES {
            return Err(ScrubError::TooManyFiles);
        }
        let mut store = match &settings.state {
            Some(path) if !settings.is_dry_run => Some(Store::open(path)?),
            _ => None,
        };
        if let Some(store) = &mut store {
            store.settle_rewrites()?;
        }
        let temporary = temporary_directory(&settings);
        let entries = Sorter::new(settings.sort_bytes, &temporary);
        let scanner = Scanner::new(entries, settings.now_us);
        let (files, format) = (Vec::new(), EventFormat::V1);
        Ok(Self { settings, temporary, store, scanner, files, markers: 0, format, progress })
    }

    /// Reads all recordings. A recording that can't be read is noted in the report.
    ///
    /// # Errors
    /// [`ScrubError::Temporary`].
    pub fn read(&mut self) -> Result<(), ScrubError> {
        let files = self.settings.files.clone();
        let bytes = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        self.progress.total.store(files.iter().map(bytes).sum(), Ordering::Relaxed);
        let mut known = HashSet::new();
        for path in files {
            let mut file = ScannedFile {
                path,
                stamp: None,
                scanned: Scanned::default(),
                is_written: false,
                problem: None,
            };
            let is_in_use = match self.claim(&file.path) {
                Ok(is_in_use) => is_in_use,
                Err(error) => {
                    file.problem = Some(error.to_string());
                    self.files.push(file);
                    continue;
                }
            };
            match Input::open(&file.path) {
                Ok(input) if !known.insert(input.stamp.id) => {
                    tracing::warn!("{} is named twice", file.path.display());
                    continue;
                }
                Ok(input) => self.scan(&mut file, &input, is_in_use)?,
                Err(error) => file.problem = Some(error.to_string()),
            }
            self.files.push(file);
        }
        Ok(())
    }

    /// Prepares a file that a consumer owns. Returns whether a run writes it.
    fn claim(&mut self, path: &Path) -> Result<bool, ReplaceError> {
        let Some(store) = &mut self.store else { return Ok(false) };
        // A file that is not there, or a link, is refused when it is opened.
        let Ok(path) = fs::canonicalize(path) else { return Ok(false) };
        match Ownership::take_open(store, &path) {
            Ok(_) => Ok(false),
            Err(ReplaceError::InUse(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn scan(
        &mut self,
        file: &mut ScannedFile,
        input: &Input,
        is_in_use: bool,
    ) -> Result<(), ScrubError> {
        let number = u32::try_from(self.files.len()).unwrap_or(ELSEWHERE);
        file.stamp = Some(input.stamp);
        let lines = match input.lines(&self.progress.done, &self.temporary) {
            Ok(lines) => lines,
            Err(error) => {
                file.problem = Some(unreadable(&error));
                return Ok(());
            }
        };
        let (scanned, outcome) = self.scanner.scan(lines, number);
        file.scanned = scanned;
        let is_written = is_in_use || input.file.try_lock().is_err();
        let _ = input.file.unlock();
        file.is_written = is_written;
        if is_written && scanned.is_torn {
            // Its writer is in the middle of a line.
            file.scanned.malformed = None;
        }
        match outcome {
            Ok(()) => {}
            // The same with the last frame.
            Err(ScanError::Input(_)) if is_written => {}
            Err(ScanError::Input(error)) => file.problem = Some(unreadable(&error)),
            Err(ScanError::Temporary(cause)) => return Err(self.temporary(cause)),
        }
        Ok(())
    }

    /// Reads a recording, or a database of `--to sqlite:FILE`, for its deletes only.
    ///
    /// # Errors
    /// [`ScrubError`].
    pub fn read_markers(&mut self, path: &Path) -> Result<(), ScrubError> {
        let failed = |what: String| ScrubError::Markers { path: path.to_owned(), what };
        let database = export::open_markers(path).map_err(|error| failed(error.to_string()))?;
        let lines: Box<dyn BufRead> = match database {
            Some(lines) => Box::new(BufReader::new(lines)),
            None => {
                let input = Input::open(path).map_err(|error| failed(error.to_string()))?;
                let lines = input.lines(&self.progress.done, &self.temporary);
                lines.map_err(|error| failed(unreadable(&error)))?
            }
        };
        let (scanned, outcome) = self.scanner.scan(lines, ELSEWHERE);
        self.markers += scanned.events;
        match outcome {
            Err(ScanError::Input(error)) => Err(failed(unreadable(&error))),
            Err(ScanError::Temporary(cause)) => Err(self.temporary(cause)),
            Ok(()) => match scanned.malformed {
                None => Ok(()),
                Some((_, line)) => Err(failed(format!("line {line} is not an event"))),
            },
        }
    }

    /// Reads an event for its deletes only. Ignores a line that is not an event.
    ///
    /// # Errors
    /// [`ScrubError::Temporary`].
    pub fn add_marker(&mut self, line: &[u8]) -> Result<(), ScrubError> {
        let added = self.scanner.add(line, &mut self.format, ELSEWHERE, self.markers);
        self.markers += u64::from(added.map_err(|cause| self.temporary(cause))?);
        Ok(())
    }

    /// Decides about all events, and rewrites the files that have something to remove.
    ///
    /// # Errors
    /// [`ScrubError::Temporary`].
    pub fn finish(mut self) -> Result<Report, ScrubError> {
        let failed = |cause| ScrubError::Temporary { path: self.temporary.clone(), cause };
        self.progress.step.store(1, Ordering::Relaxed);
        let mut decider = Decider::new(self.settings.rules);
        let mut places = Sorter::new(self.settings.sort_bytes / PLACES_PART, &self.temporary);
        for entry in self.scanner.into_entries().finish().map_err(failed)? {
            if let Some((place, _)) = decider.decide(entry.map_err(failed)?) {
                places.push([place.0]).map_err(failed)?;
            }
        }
        let mut places = places.finish().map_err(failed)?.peekable();
        let bytes: u64 = self.files.iter().filter_map(|file| Some(file.stamp?.bytes)).sum();
        self.progress.done.store(0, Ordering::Relaxed);
        self.progress.total.store(bytes, Ordering::Relaxed);
        self.progress.step.store(2, Ordering::Relaxed);
        let mut files = Vec::with_capacity(self.files.len());
        for (number, file) in (0..).zip(&self.files) {
            let mut removed = PlacesOf { places: &mut places, file: number, count: 0 };
            let store = self.store.as_mut();
            let report = file.rewrite(store, &self.settings, &self.progress, &mut removed);
            files.push(report);
        }
        Ok(Report { files, found: decider.removed, markers: self.markers })
    }

    fn temporary(&self, cause: io::Error) -> ScrubError {
        ScrubError::Temporary { path: self.temporary.clone(), cause }
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("it can't be read to its end: {error}")
}

/// Returns the directory for temporary files: that of the first recording, which has room for a
/// copy of it, or that of the system if it is not writable.
fn temporary_directory(settings: &ScrubSettings) -> PathBuf {
    if let Some(chosen) = &settings.temporary {
        return chosen.clone();
    }
    let first = settings.files.first().and_then(|path| path.parent());
    let first = first.filter(|directory| !directory.as_os_str().is_empty());
    let first = first.unwrap_or(Path::new("."));
    match platform::check_writable_directory(first) {
        Ok(()) => first.to_owned(),
        Err(_) => std::env::temp_dir(),
    }
}

impl ScannedFile {
    fn rewrite(
        &self,
        store: Option<&mut Store>,
        settings: &ScrubSettings,
        progress: &Progress,
        removed: &mut PlacesOf<'_>,
    ) -> FileReport {
        let bytes = self.stamp.map_or(0, |stamp| stamp.bytes);
        let has_hits = removed.has_next();
        let mut bytes_after = bytes;
        let outcome = match (&self.problem, self.stamp) {
            (Some(problem), _) => Outcome::Left(problem.clone()),
            _ if !has_hits => Outcome::Clean,
            _ if settings.is_dry_run => Outcome::Scrubbed,
            (None, None) => Outcome::Clean,
            (None, Some(stamp)) => {
                match replace(&self.path, stamp, store, &progress.done, removed) {
                    Ok((_, bytes)) => {
                        bytes_after = bytes;
                        Outcome::Scrubbed
                    }
                    Err(error) => Outcome::Left(error.to_string()),
                }
            }
        };
        if outcome == Outcome::Clean {
            progress.total.fetch_sub(bytes, Ordering::Relaxed);
        }
        FileReport {
            path: self.path.clone(),
            outcome,
            events: self.scanned.events,
            removed: removed.count_all(),
            bytes_before: bytes,
            bytes_after,
            malformed: self.scanned.malformed,
            is_written: self.is_written,
        }
    }
}

/// The lines to remove from one file, out of the places in all files.
struct PlacesOf<'a> {
    places: &'a mut Peekable<Sorted<1>>,
    file: u32,
    /// How many were returned.
    count: u64,
}

impl PlacesOf<'_> {
    fn has_next(&mut self) -> bool {
        match self.places.peek() {
            Some(Ok([place])) => Place(*place).file() == self.file,
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// Skips those that are left, and returns their number with those that were returned.
    fn count_all(&mut self) -> u64 {
        while let Some(Ok(_)) = self.next() {}
        self.count
    }
}

impl Iterator for PlacesOf<'_> {
    type Item = io::Result<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.has_next() {
            return None;
        }
        self.count += 1;
        self.places.next().map(|place| place.map(|[place]| Place(place).line()))
    }
}
