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

/// How far into bytes of another program the last write of this run is searched for.
const SEARCH_BYTES: u64 = 16 << 20;

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
        if found < expected {
            let is_last = self.holds(found.saturating_sub(length), written).map_err(failed)?;
            self.stray_bytes = if is_last { length } else { 0 };
            return Err(self.disturbed("was cut"));
        }
        // Nothing after foreign bytes in a compressed file can be read.
        let place = match self.is_plain {
            true => self.place_of(written, expected - length, found).map_err(failed)?,
            false => None,
        };
        let Some(place) = place else { return Err(self.disturbed("was written to")) };
        self.foreign_bytes += found - expected;
        self.end_foreign_lines(written, place, found).map_err(|cause| self.failed(cause))
    }

    /// Returns where the last write of this run is between two offsets, with bytes of another
    /// program before it, after it, or on both sides. `None` if it is not there as a whole, or if
    /// the other program wrote more than [`SEARCH_BYTES`] on both sides.
    fn place_of(&self, written: &[u8], from: u64, to: u64) -> io::Result<Option<u64>> {
        let last = to - written.len() as u64;
        for place in [last, from] {
            if self.holds(place, written)? {
                return Ok(Some(place));
            }
        }
        let region = self.read(from, (to - from).min(SEARCH_BYTES + written.len() as u64))?;
        Ok(memchr::memmem::find(&region, written).map(|at| from + at as u64))
    }

    /// Gives foreign bytes that do not end in a line feed one, so that each event has its own line.
    /// `place` is where `written` is in the file of `found` bytes.
    fn end_foreign_lines(&mut self, written: &[u8], place: u64, found: u64) -> io::Result<()> {
        let joins_first = place > 0 && !self.holds(place - 1, b"\n")?;
        let is_last = place + written.len() as u64 == found;
        let line_feed: &[u8] = if self.holds(found - 1, b"\n")? { b"" } else { b"\n" };
        let again = match (joins_first, is_last) {
            (false, true) => return Ok(()),
            (false, false) => line_feed.to_vec(),
            (true, true) => {
                self.file.set_len(place)?;
                self.foreign_bytes += 1;
                return platform::append(&self.file, &[b"\n", written].concat());
            }
            // The bytes after it must stay, so its first event gets a line of its own at the end.
            (true, false) => {
                let first = written.split_inclusive(|byte| *byte == b'\n').next();
                [line_feed, first.unwrap_or_default()].concat()
            }
        };
        self.foreign_bytes += again.len() as u64;
        platform::append(&self.file, &again)
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
            // The run ends soon, but may write again before.
            if self.is_plain && !self.holds(found - 1, b"\n").map_err(|cause| self.failed(cause))? {
                platform::append(&self.file, b"\n").map_err(|cause| self.failed(cause))?;
                self.foreign_bytes += 1;
            }
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Appends `parts` in this order, of which the second is the write of this run.
    fn between(parts: [&str; 3]) -> (Result<(), SinkError>, Current, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a");
        let mut file = File::options().read(true).append(true).create(true).open(&path).unwrap();
        file.write_all(b"{0}\n").unwrap();
        let tail = FileTail::new(b"{0}\n".into());
        let mut current = Current::new(path.clone(), file.try_clone().unwrap(), 4, tail);
        file.write_all(parts.concat().as_bytes()).unwrap();
        current.length_bytes += parts[1].len() as u64;
        current.tail.push(parts[1].as_bytes());
        let noticed = current.notice_others(parts[1].as_bytes());
        (noticed, current, home)
    }

    #[test]
    fn a_write_is_found_between_foreign_bytes_and_each_event_gets_its_own_line() {
        for (parts, text) in [
            (["", "{1}\n", ""], "{0}\n{1}\n"),
            (["a\n", "{1}\n{2}\n", ""], "{0}\na\n{1}\n{2}\n"),
            (["", "{1}\n", "b"], "{0}\n{1}\nb\n"),
            (["a", "{1}\n{2}\n", ""], "{0}\na\n{1}\n{2}\n"),
            (["a\n", "{1}\n{2}\n", "b\n"], "{0}\na\n{1}\n{2}\nb\n"),
            (["a\n", "{1}\n", "b"], "{0}\na\n{1}\nb\n"),
            // The foreign bytes on both sides stay, so the first event is repeated after them.
            (["a", "{1}\n{2}\n", "b"], "{0}\na{1}\n{2}\nb\n{1}\n"),
            (["a", "{1}\n{2}\n", "b\n"], "{0}\na{1}\n{2}\nb\n{1}\n"),
        ] {
            let (noticed, current, _home) = between(parts);
            noticed.unwrap();
            assert_eq!(fs::read_to_string(&current.path).unwrap(), text, "{parts:?}");
            assert_eq!(current.length_bytes + current.foreign_bytes, text.len() as u64);
        }
    }

    #[test]
    fn a_check_ends_a_foreign_line() {
        let (noticed, mut current, _home) = between(["", "{1}\n", ""]);
        noticed.unwrap();
        fs::write(&current.path, "{0}\n{1}\na").unwrap();
        current.check().unwrap();
        assert_eq!(fs::read_to_string(&current.path).unwrap(), "{0}\n{1}\na\n");
        current.write(b"{2}\n").unwrap();
        assert_eq!(fs::read_to_string(&current.path).unwrap(), "{0}\n{1}\na\n{2}\n");
    }

    #[test]
    fn a_write_that_is_not_there_as_a_whole_is_an_error() {
        let (noticed, mut current, _home) = between(["a", "{1}\n", "b"]);
        noticed.unwrap();
        current.foreign_bytes -= 1;
        assert!(current.notice_others(b"{3}\n").is_err());
    }
}
