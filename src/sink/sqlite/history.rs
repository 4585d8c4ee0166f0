//! The table `events` of `?history`: every event in the order in which it came, without those of
//! deleted accounts.

use rusqlite::{CachedStatement, Connection};

use super::pending::{Entry, Pending};
use super::target::History;

const APPEND: &str = "
INSERT INTO events (id, did, kind, operation, collection, rkey, rev, seq, time_us, event)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const FORGET_ACCOUNT: &str = "DELETE FROM events WHERE did = ?1 AND id < ?2";
const FORGET_RECORD: &str =
    "DELETE FROM events WHERE did = ?1 AND collection = ?2 AND rkey = ?3 AND id < ?4";

/// The table `events`.
pub struct EventLog<'c> {
    connection: &'c Connection,
    append: CachedStatement<'c>,
    is_scrubbed: bool,
    /// The id of the first waiting event.
    first: i64,
}

impl<'c> EventLog<'c> {
    /// Prepares the statements; `None` without `?history`.
    pub fn new(connection: &'c Connection, history: History) -> rusqlite::Result<Option<Self>> {
        if history == History::Off {
            return Ok(None);
        }
        let newest: i64 =
            connection
                .query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))?;
        let append = connection.prepare_cached(APPEND)?;
        let is_scrubbed = history == History::Scrubbed;
        Ok(Some(Self { connection, append, is_scrubbed, first: newest + 1 }))
    }

    /// Appends all waiting events.
    pub fn append(&mut self, pending: &Pending) -> rusqlite::Result<()> {
        for (id, entry) in (self.first..).zip(pending.entries()) {
            let line = pending.line(entry);
            let header = entry.header.header(line);
            let commit = header.commit.as_ref();
            let of = |field: fn(&crate::event::header::Commit<'_>) -> String| commit.map(field);
            self.append.execute((
                id,
                &header.did,
                &header.kind_text,
                of(|commit| commit.operation_text.to_string()),
                of(|commit| commit.collection.to_string()),
                of(|commit| commit.rkey.to_string()),
                of(|commit| commit.rev.to_string()),
                header.cursor.map(u64::cast_signed),
                header.time_us.cast_signed(),
                String::from_utf8_lossy(line),
            ))?;
        }
        Ok(())
    }

    /// Removes the events of an account before the one that deleted it.
    pub fn forget_account(&self, did: &str, by: &Entry, pending: &Pending) -> rusqlite::Result<()> {
        let id = self.id(by, pending);
        self.connection.prepare_cached(FORGET_ACCOUNT)?.execute((did, id)).map(drop)
    }

    /// Removes the events of a record before the one that deleted it, with `?history=scrubbed`.
    pub fn forget_record(
        &self,
        did: &str,
        collection: &str,
        rkey: &str,
        by: &Entry,
        pending: &Pending,
    ) -> rusqlite::Result<()> {
        if !self.is_scrubbed {
            return Ok(());
        }
        let id = self.id(by, pending);
        let mut forget = self.connection.prepare_cached(FORGET_RECORD)?;
        forget.execute((did, collection, rkey, id)).map(drop)
    }

    /// Returns the id of a waiting event. Entries are in order, and each has a place of its own.
    fn id(&self, entry: &Entry, pending: &Pending) -> i64 {
        self.first + pending.index(entry) as i64
    }
}
