//! Files that end exactly where a checkpoint says. The sink appends lines; a checkpoint records
//! the length up to which the file is valid; after a failure the file is truncated to the last
//! recorded length.
//!
//! The checkpoint worker syncs the file that is being written, so that the writer never waits for
//! the disk. This module syncs a file only when it is finished: a run with many short files then
//! keeps one file open and not thousands.

mod current;
mod encoder;
pub mod naming;
pub mod open;
pub mod parquet;
mod periods;
pub mod rotation;
mod zstd;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output_record::{FileTail, OutputRecord, OutputState};
use super::{Output, PersistOutput, SinkError, WriteContext, WriteRequest};
use crate::event::batch::CompactBatch;
use crate::paths;
use crate::position::TimeUs;
use crate::position::rollover::PeriodStart;

use current::{Current, shorten};
use encoder::Encoder;
use naming::Naming;
use open::OpenedFile;
use parquet::Ended;
use periods::Periods;
use rotation::Rotate;

/// Writes lines to one file, or to one file after another.
#[derive(Debug)]
pub struct FileSink {
    naming: Naming,
    append: bool,
    encoder: Encoder,
    /// The files of earlier runs. Those of this run need no entry: its files never return to an
    /// earlier period, and a number that was used is not free.
    known: HashMap<PathBuf, OutputRecord>,
    current: Option<Current>,
    /// The files that ended since the last checkpoint, oldest first.
    finished: Vec<Finished>,
    /// Converts periods to Parquet; `None` for other files.
    periods: Option<Periods>,
    /// The time of the last period start.
    latest: TimeUs,
    /// How many files this run wrote to.
    files: u64,
    /// Written before the first line of each file that was empty.
    header: Vec<u8>,
    /// A file that another program wrote to, although all bytes of this run are in it.
    externally_written: Option<PathBuf>,
}

#[derive(Debug)]
struct Finished {
    record: OutputRecord,
    checkpoint_bytes: u64,
    /// The file, still locked, if it is to be converted.
    file: Option<Arc<File>>,
}

impl FileSink {
    /// Returns a sink that continues `current`, or begins a file with the first event. `known` has
    /// the records of the other files of this consumer.
    ///
    /// # Errors
    /// Fails if there is no memory for a compressor.
    pub fn new(
        naming: Naming,
        append: bool,
        known: Vec<OutputRecord>,
        current: Option<(OutputRecord, File, FileTail)>,
    ) -> io::Result<Self> {
        let encoder = Encoder::new(&naming)?;
        let current = current.map(|(record, file, tail)| {
            let current = Current::new(record.path, file, record.length_bytes, tail);
            let (period_start, number) = (record.period_start, record.number);
            Current { period_start, number, is_plain: encoder.is_plain(), ..current }
        });
        Ok(Self {
            naming,
            append,
            encoder,
            known: known.into_iter().map(|record| (record.path.clone(), record)).collect(),
            files: u64::from(current.is_some()),
            current,
            finished: Vec::new(),
            periods: None,
            latest: TimeUs(0),
            header: Vec::new(),
            externally_written: None,
        })
    }

    /// Sets the bytes to write before the first line of each empty file.
    #[must_use]
    pub fn with_header(self, header: Vec<u8>) -> Self {
        Self { header, ..self }
    }

    /// Returns the file that was written last, and how many files this run wrote to.
    #[must_use]
    pub fn written(&self) -> Option<(&Path, u64)> {
        let path = self.current.as_ref().map(|current| &*current.path);
        path.or_else(|| self.completed()).map(|path| (path, self.files))
    }

    /// Appends all lines, each to the file of its period.
    pub(super) fn write(
        &mut self,
        request: &WriteRequest<'_>,
        context: &mut WriteContext<'_>,
    ) -> Result<(), SinkError> {
        let (lines, period_starts) = (request.lines, request.period_starts);
        self.await_conversion(period_starts, context.deadline);
        match self.naming.rotate {
            None => self.append(lines.bytes())?,
            Some(Rotate::Size(bytes)) => {
                self.write_by_size(lines, period_starts, bytes, context.persist)?;
            }
            Some(rotate) => {
                self.write_by_period(lines, period_starts, rotate, context.persist)?;
            }
        }
        self.latest = period_starts.last().map_or(self.latest, |start| start.time);
        Ok(())
    }

    fn write_by_period(
        &mut self,
        lines: &CompactBatch,
        period_starts: &[PeriodStart],
        rotate: Rotate,
        persist: &mut PersistOutput<'_>,
    ) -> Result<(), SinkError> {
        let mut from = 0;
        let is_in = |current: &Option<Current>, time| {
            current.as_ref().is_some_and(|c| c.period_start == Some(rotate.start_of(time)))
        };
        let is_late = self.periods.as_ref().is_some_and(|periods| periods.has_delayed);
        if is_late && !is_in(&self.current, self.latest) && self.may_end_period() {
            self.begin(self.latest, persist)?;
        }
        for start in period_starts {
            if is_in(&self.current, start.time) || !self.may_end_period() {
                continue;
            }
            let to = start_of_line(lines, start.line);
            self.append(lines.bytes().get(from..to).unwrap_or_default())?;
            from = to;
            self.begin(start.time, persist)?;
        }
        self.append(lines.bytes().get(from..).unwrap_or_default())
    }

    fn write_by_size(
        &mut self,
        lines: &CompactBatch,
        period_starts: &[PeriodStart],
        bytes: u64,
        persist: &mut PersistOutput<'_>,
    ) -> Result<(), SinkError> {
        let mut line = 0;
        while line < lines.len() {
            // Repeats if --append took a file of another program that is large enough already.
            while self.current.as_ref().is_none_or(|c| c.length_bytes >= bytes)
                && self.may_end_period()
            {
                let before = period_starts.iter().take_while(|start| start.line <= line).last();
                self.begin(before.map_or(self.latest, |start| start.time), persist)?;
            }
            let has_bytes = self.current.as_ref().map_or(0, |c| c.length_bytes);
            let has_bytes = has_bytes + self.header_bytes() as u64;
            let from = start_of_line(lines, line);
            let next = match self.encoder.is_plain() {
                true => line_that_reaches(lines, line, bytes.saturating_sub(has_bytes)),
                // How many bytes a line adds is known only after it is encoded.
                false => line + 1,
            };
            self.append(lines.bytes().get(from..start_of_line(lines, next)).unwrap_or_default())?;
            line = next;
        }
        Ok(())
    }

    /// Appends whole lines to the current file, after the header if the file is empty.
    fn append(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        if lines.is_empty() {
            return Ok(());
        }
        let needs_header = self.header_bytes() > 0;
        if let Some(current) = &mut self.current {
            current.is_fresh = false;
        }
        if needs_header {
            self.append_bytes(&self.header.clone())?;
        }
        self.append_bytes(lines)
    }

    /// Returns the length of the header if the next line needs one, else 0.
    fn header_bytes(&self) -> usize {
        match &self.current {
            Some(current) if current.is_fresh => self.header.len(),
            _ => 0,
        }
    }

    fn append_bytes(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        let Some(current) = &mut self.current else {
            return Err(SinkError::Failed(io::Error::other("no file was begun")));
        };
        let encoded = self.encoder.write(lines).map_err(|cause| current.failed(cause))?;
        current.write(encoded)
    }

    /// Checks that the current file is still the one that was opened and holds every byte of ours.
    fn check_current(&mut self) -> Result<(), SinkError> {
        if let Some(current) = &mut self.current
            && current.length_bytes != current.checkpoint_bytes
        {
            current.check()?;
            if current.foreign_bytes > 0 {
                self.externally_written = Some(current.path.clone());
            }
        }
        Ok(())
    }

    /// Returns why the run must end after this checkpoint, if another program wrote to a file.
    #[must_use]
    pub fn external_change(&self) -> Option<SinkError> {
        let path = self.externally_written.clone()?;
        Some(SinkError::ChangedByOthers { path, what: "was written to" })
    }

    /// Finishes the current file and begins the one for an event at `time`.
    fn begin(&mut self, time: TimeUs, persist: &mut PersistOutput<'_>) -> Result<(), SinkError> {
        self.finish_current()?;
        let period_start = self.naming.rotate.map(|rotate| rotate.start_of(time));
        let name_time = period_start.unwrap_or(time);
        let path = |number| self.naming.working_path(name_time, number);
        // --append is for a file of another program, not for a full one of this consumer.
        let is_ours = self.known.contains_key(&path(0));
        let takes_first = self.append && self.files == 0 && !is_ours;
        let number = match self.naming.rotate {
            Some(Rotate::Size(_)) if !takes_first => self.free_number(name_time),
            Some(_) if self.is_complete(period_start) => self.free_number(name_time),
            _ => 0,
        };
        let path = path(number);
        self.check_not_taken(name_time, number)?;
        let known = self.known.get(&path);
        let is_compressed = self.naming.is_compressed();
        let opened = open::open_for_append(&path, known, self.append, is_compressed);
        let OpenedFile { file, length_bytes, tail, .. } = opened.map_err(SinkError::NextFile)?;
        let current = Current::new(path, file, length_bytes, tail);
        let is_plain = self.encoder.is_plain();
        let current = Current { period_start, number, is_plain, ..current };
        let record = current.record(&self.naming, OutputState::Open);
        open::sync_directory(&current.path).map_err(|cause| current.failed(cause))?;
        persist(&record)
            .map_err(|cause| SinkError::FileNotSaved { path: current.path.clone(), cause })?;
        self.current = Some(current);
        self.files += 1;
        Ok(())
    }

    /// Returns the first number whose name is free. The search begins at the number of the
    /// previous file: with names that don't change with the time, there may be very many.
    fn free_number(&self, time: TimeUs) -> u32 {
        let last = self.finished.last().map(|finished| &finished.record);
        let before = last.filter(|last| self.naming.working_path(time, last.number) == last.path);
        let mut number = before.map_or(0, |last| last.number);
        while number < u32::MAX && !self.is_free(time, number) {
            number += 1;
        }
        number
    }

    fn finish_current(&mut self) -> Result<(), SinkError> {
        if let Some(current) = &mut self.current {
            let rest = self.encoder.finish().map_err(|cause| current.failed(cause))?;
            current.write(rest)?;
        }
        self.check_current()?;
        let Some(current) = self.current.take() else { return Ok(()) };
        let record = current.record(&self.naming, OutputState::Done);
        if let Some(periods) = &mut self.periods {
            periods.end(&record);
        }
        let file = self.periods.as_ref().map(|_| Arc::clone(&current.file));
        let checkpoint_bytes = current.checkpoint_bytes;
        self.finished.push(Finished { record, checkpoint_bytes, file });
        current.file.sync_data().map_err(|cause| current.failed(cause))
    }

    /// Brings the files to lengths that a checkpoint may record, and returns those that changed
    /// since the last call.
    pub(super) fn checkpoint(&mut self) -> Result<Vec<Output>, SinkError> {
        if let Some(current) = &mut self.current {
            let bytes = self.encoder.checkpoint().map_err(|cause| current.failed(cause))?;
            current.write(bytes)?;
        }
        self.check_current()?;
        let mut outputs = self.take_converted()?;
        for finished in self.finished.drain(..) {
            let record = finished.record;
            let ended = Ended { record: record.clone(), file: finished.file };
            let waiting = self.periods.as_mut().map(|periods| periods.waiting(ended));
            outputs.push(Output { file: None, record, waiting });
        }
        if let Some(current) = &mut self.current
            && (current.length_bytes != current.checkpoint_bytes || !outputs.is_empty())
        {
            current.mark_checkpoint();
            outputs.push(Output {
                file: Some(Arc::clone(&current.file)),
                record: current.record(&self.naming, OutputState::Open),
                waiting: None,
            });
        }
        Ok(outputs)
    }

    /// Truncates the files to the last checkpoint. If this fails, the next run does it.
    ///
    /// # Errors
    /// The error of the system; files that are truncated already stay so.
    pub fn truncate_to_checkpoint(&mut self) -> io::Result<()> {
        self.truncate_finished()?;
        self.current.as_mut().map_or(Ok(()), Current::truncate_to_checkpoint)
    }

    /// As [`FileSink::truncate_to_checkpoint`], after another program moved, truncated or wrote
    /// to a file: removes only bytes that this run certainly wrote, so that no later run writes
    /// them a second time.
    ///
    /// # Errors
    /// The error of the system.
    pub fn truncate_own_bytes(&mut self) -> io::Result<()> {
        self.truncate_finished()?;
        self.current.as_mut().map_or(Ok(()), Current::truncate_own_bytes)
    }

    fn truncate_finished(&mut self) -> io::Result<()> {
        for finished in self.finished.drain(..) {
            let path = &finished.record.path;
            let file = match finished.file {
                Some(file) => file,
                None => Arc::new(paths::open_trusted(OpenOptions::new().write(true), path)?),
            };
            // If the length differs, another program wrote to the file: leave it.
            if file.metadata()?.len() == finished.record.length_bytes {
                shorten(&file, finished.checkpoint_bytes)?;
            }
        }
        Ok(())
    }

    /// Syncs the current file, for a run that saves no checkpoints.
    ///
    /// # Errors
    /// [`SinkError::File`].
    pub fn sync(&self) -> Result<(), SinkError> {
        let Some(current) = &self.current else { return Ok(()) };
        current.file.sync_data().map_err(|cause| current.failed(cause))
    }
}

/// Returns the offset at which a line begins; the length of the batch for the line after the last.
fn start_of_line(lines: &CompactBatch, line: usize) -> usize {
    line.checked_sub(1).and_then(|before| lines.spans().get(before)).map_or(0, |span| span.end)
}

/// Returns the line after the first one, from `line` on, whose end uses up `room_bytes`.
fn line_that_reaches(lines: &CompactBatch, line: usize, room_bytes: u64) -> usize {
    let from = start_of_line(lines, line);
    let rest = lines.spans().get(line..).unwrap_or_default();
    let short = rest.partition_point(|span| ((span.end - from) as u64) < room_bytes);
    (line + short + 1).min(lines.len())
}

#[cfg(test)]
mod tests;
