//! Files that end exactly where a checkpoint says. Lines are appended; a checkpoint ends the
//! compressed frame and notes the length; whatever goes wrong in between is cut off again.
//!
//! Syncing is left to whoever commits the checkpoint, away from the thread that writes. Only
//! a file that is finished is synced here, so that a run with many short files keeps one open
//! file and not thousands.

mod current;
pub mod naming;
pub mod open;
pub mod rotation;
mod zstd;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output_record::{FileTail, OutputRecord, OutputState};
use super::{Output, PersistOutput, SinkError};
use crate::event::batch::Lines;
use crate::paths;
use crate::position::TimeUs;
use crate::position::turns::Turn;

use self::zstd::ZstdEncoder;
use current::{Current, shorten};
use naming::Naming;
use open::OpenedFile;
use rotation::Rotate;

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
    encoder: Option<ZstdEncoder>,
    /// What is compressed and not yet written.
    compressed: Vec<u8>,
    latest: TimeUs,
    files: u64,
    /// What stands at the head of every file.
    header: Vec<u8>,
    /// The file that another program wrote to, though everything of this run is in it, too.
    changed_by_others: Option<PathBuf>,
}

#[derive(Debug)]
struct Finished {
    record: OutputRecord,
    checkpoint_bytes: u64,
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
        current: Option<(OutputRecord, File, FileTail)>,
    ) -> io::Result<Self> {
        let encoder = naming.is_compressed().then(ZstdEncoder::new).transpose()?;
        let current = current.map(|(record, file, tail)| {
            let current = Current::new(record.path, file, record.length_bytes, tail);
            let (period_start, number) = (record.period_start, record.number);
            let is_compressed = encoder.is_some();
            Current { period_start, number, is_compressed, ..current }
        });
        Ok(Self {
            naming,
            append,
            known: known.into_iter().map(|record| (record.path.clone(), record)).collect(),
            files: u64::from(current.is_some()),
            current,
            finished: Vec::new(),
            encoder,
            compressed: Vec::new(),
            latest: TimeUs(0),
            header: Vec::new(),
            changed_by_others: None,
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
        persist: &mut PersistOutput<'_>,
    ) -> Result<(), SinkError> {
        match self.naming.rotate {
            None => self.append(lines.bytes())?,
            Some(Rotate::Size(bytes)) => self.write_by_size(lines, turns, bytes, persist)?,
            Some(rotate) => self.write_by_period(lines, turns, rotate, persist)?,
        }
        self.latest = turns.last().map_or(self.latest, |turn| turn.time);
        self.write_compressed()
    }

    fn write_by_period(
        &mut self,
        lines: &Lines,
        turns: &[Turn],
        rotate: Rotate,
        persist: &mut PersistOutput<'_>,
    ) -> Result<(), SinkError> {
        let mut from = 0;
        for turn in turns {
            let period = rotate.start_of(turn.time);
            if self.current.as_ref().is_some_and(|c| c.period_start == Some(period)) {
                continue;
            }
            let to = start_of_line(lines, turn.line);
            self.append(lines.bytes().get(from..to).unwrap_or_default())?;
            from = to;
            self.begin(turn.time, persist)?;
        }
        self.append(lines.bytes().get(from..).unwrap_or_default())
    }

    fn write_by_size(
        &mut self,
        lines: &Lines,
        turns: &[Turn],
        bytes: u64,
        persist: &mut PersistOutput<'_>,
    ) -> Result<(), SinkError> {
        let mut line = 0;
        while line < lines.len() {
            // Again where a file of others, taken with --append, is large enough already.
            while self.current.as_ref().is_none_or(|c| c.length_bytes >= bytes) {
                let before = turns.iter().take_while(|turn| turn.line <= line).last();
                self.begin(before.map_or(self.latest, |turn| turn.time), persist)?;
            }
            let has_bytes = self.current.as_ref().map_or(0, |c| c.length_bytes);
            let has_bytes = has_bytes + self.head_bytes() as u64;
            let (from, next) = (start_of_line(lines, line), line + 1);
            let next = match self.encoder {
                // How much a line adds is only known when it was compressed.
                Some(_) => next,
                None => line_that_reaches(lines, line, bytes.saturating_sub(has_bytes)),
            };
            self.append(lines.bytes().get(from..start_of_line(lines, next)).unwrap_or_default())?;
            if !self.compressed.is_empty() {
                self.write_compressed()?;
            }
            line = next;
        }
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        if self.head_bytes() > 0 && !lines.is_empty() {
            if let Some(current) = &mut self.current {
                current.is_fresh = false;
            }
            self.append_frame(&self.header.clone())?;
        }
        self.append_frame(lines)
    }

    /// The bytes of the head that comes before the next line.
    fn head_bytes(&self) -> usize {
        match &self.current {
            Some(current) if current.is_fresh => self.header.len(),
            _ => 0,
        }
    }

    fn append_frame(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        let Some(current) = &mut self.current else {
            return match lines {
                [] => Ok(()),
                _ => Err(SinkError::Failed(io::Error::other("no file was begun"))),
            };
        };
        match &mut self.encoder {
            None => current.write(lines),
            Some(encoder) => {
                let compressed = encoder.write(lines, &mut self.compressed);
                compressed.map_err(|cause| current.failed(cause))
            }
        }
    }

    fn write_compressed(&mut self) -> Result<(), SinkError> {
        if let Some(current) = &mut self.current {
            current.write(&self.compressed)?;
            self.compressed.clear();
        }
        Ok(())
    }

    /// Offsets the frame, and checks that the file is what we think it is.
    fn end_frame(&mut self) -> Result<(), SinkError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Some(encoder) = &mut self.encoder {
            encoder.end_frame(&mut self.compressed).map_err(|cause| current.failed(cause))?;
        }
        self.write_compressed()?;
        if let Some(current) = &mut self.current
            && current.length_bytes != current.checkpoint_bytes
        {
            current.check()?;
            if current.foreign_bytes > 0 {
                self.changed_by_others = Some(current.path.clone());
            }
        }
        Ok(())
    }

    /// Returns why the run can't go on after this checkpoint: another program wrote to a file.
    #[must_use]
    pub fn external_change(&self) -> Option<SinkError> {
        let path = self.changed_by_others.clone()?;
        Some(SinkError::ChangedByOthers { path, what: "was written to" })
    }

    /// Offsets the file that is written, and begins the one for an event at `time`.
    fn begin(&mut self, time: TimeUs, persist: &mut PersistOutput<'_>) -> Result<(), SinkError> {
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
        let opened = open::open_for_append(&path, known, self.append, self.naming.is_compressed());
        let OpenedFile { file, length_bytes, tail, .. } = opened.map_err(SinkError::NextFile)?;
        let current = Current::new(path, file, length_bytes, tail);
        let is_compressed = self.encoder.is_some();
        let current = Current { period_start, number, is_compressed, ..current };
        let record = current.record(&self.naming, OutputState::Open);
        open::sync_directory(&current.path).map_err(|cause| current.failed(cause))?;
        persist(&record)
            .map_err(|cause| SinkError::FileNotSaved { path: current.path.clone(), cause })?;
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
        while number < u32::MAX && !open::is_free(&self.naming.path(time, number)) {
            number += 1;
        }
        number
    }

    fn finish_current(&mut self) -> Result<(), SinkError> {
        self.end_frame()?;
        let Some(current) = self.current.take() else { return Ok(()) };
        let record = current.record(&self.naming, OutputState::Done);
        self.finished.push(Finished { record, checkpoint_bytes: current.checkpoint_bytes });
        current.file.sync_data().map_err(|cause| current.failed(cause))
    }

    /// The files that changed since the last call, as a checkpoint may name them.
    pub(super) fn checkpoint(&mut self) -> Result<Vec<Output>, SinkError> {
        self.end_frame()?;
        let finished = self.finished.drain(..);
        let mut outputs: Vec<Output> =
            finished.map(|finished| Output { file: None, record: finished.record }).collect();
        if let Some(current) = &mut self.current
            && (current.length_bytes != current.checkpoint_bytes || !outputs.is_empty())
        {
            current.mark_checkpoint();
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
    pub fn truncate_to_checkpoint(&mut self) -> io::Result<()> {
        self.cut_back_finished()?;
        self.current.as_mut().map_or(Ok(()), Current::truncate_to_checkpoint)
    }

    /// As [`FileSink::truncate_to_checkpoint`], after another program moved, cut or wrote to a file: only what
    /// this run certainly wrote is cut off, so that no later run writes it a second time.
    ///
    /// # Errors
    /// As the system reports.
    pub fn truncate_own_bytes(&mut self) -> io::Result<()> {
        self.cut_back_finished()?;
        self.current.as_mut().map_or(Ok(()), Current::truncate_own_bytes)
    }

    fn cut_back_finished(&mut self) -> io::Result<()> {
        self.compressed.clear();
        for finished in self.finished.drain(..) {
            let path = &finished.record.path;
            let file = paths::open_trusted(OpenOptions::new().write(true), path)?;
            // A file that another program wrote to meanwhile is not ours to cut.
            if file.metadata()?.len() == finished.record.length_bytes {
                shorten(&file, finished.checkpoint_bytes)?;
            }
        }
        Ok(())
    }

    /// Brings the file to the disk, for a run whose checkpoints nobody saves.
    ///
    /// # Errors
    /// [`SinkError::File`].
    pub fn sync(&self) -> Result<(), SinkError> {
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
