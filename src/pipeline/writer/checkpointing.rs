//! When the writer saves its position, and what it saves at the end of a run.

use std::time::Instant;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::worker::CheckpointWorker;
use crate::display::printable::printable;
use crate::sink::file::FileSink;
use crate::sink::{Delivered, Sink, SinkError};

use super::{Writer, WriterResult};

/// What was written since the last checkpoint.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// Whether a checkpoint is due at all: a position can move without a line.
    pub(super) is_due: bool,
    /// Events that were received.
    pub(super) events: u64,
    /// Lines that were written, and their bytes, to be subtracted if the output fails.
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) since: Instant,
}

impl Default for Unsaved {
    fn default() -> Self {
        Self { is_due: false, events: 0, lines: 0, bytes: 0, since: Instant::now() }
    }
}

impl Unsaved {
    pub(super) fn add(&mut self, events: u64, lines: u64, bytes: u64) {
        if !self.is_due {
            self.since = Instant::now();
        }
        self.is_due = true;
        self.events += events;
        self.lines += lines;
        self.bytes += bytes;
    }
}

impl Writer {
    /// Before the first line of a run is written: killed before its first checkpoint, it
    /// must find here where to begin again. A file that could not be remembered is not begun;
    /// of a failure with standard output the first checkpoint will tell.
    pub(super) fn remember_beginning(&mut self) -> Result<(), SinkError> {
        // mutant: saves-before-writing
        let (Some(saver), Some(position)) = (&self.config.saver, self.sieve.position()) else {
            return Ok(());
        };
        let Some(beginning) = self.outlet.beginning.take() else { return Ok(()) };
        let begun = beginning.of(position);
        self.begun = Some(begun.clone());
        match saver.persist_start(begun) {
            Err(error) if self.outlet.sink.files().is_some() => {
                Err(SinkError::StartNotSaved(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn save_if_due(&mut self) {
        if self.has_ended {
            return;
        }
        let every = self.config.every;
        let many = every.events.is_some_and(|most| self.unsaved.events >= most);
        if (many || self.unsaved.since.elapsed() >= every.interval)
            && let Err(refusal) = self.save()
        {
            self.end(Some(refusal));
        }
    }

    /// Takes proof of what was written from the sink, and hands it to the saver.
    fn save(&mut self) -> Result<(), SinkError> {
        if !self.unsaved.is_due {
            return Ok(());
        }
        if let Some(error) = self.outlet.saver.as_ref().and_then(CheckpointWorker::output_error) {
            return Err(SinkError::Unsynced(error.to_string()));
        }
        let delivered = {
            let stop = &self.outlet.stop;
            self.outlet.sink.checkpoint(|| stop.deadline())?
        };
        self.sieve.was_read(self.config.sink.unread_bytes());
        self.unsaved = Unsaved::default();
        self.proven = self.sieve.position().cloned();
        if let Some(saver) = &self.config.saver {
            match self.sieve.resume() {
                Some(resume) => saver.save(Checkpoint::new(delivered, resume)),
                None => save_files(saver, delivered)?,
            }
        }
        // Only now: what was written is in the file, whatever another program wrote there, and
        // must not be written again.
        let external_change = self.outlet.sink.files().and_then(|files| files.external_change());
        external_change.map_or(Ok(()), Err)
    }

    /// Ends the run: saves the last position that the output proves.
    pub(super) fn finish_run(&mut self) -> WriterResult {
        let failure = self.failure.take();
        let mut failure = failure.filter(|refusal| !matches!(refusal, SinkError::Closed));
        self.take_back_unread();
        if let Some(transform) = &mut self.outlet.transform {
            transform.warn_absent_fields();
        }
        // What a pipe accepted stays accepted when it fails; a file is cut back instead, and of
        // a broker the next run finds out what it has.
        if failure.is_none() || !self.outlet.sink.is_transactional() {
            let saved = self.save();
            failure = failure.or(saved.err());
        }
        match &failure {
            Some(refusal) if self.outlet.sink.is_transactional() => self.give_up(refusal),
            _ => self.close(&mut failure),
        }
        let position = match failure.is_some() && self.outlet.sink.is_transactional() {
            true => self.settled.clone(),
            false => self.sieve.position().cloned(),
        };
        self.outlet.feedback.set(position.as_ref());
        let saved = self.outlet.saver.take().map(CheckpointWorker::finish);
        let written_to = match &self.outlet.sink {
            Sink::Stdout(_) | Sink::Tap(_) => None,
            Sink::File(files) => Some(in_words(files)),
            Sink::Broker(broker) => Some(broker.destination()),
        };
        WriterResult { position, saved, failure, written_to }
    }

    /// The run ended well: files, or the broker, are exactly as the last checkpoint says.
    fn close(&mut self, failure: &mut Option<SinkError>) {
        if let (Sink::Broker(broker), Some(saver)) = (&self.outlet.sink, &self.outlet.saver)
            && broker.is_clean()
        {
            saver.mark_clean();
        }
        let Some(files) = self.outlet.sink.files() else { return };
        match &self.outlet.saver {
            Some(saver) => saver.mark_clean(),
            None => *failure = files.sync().err(),
        }
    }

    /// A file or a broker failed: what came after the last checkpoint has not happened.
    fn give_up(&mut self, refusal: &SinkError) {
        self.outlet.metrics.written.take_back(self.unsaved.lines);
        self.outlet.metrics.written_bytes.take_back(self.unsaved.bytes);
        // What did not reach the disk, the next run cuts back to what did.
        if matches!(refusal, SinkError::Unsynced(_)) {
            return;
        }
        let Some(files) = self.config.sink.files() else { return };
        let cut = match refusal {
            // What another program wrote stays. The file is saved as ended, so that the next run
            // refuses what is more instead of cutting it.
            SinkError::ChangedByOthers { .. } => files.truncate_own_bytes(),
            _ => files.truncate_to_checkpoint(),
        };
        match (cut, &self.outlet.saver) {
            (Ok(()), Some(saver)) => saver.mark_clean(),
            (Ok(()), None) => {}
            (Err(error), _) => tracing::warn!(
                "the file could not be truncated to the last checkpoint ({error}); the next run does that"
            ),
        }
    }
}

/// Remembers the lengths of files alone: the lines before a `--until` that lay behind us from
/// the first event on are written and give no position.
fn save_files(saver: &CheckpointWorker, delivered: Delivered) -> Result<(), SinkError> {
    for output in delivered.into_outputs() {
        let path = output.record().path.clone();
        output.sync().map_err(|cause| SinkError::File { path: path.clone(), cause })?;
        saver
            .persist_output(output.record())
            .map_err(|error| SinkError::FileNotSaved { path, cause: error.to_string() })?;
    }
    Ok(())
}

fn file_names(files: &FileSink) -> String {
    match files.written() {
        None => "no file".to_owned(),
        Some((path, count)) => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            let name = printable(name.as_encoded_bytes(), 100);
            if count == 1 { name } else { format!("{count} files, the last {name}") }
        }
    }
}
