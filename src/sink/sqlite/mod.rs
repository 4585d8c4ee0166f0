//! Keeps the state of the network in a SQLite database: the newest record of each URI, without what
//! is deleted, and the status of each account. `docs/guide/sqlite.md` describes the tables.
//!
//! Events wait in memory until the next commit. One transaction then applies them to the tables and
//! replaces the position and the dedup keys in the same file, so that rows and position always
//! agree. The database is the authority: the state file has a copy of the position for people, and
//! a database that is moved takes its position along.

mod apply;
pub mod error;
pub mod export;
pub mod fields;
mod filter_stamp;
mod gaps;
mod history;
mod lists;
mod log;
mod marker;
mod open;
mod pending;
mod position;
mod schema;
pub mod target;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use crate::event::event_id::{EventIdKey, EventIdSecrets};
use crate::event::format::EventFormat;
use crate::filter::Filter;
use crate::filter::additions::{Additions, AdditionsCheckpoint};
use crate::platform::{self, FileId};
use crate::position::clock::Clock;
use crate::position::gap::Gap;
use crate::position::{FilterStamp, Origin, Resume, StartPosition, TimeUs};
use crate::sink::{Delivered, WriteRequest};

use apply::Fold;
use error::DatabaseError;
use gaps::ServerChange;
use log::LogLimits;
use pending::Pending;
pub use position::Saved;
use schema::{Found, Layout};
use target::Options;

pub use open::{absolute, readable};

/// How old tombstones are deleted, at most this many at each commit, so that no commit takes long.
const FORGET: &str = "
DELETE FROM tombstones WHERE (did, collection, rkey) IN
  (SELECT did, collection, rkey FROM tombstones WHERE time_us < ?1 ORDER BY time_us LIMIT 20000)";

/// How far the newest lines must lie in the past to count as history, in microseconds.
const BEHIND_US: u64 = 60_000_000;

/// The span of the stream's clock, in microseconds. Only tombstones depend on it.
const CLOCK_SPAN_US: u64 = 10_000_000;

/// The values of `--to sqlite:…` and of the flags that shape its tables.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// The file.
    pub path: PathBuf,
    /// The options of the address.
    pub options: Options,
    /// The fields of `--fields`.
    pub fields: Vec<String>,
    /// The filters as words, to compare them with those of the next run.
    pub stream: String,
    /// Whether the run may have other filters than the database was made for.
    pub accepts_stream: bool,
    /// The rules that read records: an update that no longer matches removes its row.
    pub rules: Option<Filter>,
}

impl DatabaseSettings {
    /// Checks that each field makes a column.
    ///
    /// # Errors
    /// The field and the problem with it.
    pub fn check_fields(&self) -> Result<(), String> {
        let (options, fields) = (self.options.clone(), self.fields.clone());
        Layout { options, fields }.columns().map(drop)
    }
}

/// The connection that lines come from.
#[derive(Clone, Debug)]
pub struct Feed<'a> {
    /// The server.
    pub origin: &'a Origin,
    /// Whether it sends v1, which does not have syncs.
    pub is_v1: bool,
    /// Whether it is the archive.
    pub is_archive: bool,
}

/// A database that a run writes.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    path: PathBuf,
    file_id: Option<FileId>,
    layout: Layout,
    rules: Option<Filter>,
    pending: Pending,
    /// Gaps that are not committed yet.
    gaps: Vec<Gap>,
    /// Changes of server that are not committed yet.
    changes: Vec<ServerChange>,
    /// The filters to record with the first commit, if they change.
    new_stream: Option<String>,
    /// The filter in force at the next position.
    filter: Option<FilterStamp>,
    /// The lists of `--backfill-new` at the next position.
    lists: Option<AdditionsCheckpoint>,
    /// The lists that the file has, if this run has written them.
    saved_lists: Option<Arc<Additions>>,
    clock: Clock,
    /// The time before which tombstones were deleted.
    forgotten_us: u64,
    /// The server of the newest lines.
    server: Option<Arc<str>>,
    /// Whether the indices that a backfill does without are there.
    has_indices: bool,
    /// Whether the newest lines come from an archive.
    is_archive: bool,
    log_limits: LogLimits,
    has_warned_of_log: bool,
    refused: u64,
}

impl Database {
    /// Opens the database of these settings, or makes it.
    ///
    /// # Errors
    /// [`DatabaseError`]; a file that is not ours, of a newer version, damaged, or made for another
    /// stream stays unchanged.
    pub fn open(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        let path = open::absolute(&settings.path)?;
        let layout = Layout { options: settings.options.clone(), fields: settings.fields.clone() };
        let (mut connection, found) = open::writable(&path)?;
        match found {
            Found::Empty => schema::create(&mut connection, &path, &layout, &settings.stream)?,
            Found::Database => {}
        }
        let (stream, accepts) = (&settings.stream, settings.accepts_stream);
        let is_changed = schema::check_purpose(&connection, &path, &layout, stream, accepts)?;
        let failed = |error: rusqlite::Error| DatabaseError::from_sqlite(&path, &error);
        let meta = |key| schema::meta(&connection, key).map_err(failed);
        let mut clock = Clock::new(CLOCK_SPAN_US);
        if let Some(us) = meta("clock_us")?.and_then(|us| us.parse().ok()) {
            clock.set(TimeUs(us));
        }
        let server = meta("server")?.map(Arc::from);
        let has_indices = meta("indices")?.is_some();
        Ok(Self {
            file_id: file_id_of(&path),
            connection,
            path,
            layout,
            rules: settings.rules.clone(),
            pending: Pending::default(),
            gaps: Vec::new(),
            changes: Vec::new(),
            new_stream: is_changed.then(|| settings.stream.clone()),
            filter: None,
            lists: None,
            saved_lists: None,
            clock,
            forgotten_us: 0,
            server,
            has_indices,
            is_archive: false,
            log_limits: LogLimits::default(),
            has_warned_of_log: false,
            refused: 0,
        })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the next run starts; `None` for a new database.
    ///
    /// # Errors
    /// [`DatabaseError`] if the row can't be read or is damaged.
    pub fn saved(&self) -> Result<Option<Saved>, DatabaseError> {
        let loaded = position::load(&self.connection).map_err(|error| self.error(&error))?;
        loaded.map_err(|bad| {
            let cause = format!("in the table skytail_position, {} {}", bad.column, bad.problem);
            DatabaseError::Damaged { path: self.path.clone(), cause }
        })
    }

    /// Returns what the dedup keys of this database are made with.
    ///
    /// # Errors
    /// [`DatabaseError`] if the key can't be read or is damaged.
    pub fn secrets(&self) -> Result<EventIdSecrets, DatabaseError> {
        let key = schema::meta(&self.connection, "identity_key");
        let key = key.map_err(|error| self.error(&error))?.unwrap_or_default();
        let number = u128::from_str_radix(&key, 16).ok().filter(|_| key.len() == 32);
        match number {
            Some(number) => Ok(EventIdSecrets { key: EventIdKey::new(number), legacy_seed: None }),
            None => Err(DatabaseError::Damaged {
                path: self.path.clone(),
                cause: "identity_key in the table skytail_meta is not 32 hexadecimal digits"
                    .to_owned(),
            }),
        }
    }

    /// Records where a run begins, unless a position is saved.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn persist_start(
        &self,
        start: &StartPosition,
        server: Option<&str>,
    ) -> Result<(), DatabaseError> {
        position::save_start(&self.connection, start, server).map_err(|error| self.error(&error))
    }

    /// Notes where the next lines come from.
    ///
    /// # Errors
    /// [`DatabaseError::V1`] if `?strict` refuses the connection.
    pub fn begin_feed(&mut self, feed: &Feed<'_>) -> Result<(), DatabaseError> {
        let server = &feed.origin.server;
        self.is_archive = feed.is_archive;
        if feed.is_v1 && self.layout.options.strict {
            return Err(DatabaseError::V1 { server: server.to_string() });
        }
        if self.server.as_ref().is_some_and(|known| known != server) {
            let place = self.pending.entries().len();
            self.changes.push(ServerChange { place, at: self.clock.latest() });
        }
        self.server = Some(Arc::clone(server));
        Ok(())
    }

    /// Takes lines, which the next commit applies.
    pub fn write(&mut self, request: &WriteRequest<'_>) {
        let (lines, outputs) = match request.originals {
            Some((lines, from)) => (lines, Some((request.lines, from))),
            None => (request.lines, None),
        };
        let from = outputs.map_or(0, |(_, from)| from);
        let count = outputs.map_or(lines.len(), |(outputs, _)| outputs.len());
        for (i, span) in lines.spans().iter().enumerate().skip(from).take(count) {
            let line = lines.bytes().get(span.start..span.end - 1).unwrap_or_default();
            // The dedup stage has parsed the line.
            let Some(header) = lines.header(i).or_else(|| EventFormat::V1.parse_spans(line).ok())
            else {
                continue;
            };
            self.clock.note(TimeUs(header.time_us));
            let output = outputs.and_then(|(outputs, from)| {
                let span = outputs.spans().get(i - from)?;
                outputs.bytes().get(span.start..span.end)
            });
            let record = match &self.rules {
                Some(rules) if !rules.wants_record(&header.header(line), line, EventFormat::V1) => {
                    Some(&b""[..])
                }
                _ => output.map(<[u8]>::trim_ascii),
            };
            self.pending.push(line, header, record, self.clock.latest().0);
        }
    }

    /// Records a gap with the next commit.
    pub fn record_gap(&mut self, gap: &Gap) {
        self.gaps.push(gap.clone());
    }

    /// Returns whether no more lines should wait: a commit is due.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pending.is_full()
    }

    /// Returns whether the newest lines are history by this machine's clock. No program
    /// waits for their rows, so that a commit can wait for more of them.
    #[must_use]
    pub fn is_behind(&self, now: TimeUs) -> bool {
        self.clock.latest().plus_us(BEHIND_US) < now
    }

    /// Applies the waiting lines and replaces the position, in one transaction.
    ///
    /// # Errors
    /// [`DatabaseError`]; the database is then as before, and the lines wait for the next attempt.
    pub fn commit(&mut self, resume: Option<&Resume>) -> Result<Delivered, DatabaseError> {
        // SQLite would continue to write to a file that no program can open any more.
        if self.file_id != file_id_of(&self.path) {
            return Err(DatabaseError::Gone { path: self.path.clone() });
        }
        self.keep_log_short()?;
        let committed = self.commit_all(resume);
        let refused = committed.map_err(|error| self.error(&error))?;
        self.report_refused(refused);
        self.pending.clear();
        self.gaps.clear();
        self.changes.clear();
        self.build_indices()?;
        Ok(Delivered::of_database())
    }

    fn commit_all(&mut self, resume: Option<&Resume>) -> rusqlite::Result<u64> {
        let latest = self.clock.latest().0;
        let horizon = latest.saturating_sub(self.layout.options.tombstones_us);
        let forgets = horizon > self.forgotten_us;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut fold = Fold::new(&transaction, &self.layout.options)?;
        fold.log(&self.pending)?;
        let mut applied = 0;
        for change in &self.changes {
            fold.apply(&self.pending, applied..change.place)?;
            gaps::record_change(&transaction, *change)?;
            applied = change.place;
        }
        fold.apply(&self.pending, applied..self.pending.entries().len())?;
        let refused = fold.refused;
        drop(fold);
        gaps::record(&transaction, &self.gaps)?;
        if forgets {
            transaction.prepare_cached(FORGET)?.execute([horizon.cast_signed()])?;
        }
        if let Some(stream) = &self.new_stream {
            schema::put_meta(&transaction, "filters", stream)?;
        }
        schema::put_meta(&transaction, "clock_us", latest.cast_signed())?;
        schema::put_meta(&transaction, "server", self.server.as_deref())?;
        if let Some(resume) = resume {
            position::save(&transaction, resume)?;
            if let Some(filter) = &self.filter {
                filter_stamp::save(&transaction, filter)?;
            }
        }
        lists::save(&transaction, self.lists.as_ref(), self.saved_lists.as_ref())?;
        transaction.commit()?;
        self.saved_lists = self.lists.as_ref().map(|lists| Arc::clone(&lists.state));
        self.new_stream = None;
        self.forgotten_us = horizon;
        Ok(refused)
    }

    /// Makes the indices that a backfill does without, once the archive is read.
    fn build_indices(&mut self) -> Result<(), DatabaseError> {
        if self.has_indices || self.is_archive {
            return Ok(());
        }
        let sql = schema::indices(&self.layout);
        let built = self.connection.transaction().and_then(|transaction| {
            transaction.execute_batch(&sql)?;
            schema::put_meta(&transaction, "indices", 1)?;
            transaction.commit()
        });
        built.map_err(|error| self.error(&error))?;
        self.has_indices = true;
        Ok(())
    }

    fn report_refused(&mut self, refused: u64) {
        if refused > 0 && self.refused == 0 {
            tracing::warn!(
                "left {refused} records out, because SQLite does not accept what --jq made of them: it is nested too deeply"
            );
        }
        self.refused += refused;
    }

    fn error(&self, error: &rusqlite::Error) -> DatabaseError {
        DatabaseError::from_sqlite(&self.path, error)
    }
}

fn file_id_of(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|found| platform::file_id(&found))
}
