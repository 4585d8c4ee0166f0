//! The file that is being written, and the detection of other programs that change it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use crate::platform;
use crate::position::TimeUs;
use crate::sink::SinkError;
use crate::sink::file::naming::Naming;
use crate::sink::output_record::{FileTail, OutputRecord, OutputState, TAIL_BYTES};

#[derive(Debug)]
pub(super) struct Current {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    /// Its length, without what other programs wrote since it was opened.
    pub(super) length_bytes: u64,
    /// The length at the last checkpoint, or when it was opened.
    pub(super) checkpoint_bytes: u64,
    /// The tail hash at that length.
    pub(super) checkpoint_hash: u64,
    /// Number of bytes that other programs wrote between or after the writes of this run.
    pub(super) foreign_bytes: u64,
    /// Number of bytes that this run wrote at its end after another program had truncated it.
    pub(super) stray_bytes: u64,
    /// Whether it holds the lines themselves, so that another program may append lines between.
    pub(super) is_plain: bool,
    pub(super) tail: FileTail,
    pub(super) period_start: Option<TimeUs>,
    pub(super) number: u32,
    /// Whether it was empty, and no line was written to it yet.
    pub(super) is_fresh: bool,
}

impl Current {
    /// Returns an open file of `length_bytes` bytes that ends in `tail`.
    pub(super) fn new(path: PathBuf, file: File, length_bytes: u64, tail: FileTail) -> Self {
        Self {
            file: Arc::new(file),
            path,
            length_bytes,
            checkpoint_bytes: length_bytes,
            checkpoint_hash: tail.hash(),
            foreign_bytes: 0,
            stray_bytes: 0,
            is_plain: true,
            tail,
            period_start: None,
            number: 0,
            is_fresh: length_bytes == 0,
        }
    }

    /// Appends bytes, and checks that they follow what this run wrote before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if bytes.is_empty() {
            return Ok(());
        }
        platform::append(&self.file, bytes).map_err(|cause| self.failed(cause))?;
        self.length_bytes += bytes.len() as u64;
        self.tail.push(bytes);
        self.notice_others(bytes)
    }

    /// Counts bytes that another program wrote before or after `written`. The check costs less than
    /// a microsecond per write and proves that each write of this run is in the file as a whole: a
    /// checkpoint may then cover it, and no later run writes it a second time.
    fn notice_others(&mut self, written: &[u8]) -> Result<(), SinkError> {
        let failed = |cause| SinkError::File { path: self.path.clone(), cause };
        let found = self.file.metadata().map_err(failed)?.len();
        let expected = self.length_bytes + self.foreign_bytes;
        if found == expected {
            return Ok(());
        }
        let length = written.len() as u64;
        let is_there = |at| self.holds(at, written).map_err(failed);
        if found < expected {
            self.stray_bytes = if is_there(found.saturating_sub(length))? { length } else { 0 };
            return Err(self.disturbed("was cut"));
        }
        // Nothing after foreign bytes in a compressed file can be read.
        let is_before = self.is_plain && is_there(found - length)?;
        if !is_before && (!self.is_plain || !is_there(expected - length)?) {
            return Err(self.disturbed("was written to"));
        }
        let foreign_end = if is_before { found - length } else { found };
        let ends_line = self.holds(foreign_end.saturating_sub(1), b"\n").map_err(failed)?;
        self.foreign_bytes += found - expected;
        if !ends_line {
            self.end_foreign_line(foreign_end, if is_before { written } else { b"" })?;
        }
        Ok(())
    }

    /// Ends a foreign line without a line feed, so that the event after it has its own line. If the
    /// event is in the file already, it is `following`, and is written again after the line feed.
    fn end_foreign_line(&mut self, foreign_end: u64, following: &[u8]) -> Result<(), SinkError> {
        let failed = |cause| SinkError::File { path: self.path.clone(), cause };
        if !following.is_empty() {
            self.file.set_len(foreign_end).map_err(failed)?;
        }
        platform::append(&self.file, &[b"\n", following].concat()).map_err(failed)?;
        self.foreign_bytes += 1;
        Ok(())
    }

    /// Returns whether the file has these bytes at an offset.
    fn holds(&self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        self.read(at, bytes.len() as u64).map(|found| found == bytes)
    }

    fn read(&self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut file = &*self.file;
        // `platform::append` writes at the end, so this does not move writes.
        file.seek(SeekFrom::Start(at))?;
        let mut found = Vec::new();
        file.take(length).read_to_end(&mut found)?;
        Ok(found)
    }

    /// Returns the tail hash at an offset.
    fn hash_before(&self, at: u64) -> io::Result<u64> {
        let from = at.saturating_sub(TAIL_BYTES as u64);
        self.read(from, at - from).map(|bytes| FileTail::new(bytes).hash())
    }

    /// Records that the last checkpoint covers everything that was written.
    pub(super) fn mark_checkpoint(&mut self) {
        self.checkpoint_bytes = self.length_bytes;
        self.checkpoint_hash = self.tail.hash();
    }

    pub(super) fn failed(&self, cause: io::Error) -> SinkError {
        SinkError::File { path: self.path.clone(), cause }
    }

    fn disturbed(&self, what: &'static str) -> SinkError {
        SinkError::ChangedByOthers { path: self.path.clone(), what }
    }

    pub(super) fn record(&self, naming: &Naming, state: OutputState) -> OutputRecord {
        OutputRecord {
            path: self.path.clone(),
            pattern: naming.pattern(),
            rotation: naming.rotate.map(|rotate| rotate.word().to_owned()),
            state,
            length_bytes: self.length_bytes,
            tail_hash: self.tail.hash(),
            period_start: self.period_start,
            number: self.number,
        }
    }

    /// Checks that the file is still at its path and holds all bytes of this run. A position that
    /// relied on a file that was moved or truncated would lose events.
    pub(super) fn check(&mut self) -> Result<(), SinkError> {
        let ours = self.file.metadata().map_err(|cause| self.failed(cause))?;
        match fs::metadata(&self.path) {
            Ok(there) if platform::file_id(&ours) == platform::file_id(&there) => {}
            Ok(_) => return Err(self.disturbed("was replaced")),
            Err(_) => return Err(self.disturbed("was moved or removed")),
        }
        let (found, expected) = (ours.len(), self.length_bytes + self.foreign_bytes);
        if found < expected {
            return Err(self.disturbed("was cut"));
        }
        if found > expected {
            let is_ours = self.foreign_bytes > 0
                || self.hash_before(expected).map_err(|cause| self.failed(cause))?
                    == self.tail.hash();
            if !is_ours {
                return Err(self.disturbed("was written to"));
            }
            self.foreign_bytes += found - expected;
        }
        Ok(())
    }

    /// Truncates the file to the last checkpoint.
    pub(super) fn truncate_to_checkpoint(&mut self) -> io::Result<()> {
        if self.foreign_bytes > 0 {
            return self.truncate_own_bytes();
        }
        shorten(&self.file, self.checkpoint_bytes)?;
        self.length_bytes = self.checkpoint_bytes;
        Ok(())
    }

    /// Removes what this run certainly wrote since the last checkpoint, from a file that another
    /// program moved, truncated or wrote to.
    pub(super) fn truncate_own_bytes(&mut self) -> io::Result<()> {
        let unsaved_bytes = self.length_bytes - self.checkpoint_bytes;
        let found = self.file.metadata()?.len();
        if unsaved_bytes == 0 || self.foreign_bytes > 0 || found > self.length_bytes {
            return Ok(());
        }
        let is_sound = found >= self.checkpoint_bytes
            && self.hash_before(self.checkpoint_bytes)? == self.checkpoint_hash;
        let to_bytes = match is_sound {
            true => self.checkpoint_bytes,
            false => found - self.stray_bytes.min(found),
        };
        shorten(&self.file, to_bytes)?;
        self.length_bytes = self.checkpoint_bytes;
        Ok(())
    }
}

/// Truncates a file; fails if it is too short already, and never extends it.
pub(super) fn shorten(file: &File, to_bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() < to_bytes {
        return Err(io::Error::other("another program has shortened it"));
    }
    file.set_len(to_bytes)?;
    file.sync_data()
}
