//! Files that end exactly where a checkpoint says. Lines are appended; a checkpoint ends the
//! compressed frame and notes the length; whatever goes wrong in between is cut off again.
//!
//! Syncing is left to whoever commits the checkpoint, away from the thread that writes. Only
//! a file that is finished is synced here, so that a run with many short files keeps one open
//! file and not thousands.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claim::{self, Claimed};
use super::frames::Frames;
use super::naming::Naming;
use super::record::{OutputRecord, OutputState, Tail};
use super::rotation::Rotate;
use super::{Announce, Output, Refusal};
use crate::event::batch::Lines;
use crate::position::TimeUs;
use crate::position::turns::Turn;

/// A file, or one after the other.
#[derive(Debug)]
pub struct FileSink {
    naming: Naming,
    append: bool,
    /// The files of earlier runs. Those of this one are not missed: time never leads back into
    /// a period, and a number that was used is not free.
    known: HashMap<PathBuf, OutputRecord>,
    current: Option<Current>,
    /// The files that ended since the last checkpoint, oldest first.
    finished: Vec<Finished>,
    frames: Option<Frames>,
    /// What is packed and not yet written.
    packed: Vec<u8>,
    latest: TimeUs,
    files: u64,
    /// What stands at the head of every file.
    header: Vec<u8>,
}

#[derive(Debug)]
struct Current {
    file: Arc<File>,
    path: PathBuf,
    length_bytes: u64,
    /// The length at the last checkpoint, or when it was opened.
    settled_bytes: u64,
    tail: Tail,
    period_start: Option<TimeUs>,
    number: u32,
    /// Whether nothing was given to it yet.
    is_fresh: bool,
}

#[derive(Debug)]
struct Finished {
    record: OutputRecord,
    settled_bytes: u64,
}

impl FileSink {
    /// A sink that goes on with `current`, or begins with the first event. `known` are the
    /// records of the other files.
    ///
    /// # Errors
    /// Where there is no memory to compress with.
    pub fn new(
        naming: Naming,
        append: bool,
        known: Vec<OutputRecord>,
        current: Option<(OutputRecord, File, Tail)>,
    ) -> io::Result<Self> {
        let frames = naming.is_compressed().then(Frames::new).transpose()?;
        let current = current.map(|(record, file, tail)| Current {
            file: Arc::new(file),
            path: record.path,
            length_bytes: record.length_bytes,
            settled_bytes: record.length_bytes,
            tail,
            period_start: record.period_start,
            number: record.number,
            is_fresh: record.length_bytes == 0,
        });
        Ok(Self {
            naming,
            append,
            known: known.into_iter().map(|record| (record.path.clone(), record)).collect(),
            files: u64::from(current.is_some()),
            current,
            finished: Vec::new(),
            frames,
            packed: Vec::new(),
            latest: TimeUs(0),
            header: Vec::new(),
        })
    }

    /// The same with a head in front of the first line of each file that holds nothing yet.
    #[must_use]
    pub fn with_header(self, header: Vec<u8>) -> Self {
        Self { header, ..self }
    }

    /// The file that was written last, and how many there were.
    #[must_use]
    pub fn written(&self) -> Option<(&Path, u64)> {
        self.current.as_ref().map(|current| (&*current.path, self.files))
    }

    /// Appends all lines of `lines`, each to the file that it belongs to.
    pub(super) fn write(
        &mut self,
        lines: &Lines,
        turns: &[Turn],
        announce: &mut Announce<'_>,
    ) -> Result<(), Refusal> {
        match self.naming.rotate {
            None => self.append(lines.bytes())?,
            Some(Rotate::Size(bytes)) => self.write_by_size(lines, turns, bytes, announce)?,
            Some(rotate) => self.write_by_period(lines, turns, rotate, announce)?,
        }
        self.latest = turns.last().map_or(self.latest, |turn| turn.time);
        self.write_packed()
    }

    fn write_by_period(
        &mut self,
        lines: &Lines,
        turns: &[Turn],
        rotate: Rotate,
        announce: &mut Announce<'_>,
    ) -> Result<(), Refusal> {
        let mut from = 0;
        for turn in turns {
            let period = rotate.start_of(turn.time);
            if self.current.as_ref().is_some_and(|c| c.period_start == Some(period)) {
                continue;
            }
            let to = start_of_line(lines, turn.line);
            self.append(lines.bytes().get(from..to).unwrap_or_default())?;
            from = to;
            self.begin(turn.time, announce)?;
        }
        self.append(lines.bytes().get(from..).unwrap_or_default())
    }

    fn write_by_size(
        &mut self,
        lines: &Lines,
        turns: &[Turn],
        bytes: u64,
        announce: &mut Announce<'_>,
    ) -> Result<(), Refusal> {
        let mut line = 0;
        while line < lines.len() {
            // Again where a file of others, taken with --append, is large enough already.
            while self.current.as_ref().is_none_or(|c| c.length_bytes >= bytes) {
                let before = turns.iter().take_while(|turn| turn.line <= line).last();
                self.begin(before.map_or(self.latest, |turn| turn.time), announce)?;
            }
            let has_bytes = self.current.as_ref().map_or(0, |c| c.length_bytes);
            let has_bytes = has_bytes + self.head_bytes() as u64;
            let (from, next) = (start_of_line(lines, line), line + 1);
            let next = match self.frames {
                // How much a line adds is only known when it was packed.
                Some(_) => next,
                None => line_that_reaches(lines, line, bytes.saturating_sub(has_bytes)),
            };
            self.append(lines.bytes().get(from..start_of_line(lines, next)).unwrap_or_default())?;
            if !self.packed.is_empty() {
                self.write_packed()?;
            }
            line = next;
        }
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), Refusal> {
        if self.head_bytes() > 0 && !lines.is_empty() {
            if let Some(current) = &mut self.current {
                current.is_fresh = false;
            }
            self.append_part(&self.header.clone())?;
        }
        self.append_part(lines)
    }

    /// The bytes of the head that comes before the next line.
    fn head_bytes(&self) -> usize {
        match &self.current {
            Some(current) if current.is_fresh => self.header.len(),
            _ => 0,
        }
    }

    fn append_part(&mut self, lines: &[u8]) -> Result<(), Refusal> {
        let Some(current) = &mut self.current else {
            return match lines {
                [] => Ok(()),
                _ => Err(Refusal::Failed(io::Error::other("no file was begun"))),
            };
        };
        match &mut self.frames {
            None => current.write(lines),
            Some(frames) => {
                let packed = frames.pack(lines, &mut self.packed);
                packed.map_err(|cause| current.failed(cause))
            }
        }
    }

    fn write_packed(&mut self) -> Result<(), Refusal> {
        if let Some(current) = &mut self.current {
            current.write(&self.packed)?;
            self.packed.clear();
        }
        Ok(())
    }

    /// Ends the frame, and checks that the file is what we think it is.
    fn end_part(&mut self) -> Result<(), Refusal> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Some(frames) = &mut self.frames {
            frames.end(&mut self.packed).map_err(|cause| current.failed(cause))?;
        }
        self.write_packed()?;
        match &self.current {
            Some(current) if current.length_bytes != current.settled_bytes => current.check(),
            _ => Ok(()),
        }
    }

    /// Ends the file that is written, and begins the one for an event at `time`.
    fn begin(&mut self, time: TimeUs, announce: &mut Announce<'_>) -> Result<(), Refusal> {
        self.finish_current()?;
        let period_start = self.naming.rotate.map(|rotate| rotate.start_of(time));
        let name_time = period_start.unwrap_or(time);
        // --append is for a file of others, and not for one of ours that is full.
        let is_ours = self.known.contains_key(&self.naming.path(name_time, 0));
        let takes_first = self.append && self.files == 0 && !is_ours;
        let number = match self.naming.rotate {
            Some(Rotate::Size(_)) if !takes_first => self.free_number(name_time),
            _ => 0,
        };
        let path = self.naming.path(name_time, number);
        let known = self.known.get(&path);
        let claimed = claim::claim(&path, known, self.append, self.naming.is_compressed());
        let Claimed { file, length_bytes, tail, .. } = claimed.map_err(Refusal::Next)?;
        let current = Current {
            file: Arc::new(file),
            path,
            length_bytes,
            settled_bytes: length_bytes,
            tail,
            period_start,
            number,
            is_fresh: length_bytes == 0,
        };
        let record = current.record(&self.naming, OutputState::Open);
        claim::sync_directory(&current.path).map_err(|cause| current.failed(cause))?;
        announce(&record)
            .map_err(|cause| Refusal::Unannounced { path: current.path.clone(), cause })?;
        self.current = Some(current);
        self.files += 1;
        Ok(())
    }

    /// The first number whose name is free. Those of the files before need not be tried: with
    /// names that the time does not change there may be very many.
    fn free_number(&self, time: TimeUs) -> u32 {
        let last = self.finished.last().map(|finished| &finished.record);
        let before = last.filter(|last| self.naming.path(time, last.number) == last.path);
        let mut number = before.map_or(0, |last| last.number);
        while number < u32::MAX && !claim::is_free(&self.naming.path(time, number)) {
            number += 1;
        }
        number
    }

    fn finish_current(&mut self) -> Result<(), Refusal> {
        self.end_part()?;
        let Some(current) = self.current.take() else { return Ok(()) };
        let record = current.record(&self.naming, OutputState::Done);
        self.finished.push(Finished { record, settled_bytes: current.settled_bytes });
        current.file.sync_data().map_err(|cause| current.failed(cause))
    }

    /// The files that changed since the last call, as a checkpoint may name them.
    pub(super) fn settle(&mut self) -> Result<Vec<Output>, Refusal> {
        self.end_part()?;
        let finished = self.finished.drain(..);
        let mut outputs: Vec<Output> =
            finished.map(|finished| Output { file: None, record: finished.record }).collect();
        if let Some(current) = &mut self.current
            && (current.length_bytes != current.settled_bytes || !outputs.is_empty())
        {
            current.settled_bytes = current.length_bytes;
            outputs.push(Output {
                file: Some(Arc::clone(&current.file)),
                record: current.record(&self.naming, OutputState::Open),
            });
        }
        Ok(outputs)
    }

    /// Cuts everything off that was written since the last checkpoint. Where it fails, the
    /// next run does it.
    ///
    /// # Errors
    /// As the system reports; what is cut off already stays so.
    pub fn cut_back(&mut self) -> io::Result<()> {
        self.packed.clear();
        for finished in self.finished.drain(..) {
            let file = OpenOptions::new().write(true).open(&finished.record.path)?;
            shorten(&file, finished.settled_bytes)?;
        }
        if let Some(current) = &mut self.current {
            shorten(&current.file, current.settled_bytes)?;
            current.length_bytes = current.settled_bytes;
        }
        Ok(())
    }

    /// Brings the file to the disk, for a run whose checkpoints nobody saves.
    ///
    /// # Errors
    /// [`Refusal::File`].
    pub fn sync(&self) -> Result<(), Refusal> {
        let Some(current) = &self.current else { return Ok(()) };
        current.file.sync_data().map_err(|cause| current.failed(cause))
    }
}

impl Current {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut file = &*self.file;
        file.write_all(bytes).map_err(|cause| self.failed(cause))?;
        self.length_bytes += bytes.len() as u64;
        self.tail.push(bytes);
        Ok(())
    }

    fn failed(&self, cause: io::Error) -> Refusal {
        Refusal::File { path: self.path.clone(), cause }
    }

    fn record(&self, naming: &Naming, state: OutputState) -> OutputRecord {
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

    /// Whether the file is still where it was, and as long as we made it: a position that
    /// relied on a file that was moved away or cut would lose events.
    fn check(&self) -> Result<(), Refusal> {
        let disturbed = |what| Err(Refusal::Disturbed { path: self.path.clone(), what });
        let ours = self.file.metadata().map_err(|cause| self.failed(cause))?;
        match fs::metadata(&self.path) {
            Ok(there) if is_same(&ours, &there) => {}
            Ok(_) => return disturbed("was replaced"),
            Err(_) => return disturbed("was moved or removed"),
        }
        match ours.len() {
            len if len < self.length_bytes => disturbed("was cut"),
            len if len > self.length_bytes => disturbed("was written to"),
            _ => Ok(()),
        }
    }
}

/// Cuts a file; one that is too short already is never made longer.
fn shorten(file: &File, to_bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() < to_bytes {
        return Err(io::Error::other("it has become shorter by itself"));
    }
    file.set_len(to_bytes)?;
    file.sync_data()
}

#[cfg(unix)]
fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(_a: &fs::Metadata, _b: &fs::Metadata) -> bool {
    true
}

/// The offset at which a line begins; the end of the batch for the line behind the last.
fn start_of_line(lines: &Lines, line: usize) -> usize {
    line.checked_sub(1).and_then(|before| lines.spans().get(before)).map_or(0, |span| span.end)
}

/// The line behind the first one, from `line` on, at whose end `room_bytes` are used up.
fn line_that_reaches(lines: &Lines, line: usize, room_bytes: u64) -> usize {
    let from = start_of_line(lines, line);
    let rest = lines.spans().get(line..).unwrap_or_default();
    let short = rest.partition_point(|span| ((span.end - from) as u64) < room_bytes);
    (line + short + 1).min(lines.len())
}

#[cfg(test)]
mod tests;
