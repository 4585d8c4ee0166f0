//! The thread that looks once a second whether a file of the filter has changed, and passes the
//! new filter to the run.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::filter_files::{FilesError, FilterFiles, Texts, digest};
use super::filter_hints;
use crate::filter::Filter;
use crate::pipeline::filter_updates::{FilterSender, FilterUpdates, Wake, filter_updates};
use crate::settings::TailSettings;

/// The time between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a changed file must stay the same before it is read, because a program may still be
/// writing it.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// The time after which handles that could not be resolved are tried again.
const RESOLVE_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What the thread knows.
struct Watcher {
    files: FilterFiles,
    settings: TailSettings,
    /// The DIDs of resolved handles.
    known: HashMap<String, String>,
    sender: FilterSender,
    /// The digest of what was judged last.
    judged: Option<u64>,
    /// The filter that was sent last, or that the run began with.
    sent: Arc<Filter>,
    /// The problem that was logged last.
    warned: Option<String>,
    /// When to resolve handles again.
    retry_at: Option<Instant>,
}

/// Starts the thread. It ends with the run. `known` holds the DIDs of the handles that were resolved
/// at the start, each with its handle.
///
/// # Errors
/// The system's, if it starts no thread.
pub fn watch(
    files: FilterFiles,
    settings: &TailSettings,
    known: Vec<(String, String)>,
) -> io::Result<FilterUpdates> {
    let (sender, updates) = filter_updates();
    let mut watcher = Watcher {
        files,
        settings: settings.clone(),
        known: known.into_iter().map(|(did, handle)| (handle, did)).collect(),
        sender,
        judged: None,
        sent: Arc::new(settings.filter.clone()),
        warned: None,
        retry_at: None,
    };
    std::thread::Builder::new().name("filters".into()).spawn(move || watcher.run())?;
    Ok(updates)
}

impl Watcher {
    fn run(&mut self) {
        // What the run began with was read at an earlier moment.
        let mut wake = Wake::TimedOut;
        while wake != Wake::RunEnded {
            self.look(wake);
            wake = self.sender.wait(LOOK_EVERY);
        }
    }

    /// Reads the files, and passes on what they say if that is new.
    fn look(&mut self, wake: Wake) {
        let mut texts = self.files.read();
        let is_retry = self.retry_at.is_some_and(|at| Instant::now() >= at);
        if self.judged == Some(digest(&texts)) && !is_retry {
            return;
        }
        // A signal says that the file is complete.
        if wake != Wake::Requested {
            std::thread::sleep(SETTLE_TIME);
            let again = self.files.read();
            if digest(&again) != digest(&texts) {
                return;
            }
            texts = again;
        }
        self.judged = Some(digest(&texts));
        self.judge(&texts);
    }

    fn judge(&mut self, texts: &Texts) {
        self.retry_at = None;
        let begun = Instant::now();
        let filter =
            self.files.filter(texts, &self.settings.filter, &mut self.known, &self.settings);
        match filter {
            Ok(filter) => {
                self.warned = None;
                if filter.lists_equal(&self.sent) {
                    return;
                }
                let ms = begun.elapsed().as_secs_f64() * 1e3;
                if filter.collections != self.sent.collections
                    || filter.excluded != self.sent.excluded
                {
                    filter_hints::warn_of_misspelled(&filter);
                }
                self.sent = Arc::new(filter);
                self.sender.send(Arc::clone(&self.sent));
                tracing::debug!(ms, "read a new filter");
            }
            Err(FilesError::Invalid(problem)) => self.warn(problem),
            Err(FilesError::Unresolved(problem)) => {
                self.retry_at = Some(Instant::now() + RESOLVE_AGAIN_AFTER);
                self.warn(problem);
            }
        }
    }

    /// Logs why the old filter stays, once as long as the reason is the same.
    fn warn(&mut self, problem: String) {
        if self.warned.as_ref() == Some(&problem) {
            return;
        }
        tracing::warn!("the filter stays as it is: {problem}");
        self.warned = Some(problem);
    }
}
