//! The thread that commits checkpoints. The writer passes it checkpoints and never waits for the
//! disk; the thread keeps the newest, syncs its files, and commits as fast as the disk allows. The
//! writer blocks only when a file begins, until the state file records it durably.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Checkpoint;
use super::store::{ManualCursor, Store, StoreError};
use crate::position::TimeUs;
use crate::position::gap::Gap;
use crate::sink::Output;
use crate::sink::output_record::OutputRecord;

/// Maximum number of gaps that are kept while the state file can't be written.
const MOST_WAITING_GAPS: usize = 1_000;

/// How often a caller that waits for the thread checks that it is alive.
const RECHECK: Duration = Duration::from_millis(100);

/// A change between saving and failing to save.
#[derive(Clone, Copy, Debug)]
pub enum SaveHealth<'a> {
    /// A save failed after one that succeeded.
    Failing(&'a StoreError),
    /// A save succeeded after one that failed.
    Recovered,
}

/// The handle of the thread. Dropping it ends the thread as [`CheckpointWorker::finish`] does, and
/// ignores the result.
pub struct CheckpointWorker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<WorkerState>,
    changed: Condvar,
}

#[derive(Default)]
struct WorkerState {
    /// The newest checkpoint that is not committed.
    pending: Option<Checkpoint>,
    /// Gaps that are not in the file yet.
    gaps: Vec<Gap>,
    /// Whether there is something new. A checkpoint that failed stays in `pending` without this
    /// flag, so that it waits for the next one instead of being retried in a loop.
    is_due: bool,
    /// A file or run that begins, and the channel on which its caller waits for the commit.
    starts: Option<StartRequest>,
    is_finishing: bool,
    /// Whether the files are exactly as the last checkpoint says.
    is_clean: bool,
    error: Option<StoreError>,
}

type StartRequest = (Start, mpsc::SyncSender<Result<(), StoreError>>);

/// What the state file must record before the first byte of it is written.
enum Start {
    /// No start: the caller only waits for the commits before.
    Nothing,
    /// A file.
    Output(OutputRecord),
    /// The first event of a run whose consumer has nothing saved.
    Run(ManualCursor),
    /// The first event of a run whose output was discarded.
    RunAgain(ManualCursor),
}

/// What the thread has to do next.
struct Work {
    gaps: Vec<Gap>,
    checkpoint: Option<Checkpoint>,
    starts: Option<StartRequest>,
    is_last: bool,
    is_clean: bool,
}

impl CheckpointWorker {
    /// Starts the thread. `on_change` runs on it: once when saving starts to fail, and once when it
    /// works again.
    ///
    /// # Errors
    /// The error of the system if it can't start a thread.
    pub fn spawn(
        store: Store,
        consumer: String,
        on_change: impl FnMut(SaveHealth<'_>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker =
            Worker { shared: Arc::clone(&shared), store, consumer, on_change, broken: None };
        let thread = thread::Builder::new().name("saver".to_owned()).spawn(move || worker.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Passes a checkpoint to the thread without waiting for the disk. A checkpoint that is not
    /// committed yet is replaced.
    pub fn save(&self, checkpoint: Checkpoint) {
        let mut state = self.shared.lock();
        let mut checkpoint = checkpoint;
        if let Some(older) = state.pending.take() {
            checkpoint.supersede(older);
        }
        state.pending = Some(checkpoint);
        state.is_due = true;
        self.shared.changed.notify_one();
    }

    /// Passes a gap to the thread, which saves it no later than the next checkpoint.
    pub fn record_gap(&self, gap: Gap) {
        let mut state = self.shared.lock();
        if state.gaps.len() < MOST_WAITING_GAPS {
            state.gaps.push(gap);
        }
        state.is_due = true;
        self.shared.changed.notify_one();
    }

    /// Saves that a file begins, and waits for the commit. Checkpoints and gaps that were passed
    /// before are committed first.
    ///
    /// # Errors
    /// The error of the commit.
    pub fn persist_output(&self, record: &OutputRecord) -> Result<(), StoreError> {
        self.persist(Start::Output(record.clone()))
    }

    /// Waits until everything that was passed before is committed, or has failed.
    ///
    /// # Errors
    /// The error of the last save.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.persist(Start::Nothing)?;
        self.health().map_or(Ok(()), Err)
    }

    /// Saves where a run starts if its consumer has nothing saved, and waits for the commit: the
    /// next run starts there again if this one is killed before its first checkpoint.
    ///
    /// # Errors
    /// The error of the commit.
    pub fn persist_start(&self, at: ManualCursor) -> Result<(), StoreError> {
        self.persist(Start::Run(at))
    }

    /// Saves the start of a run again, because its output was discarded. This replaces the saved
    /// position.
    ///
    /// # Errors
    /// The error of the save.
    pub fn persist_restart(&self, at: ManualCursor) -> Result<(), StoreError> {
        self.persist(Start::RunAgain(at))
    }

    fn persist(&self, what: Start) -> Result<(), StoreError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.shared.lock().starts = Some((what, answer));
        self.shared.changed.notify_one();
        loop {
            match answered.recv_timeout(RECHECK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(StoreError::Lost),
                Err(RecvTimeoutError::Timeout) => {
                    if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                        return Err(StoreError::Lost);
                    }
                }
            }
        }
    }

    /// Returns why the files could not be synced. After such an error nothing is saved any more.
    #[must_use]
    pub fn output_error(&self) -> Option<StoreError> {
        self.health().filter(|error| matches!(error, StoreError::Output { .. }))
    }

    /// Records that the files end exactly where the last checkpoint says, so that
    /// [`CheckpointWorker::finish`] marks them as ended cleanly.
    pub fn mark_clean(&self) {
        self.shared.lock().is_clean = true;
    }

    /// Returns why the last save failed; `None` while saving works.
    #[must_use]
    pub fn health(&self) -> Option<StoreError> {
        self.shared.lock().error.clone()
    }

    /// Commits the newest checkpoint, with one more try if it had failed, closes the store and ends
    /// the thread.
    ///
    /// # Errors
    /// The error of the last save. The newest checkpoint is then not saved.
    pub fn finish(mut self) -> Result<(), StoreError> {
        self.end()?;
        self.shared.lock().error.take().map_or(Ok(()), Err)
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.shared.lock().is_finishing = true;
        self.shared.changed.notify_one();
        thread.join().map_err(|_| StoreError::Lost)
    }
}

impl Drop for CheckpointWorker {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl fmt::Debug for CheckpointWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointWorker").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl Shared {
    /// A poisoned lock is still valid: no code that holds it can panic within a change.
    fn lock(&self) -> MutexGuard<'_, WorkerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until there is work.
    fn next(&self) -> Work {
        let idle = |state: &mut WorkerState| {
            !state.is_due && !state.is_finishing && state.starts.is_none()
        };
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_due = false;
        Work {
            gaps: std::mem::take(&mut state.gaps),
            checkpoint: state.pending.take(),
            starts: state.starts.take(),
            is_last: state.is_finishing,
            is_clean: state.is_clean,
        }
    }

    /// Puts gaps back that could not be saved.
    fn keep(&self, gaps: Vec<Gap>, error: StoreError) {
        let mut state = self.lock();
        state.gaps.splice(0..0, gaps);
        state.error = Some(error);
    }

    /// Records the result of a save. Returns whether it differs from the previous one.
    fn note(&self, checkpoint: Checkpoint, outcome: &Result<(), StoreError>) -> bool {
        let mut state = self.lock();
        let was_failing = state.error.is_some();
        state.error = outcome.as_ref().err().cloned();
        if state.error.is_some() {
            match &mut state.pending {
                Some(newer) => newer.supersede(checkpoint),
                empty => *empty = Some(checkpoint),
            }
        }
        was_failing != state.error.is_some()
    }
}

struct Worker<F> {
    shared: Arc<Shared>,
    store: Store,
    consumer: String,
    on_change: F,
    /// The error of a file that could not be synced. The system reports it once and lets a second
    /// try succeed although bytes are lost, so there is no second try.
    broken: Option<StoreError>,
}

impl<F: FnMut(SaveHealth<'_>)> Worker<F> {
    fn run(mut self) {
        loop {
            let work = self.shared.next();
            self.note(work.gaps);
            if let Some(checkpoint) = work.checkpoint {
                self.save(checkpoint);
            }
            if let Some((what, answer)) = work.starts {
                let begun = match what {
                    Start::Nothing => Ok(()),
                    Start::Output(record) => self.store.persist_output(&self.consumer, &record),
                    Start::Run(at) => self.store.persist_start(&self.consumer, &at, now()),
                    // The cursor of an earlier run is then still saved, and stays.
                    Start::RunAgain(_) if self.store.has_cursor_override() => Ok(()),
                    Start::RunAgain(at) => self.store.set(&self.consumer, &at, now()),
                };
                // The caller may have given up.
                let _ = answer.send(begun);
            }
            if work.is_last {
                if work.is_clean {
                    self.close_outputs();
                }
                return;
            }
        }
    }

    fn note(&mut self, mut gaps: Vec<Gap>) {
        while let Some(gap) = gaps.first() {
            if let Err(error) = self.store.record_gap(&self.consumer, gap) {
                return self.shared.keep(gaps, error);
            }
            gaps.remove(0);
        }
    }

    fn save(&mut self, checkpoint: Checkpoint) {
        let outcome = self.sync(&checkpoint);
        let outcome = outcome.and_then(|()| self.store.save(&self.consumer, &checkpoint, now()));
        if outcome.is_ok() {
            checkpoint.outputs().iter().for_each(Output::committed);
        }
        if self.shared.note(checkpoint, &outcome) {
            match &outcome {
                Ok(()) => (self.on_change)(SaveHealth::Recovered),
                Err(error) => (self.on_change)(SaveHealth::Failing(error)),
            }
        }
    }

    /// Syncs the files of a checkpoint to the disk.
    fn sync(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        for output in checkpoint.outputs() {
            if let Err(error) = output.sync() {
                let path = output.record().path.clone();
                let error = StoreError::Output { path, cause: error.to_string() };
                self.broken = Some(error.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    fn close_outputs(&mut self) {
        let is_saved = self.shared.lock().error.is_none();
        if is_saved && let Err(error) = self.store.close_outputs(&self.consumer) {
            self.shared.lock().error = Some(error);
        }
    }
}

/// Returns the current time. It shows people when a cursor was saved; nothing depends on it.
fn now() -> TimeUs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeUs(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
