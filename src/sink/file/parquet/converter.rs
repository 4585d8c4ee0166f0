//! The thread that converts periods beside the stream.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{ConvertError, ParquetSettings, convert};
use crate::paths;
use crate::sink::output_record::OutputRecord;

/// The handle of the thread. When it is dropped, the thread ends after the period that it converts.
#[derive(Debug)]
pub struct Converter {
    queue: Arc<Queue>,
    settings: ParquetSettings,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Ended>,
    results: Vec<Result<Vec<OutputRecord>, ConvertError>>,
    /// Whether no further period comes.
    is_closing: bool,
    /// Whether the periods that wait are to be left to the next run.
    is_leaving: bool,
}

/// A period that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its file of lines.
    pub record: OutputRecord,
    /// The file, locked until it is converted, so that a scrub that knows another state file or
    /// none leaves it alone; `None` if it could not be locked.
    pub file: Option<Arc<File>>,
}

impl Ended {
    /// Returns a period that an earlier run ended.
    #[must_use]
    pub fn by_earlier_run(record: OutputRecord) -> Self {
        let file = paths::open_without_link(File::options().read(true), &record.path);
        let file = file.ok().filter(|file| file.try_lock().is_ok()).map(Arc::new);
        Self { record, file }
    }
}

/// A period that has ended, and whose end the state file does not record yet.
#[derive(Clone, Debug)]
pub struct Waiting {
    queue: Arc<Queue>,
    ended: Ended,
}

impl Waiting {
    /// Passes the period to the thread. Called after the state file has recorded its end: a run
    /// that is killed before that truncates the file of lines, and reads its last events again.
    pub fn convert(&self) {
        let mut state = self.queue.lock();
        state.waiting.push_back(self.ended.clone());
        self.queue.changed.notify_all();
    }
}

impl Queue {
    /// A poisoned lock is still valid: no code that holds it can panic within a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next period; `None` if the thread is to end.
    fn next(&self) -> Option<Ended> {
        let is_idle =
            |state: &mut State| state.waiting.is_empty() && !state.is_closing && !state.is_leaving;
        let state = self.changed.wait_while(self.lock(), is_idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.is_leaving { None } else { state.waiting.pop_front() }
    }

    fn run(&self, settings: &ParquetSettings) {
        while let Some(ended) = self.next() {
            let result = convert(&ended, settings);
            drop(ended);
            let has_failed = result.is_err();
            let mut state = self.lock();
            state.results.push(result);
            state.is_leaving |= has_failed;
            self.changed.notify_all();
        }
    }
}

impl Converter {
    /// Returns a converter that has these periods to convert already.
    #[must_use]
    pub fn new(settings: ParquetSettings, ended: Vec<OutputRecord>) -> Self {
        let queue = Arc::new(Queue::default());
        queue.lock().waiting.extend(ended.into_iter().map(Ended::by_earlier_run));
        let mut converter = Self { queue, settings, thread: None };
        if !converter.queue.lock().waiting.is_empty() {
            converter.start();
        }
        converter
    }

    /// Returns the handle of a period that has ended.
    pub fn waiting(&mut self, ended: Ended) -> Waiting {
        self.start();
        Waiting { queue: Arc::clone(&self.queue), ended }
    }

    /// Starts the thread, if it does not run. Without it, the end of the run converts.
    fn start(&mut self) {
        if self.thread.is_some() {
            return;
        }
        let (queue, settings) = (Arc::clone(&self.queue), self.settings.clone());
        let thread = thread::Builder::new().name("converter".to_owned());
        self.thread = thread.spawn(move || queue.run(&settings)).ok();
    }

    /// Returns how many periods were converted, or failed, after the last call of
    /// [`Converter::results`].
    #[must_use]
    pub fn done(&self) -> usize {
        self.queue.lock().results.len()
    }

    /// Waits until a period is converted, at most this long.
    pub fn wait(&self, most: Duration) {
        let state = self.queue.lock();
        let before = state.results.len();
        let is_same = |state: &mut State| state.results.len() == before;
        drop(self.queue.changed.wait_timeout_while(state, most, is_same));
    }

    /// Returns the results since the last call.
    pub fn results(&mut self) -> Vec<Result<Vec<OutputRecord>, ConvertError>> {
        std::mem::take(&mut self.queue.lock().results)
    }

    /// Converts all periods that were passed to the thread, and returns the results since the last
    /// call of [`Converter::results`].
    pub fn finish(&mut self) -> Vec<Result<Vec<OutputRecord>, ConvertError>> {
        self.queue.lock().is_closing = true;
        self.queue.changed.notify_all();
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => return vec![Err(ConvertError::Lost)],
            Some(Ok(())) => {}
            None => self.queue.run(&self.settings),
        }
        self.results()
    }
}

impl Drop for Converter {
    fn drop(&mut self) {
        self.queue.lock().is_leaving = true;
        self.queue.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
