//! When the writer saves its position, and what it saves at the end of a run.

use std::time::Instant;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::worker::CheckpointWorker;
use crate::display::printable::printable;
use crate::position::Resume;
use crate::sink::file::FileSink;
use crate::sink::{Delivered, Output, Sink, SinkError};

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
    /// Saves the start of a run before its first line is written, so that a run that is killed
    /// before its first checkpoint resumes there. If that fails, a file is not begun. With
    /// standard output, the first checkpoint reports the failure.
    pub(super) fn save_run_start(&mut self) -> Result<(), SinkError> {
        // mutant: saves-before-writing
        let (Some(checkpoint_worker), Some(position)) =
            (&self.config.checkpoint_worker, self.processor.position())
        else {
            return Ok(());
        };
        let Some(run_start) = self.config.run_start.take() else { return Ok(()) };
        let begun = run_start.cursor(position);
        if self.config.sink.database().is_some() {
            return self.persist_database_start(&begun);
        }
        self.saved_start = Some(begun.clone());
        match checkpoint_worker.persist_start(begun) {
            Err(error) if self.config.sink.files().is_some() => {
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
        let is_full = self.is_database_full() || self.config.sink.wants_checkpoint();
        let interval = self.commit_interval();
        let many = every.events.is_some_and(|most| self.unsaved.events >= most);
        if (many || is_full || self.unsaved.since.elapsed() >= interval)
            && let Err(refusal) = self.save()
        {
            self.end(Some(refusal));
        }
    }

    /// Gets the proof of delivery from the sink, and passes it to the checkpoint worker with the
    /// position.
    pub(super) fn save(&mut self) -> Result<(), SinkError> {
        if !self.unsaved.is_due {
            return Ok(());
        }
        if let Some(error) =
            self.config.checkpoint_worker.as_ref().and_then(CheckpointWorker::output_error)
        {
            return Err(SinkError::Unsynced(error.to_string()));
        }
        if self.config.sink.database().is_some() {
            return self.save_database();
        }
        let delivered = {
            let stop = &self.config.stop;
            self.config.sink.checkpoint(|| stop.deadline())?
        };
        self.processor.was_read(self.config.sink.unread_bytes());
        self.unsaved = Unsaved::default();
        self.proven = self.processor.position().cloned();
        if let Some(checkpoint_worker) = &self.config.checkpoint_worker {
            match self.processor.resume() {
                Some(resume) => {
                    checkpoint_worker.save(self.checkpoint(delivered, resume));
                }
                None => save_files(checkpoint_worker, delivered)?,
            }
        } else {
            delivered.into_outputs().iter().for_each(Output::committed);
        }
        // Only now: these lines are in the file, whatever another program wrote there, and must
        // not be written again.
        let external_change = self.config.sink.files().and_then(|files| files.external_change());
        external_change.map_or(Ok(()), Err)
    }

    /// Returns the checkpoint of the present state.
    pub(super) fn checkpoint(&self, delivered: Delivered, resume: Resume) -> Checkpoint {
        Checkpoint::new(delivered, resume)
            .with_filter(self.processor.filter_stamp())
            .with_additions(self.processor.additions())
    }

    /// Ends the run: saves the last position that the output proves.
    pub(super) fn finish_run(&mut self) -> WriterResult {
        if self.failure.is_none() {
            self.write_held(true);
        }
        self.begin_last_commit();
        let failure = self.failure.take();
        let mut failure = failure.filter(|refusal| !matches!(refusal, SinkError::Closed));
        self.roll_back_unread();
        if let Some(transform) = &mut self.config.transform {
            transform.warn_missing_fields();
        }
        if failure.is_none() {
            failure = self.complete_file().err();
        }
        // What a pipe accepted before it failed stays written. A file is truncated instead, and
        // the next run asks a broker what it has.
        if failure.is_none() || !self.config.sink.is_transactional() {
            let saved = self.save();
            failure = failure.or(saved.err());
        }
        match &failure {
            Some(refusal) if self.config.sink.is_transactional() => self.discard_unsaved(refusal),
            _ => self.mark_clean(&mut failure),
        }
        if failure.is_none() {
            failure = self.convert_rest().err();
        }
        let position = match failure.is_some() && self.config.sink.is_transactional() {
            true => self.proven.clone(),
            false => self.processor.position().cloned(),
        };
        self.config.feedback.set(position.as_ref());
        let saved = self.config.checkpoint_worker.take().map(CheckpointWorker::finish);
        let written_to = match &self.config.sink {
            Sink::Stdout(_) | Sink::Tap(_) => None,
            Sink::File(files) => Some(file_names(files)),
            Sink::Broker(broker) => Some(broker.destination()),
            Sink::Database(database) => {
                let name = database.path().file_name().unwrap_or_default();
                Some(printable(name.as_encoded_bytes(), 100))
            }
        };
        WriterResult {
            position,
            resume: self.processor.resume(),
            history_limit: self.history_limit,
            saved,
            failure,
            written_to,
        }
    }

    /// Ends the file that becomes Parquet at the end of the run.
    fn complete_file(&mut self) -> Result<(), SinkError> {
        if let Some(files) = self.config.sink.files() {
            self.unsaved.is_due |= files.complete()?;
        }
        Ok(())
    }

    /// Converts the periods that have ended to Parquet, and saves what became of them. If the state
    /// file can't record their end, the next run converts them.
    fn convert_rest(&mut self) -> Result<(), SinkError> {
        let Some(files) = self.config.sink.files().filter(|files| files.is_parquet()) else {
            return Ok(());
        };
        let checkpoint_worker = &self.config.checkpoint_worker;
        if checkpoint_worker.as_ref().is_some_and(|worker| worker.flush().is_err()) {
            return Ok(());
        }
        for record in files.convert_rest()? {
            let Some(checkpoint_worker) = checkpoint_worker else { continue };
            checkpoint_worker.persist_output(&record).map_err(|error| SinkError::FileNotSaved {
                path: record.path.clone(),
                cause: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// Ends a run without a failure: files, or the broker, match the last checkpoint exactly.
    fn mark_clean(&mut self, failure: &mut Option<SinkError>) {
        if let (Sink::Broker(broker), Some(checkpoint_worker)) =
            (&self.config.sink, &self.config.checkpoint_worker)
            && broker.is_clean()
        {
            checkpoint_worker.mark_clean();
        }
        let Some(files) = self.config.sink.files() else { return };
        match &self.config.checkpoint_worker {
            Some(checkpoint_worker) => checkpoint_worker.mark_clean(),
            None => *failure = files.sync().err(),
        }
    }

    /// Ends a run whose file or broker failed: what came after the last checkpoint counts as
    /// not written.
    fn discard_unsaved(&mut self, refusal: &SinkError) {
        self.config.metrics.written.subtract(self.unsaved.lines);
        self.config.metrics.written_bytes.subtract(self.unsaved.bytes);
        // Some bytes may not have reached the disk: the next run truncates the file.
        if matches!(refusal, SinkError::Unsynced(_)) {
            return;
        }
        let Some(files) = self.config.sink.files() else { return };
        let cut = match refusal {
            // What another program wrote stays. The file is saved as complete, so that the next
            // run refuses the extra bytes instead of truncating them.
            SinkError::ChangedByOthers { .. } => files.truncate_own_bytes(),
            _ => files.truncate_to_checkpoint(),
        };
        match (cut, &self.config.checkpoint_worker) {
            (Ok(()), Some(checkpoint_worker)) => checkpoint_worker.mark_clean(),
            (Ok(()), None) => {}
            (Err(error), _) => tracing::warn!(
                "the file could not be truncated to the last checkpoint ({error}); the next run does that"
            ),
        }
    }
}

/// Saves only the lengths of files. This happens when no event gave a position: if `--until` was
/// already past at the first event, the lines before it are written without one.
fn save_files(checkpoint_worker: &CheckpointWorker, delivered: Delivered) -> Result<(), SinkError> {
    for output in delivered.into_outputs() {
        let path = output.record().path.clone();
        output.sync().map_err(|cause| SinkError::File { path: path.clone(), cause })?;
        checkpoint_worker
            .persist_output(output.record())
            .map_err(|error| SinkError::FileNotSaved { path, cause: error.to_string() })?;
        output.committed();
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
