//! Files that end exactly where a checkpoint says. Lines are appended; a checkpoint ends the
//! compressed frame and notes the length; whatever goes wrong in between is cut off again.
//!
//! Syncing is left to whoever commits the checkpoint, away from the thread that writes. Only
//! a file that is finished is synced here, so that a run with many short files keeps one open
//! file and not thousands.

mod current;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claim::{self, Claimed};
use super::frames::Frames;
use super::naming::Naming;
use super::record::{OutputRecord, OutputState, Tail};
use super::rotation::Rotate;
use super::{Announce, Output, Refusal};
use crate::event::batch::Lines;
use crate::paths;
use crate::position::TimeUs;
use crate::position::rollover::PeriodStart;

use current::{Current, shorten};

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
    /// The file that another program wrote to, though everything of this run is in it, too.
    shared: Option<PathBuf>,
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
        let current = current.map(|(record, file, tail)| {
            let current = Current::new(record.path, file, record.length_bytes, tail);
            let (period_start, number) = (record.period_start, record.number);
            let is_compressed = frames.is_some();
            Current { period_start, number, is_compressed, ..current }
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
            shared: None,
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
        turns: &[PeriodStart],
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
        turns: &[PeriodStart],
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
        turns: &[PeriodStart],
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
        if let Some(current) = &mut self.current
            && current.length_bytes != current.settled_bytes
        {
            current.check()?;
            if current.foreign_bytes > 0 {
                self.shared = Some(current.path.clone());
            }
        }
        Ok(())
    }

    /// Returns why the run can't go on after this checkpoint: another program wrote to a file.
    #[must_use]
    pub fn disturbance(&self) -> Option<Refusal> {
        let path = self.shared.clone()?;
        Some(Refusal::Disturbed { path, what: "was written to" })
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
        let current = Current::new(path, file, length_bytes, tail);
        let is_compressed = self.frames.is_some();
        let current = Current { period_start, number, is_compressed, ..current };
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
            current.settle();
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
        self.cut_back_finished()?;
        self.current.as_mut().map_or(Ok(()), Current::cut_back)
    }

    /// As [`FileSink::cut_back`], after another program moved, cut or wrote to a file: only what
    /// this run certainly wrote is cut off, so that no later run writes it a second time.
    ///
    /// # Errors
    /// As the system reports.
    pub fn cut_back_disturbed(&mut self) -> io::Result<()> {
        self.cut_back_finished()?;
        self.current.as_mut().map_or(Ok(()), Current::cut_back_disturbed)
    }

    fn cut_back_finished(&mut self) -> io::Result<()> {
        self.packed.clear();
        for finished in self.finished.drain(..) {
            let path = &finished.record.path;
            let file = paths::open_trusted(OpenOptions::new().write(true), path)?;
            // A file that another program wrote to meanwhile is not ours to cut.
            if file.metadata()?.len() == finished.record.length_bytes {
                shorten(&file, finished.settled_bytes)?;
            }
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
