//! Writes to a database: rows and position are committed together, so that the commit is the
//! checkpoint.

use std::thread;
use std::time::{Duration, Instant};

use crate::checkpoint::CursorValue;
use crate::checkpoint::store::ManualCursor;
use crate::position::{StartPosition, TimeUs};
use crate::sink::sqlite::Feed;
use crate::sink::sqlite::error::DatabaseError;
use crate::sink::{Delivered, SinkError};
use crate::source::protocol::Protocol;
use crate::source::{ConnectionInfo, RequestedCursor};

use super::Writer;
use super::checkpointing::Unsaved;

/// The pause between two attempts to commit while no more lines can wait.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// How many times the usual interval passes between two commits of history: larger transactions
/// change fewer pages for each event.
const HISTORY_FACTOR: u32 = 5;

/// What a writer remembers of the database that it writes.
#[derive(Debug, Default)]
pub(super) struct DatabaseState {
    /// The connection that the newest lines come from, and whether it is known to be v1.
    feed: Option<(u64, bool)>,
    /// Whether the last commit failed.
    is_failing: bool,
    /// When the last commit of the run gives up; `None` before the end of the run.
    last_until: Option<Instant>,
}

impl Writer {
    /// Notes in the database where the next lines come from.
    pub(super) fn begin_feed(&mut self, connection: &ConnectionInfo) -> Result<(), SinkError> {
        let Some(database) = self.config.sink.database() else { return Ok(()) };
        let is_v1 = connection.protocol == Protocol::V1;
        let feed = Some((connection.number, is_v1));
        if self.database.feed == feed {
            return Ok(());
        }
        self.database.feed = feed;
        let is_archive = connection.requested == RequestedCursor::Archive;
        database.begin_feed(&Feed { origin: &connection.origin, is_v1, is_archive })?;
        Ok(())
    }

    /// Returns whether a commit is due, because no more lines may wait.
    pub(super) fn is_database_full(&mut self) -> bool {
        self.config.sink.database().is_some_and(|database| database.is_full())
    }

    /// Returns the time between two checkpoints: longer while a run reads history into a database.
    pub(super) fn commit_interval(&mut self) -> Duration {
        let interval = self.config.every.interval;
        let now = TimeUs(crate::metrics::now_us());
        match self.config.sink.database() {
            Some(database) if database.is_behind(now) => interval * HISTORY_FACTOR,
            _ => interval,
        }
    }

    /// Commits all lines with the position. A failure that may pass is reported once, and the next
    /// checkpoint tries again; the run waits only if no more lines can wait.
    pub(super) fn save_database(&mut self) -> Result<(), SinkError> {
        let (resume, filter) = (self.processor.resume(), self.processor.filter_stamp());
        let lists = self.processor.additions();
        let delivered = loop {
            let Some(database) = self.config.sink.database() else { return Ok(()) };
            database.set_filter(filter.clone());
            database.set_lists(lists.clone());
            let error = match database.commit(resume.as_ref()) {
                Ok(delivered) => break delivered,
                Err(error) => error,
            };
            let must_wait = database.is_full() || self.database.last_until.is_some();
            self.check_transient(&error)?;
            if !must_wait {
                self.unsaved.since = Instant::now();
                return Ok(());
            }
            self.wait_to_retry(error)?;
        };
        self.on_committed(delivered);
        Ok(())
    }

    /// Records in the database where the run begins, so that a run that is killed before its first
    /// commit begins there again. Waits as a commit does.
    pub(super) fn persist_database_start(&mut self, begun: &ManualCursor) -> Result<(), SinkError> {
        let start = match begun.at {
            CursorValue::Time(time) => StartPosition::Time(time),
            CursorValue::Seq(seq) => StartPosition::Seq(seq),
        };
        loop {
            let Some(database) = self.config.sink.database() else { return Ok(()) };
            let Err(error) = database.persist_start(&start, begun.server.as_deref()) else {
                self.report_recovered();
                return Ok(());
            };
            self.check_transient(&error)?;
            self.wait_to_retry(error)?;
        }
    }

    /// Fails unless a later attempt may succeed. Warns the user at the first failure.
    fn check_transient(&mut self, error: &DatabaseError) -> Result<(), SinkError> {
        if !error.is_transient() {
            return Err(error.clone().into());
        }
        if !self.database.is_failing {
            self.database.is_failing = true;
            tracing::warn!("{error}; the events wait, and the run tries again");
        }
        Ok(())
    }

    /// Waits before another attempt. Fails with `error` if the run may wait no longer.
    fn wait_to_retry(&self, error: DatabaseError) -> Result<(), SinkError> {
        let until = self.database.last_until.or_else(|| self.config.stop.deadline());
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(error.into());
        }
        thread::sleep(RETRY_AFTER);
        Ok(())
    }

    fn report_recovered(&mut self) {
        if std::mem::take(&mut self.database.is_failing) {
            tracing::warn!("the database takes events again");
        }
    }

    fn on_committed(&mut self, delivered: Delivered) {
        self.report_recovered();
        self.unsaved = Unsaved::default();
        self.proven = self.processor.position().cloned();
        if let (Some(worker), Some(resume)) =
            (&self.config.checkpoint_worker, self.processor.resume())
        {
            worker.save(self.checkpoint(delivered, resume));
        }
    }

    /// Prepares the last commit of the run.
    pub(super) fn begin_last_commit(&mut self) {
        self.database.last_until = Some(self.config.stop.deadline_from_now());
    }
}
