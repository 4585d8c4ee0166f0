//! Applies waiting events to the tables, account by account: the fold of `docs/guide/sqlite.md`.

use std::ops::Range;

use rusqlite::{CachedStatement, Connection};

use super::history::EventLog;
use super::marker::{self, Body, Marker};
use super::pending::{Entry, Pending, RecordText};
use super::target::Options;
use crate::event::header::{Commit, Kind, Operation};
use crate::event::json_string::shortest_escapes;
use crate::event::record;

const UPSERT: &str = "
INSERT INTO records (did, collection, rkey, cid, rev, seq, time_us, record)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, RECORD)
ON CONFLICT (did, collection, rkey) DO UPDATE SET cid = excluded.cid, rev = excluded.rev,
  seq = excluded.seq, time_us = excluded.time_us, record = excluded.record
WHERE excluded.rev >= rev";
const REMOVE: &str =
    "DELETE FROM records WHERE did = ?1 AND collection = ?2 AND rkey = ?3 AND rev <= ?4";
const REMOVE_EARLIER: &str = "DELETE FROM records WHERE did = ?1 AND rev < ?2";
/// A row that is left is later than the delete, which therefore leaves nothing behind.
const BURY: &str = "
INSERT INTO tombstones (did, collection, rkey, rev, time_us) SELECT ?1, ?2, ?3, ?4, ?5
WHERE NOT EXISTS (SELECT 1 FROM records WHERE did = ?1 AND collection = ?2 AND rkey = ?3)
ON CONFLICT DO UPDATE SET rev = max(rev, excluded.rev), time_us = excluded.time_us";
const BURIED: &str =
    "SELECT rev, time_us FROM tombstones WHERE did = ?1 AND collection = ?2 AND rkey = ?3";
const DIG_UP: &str = "DELETE FROM tombstones WHERE did = ?1 AND collection = ?2 AND rkey = ?3";
const DIG_UP_EARLIER: &str = "DELETE FROM tombstones WHERE did = ?1 AND rev < ?2";
const NEWEST_REV: &str = "
SELECT max(coalesce((SELECT max(rev) FROM records WHERE did = ?1), ''),
  coalesce((SELECT max(rev) FROM tombstones WHERE did = ?1), ''))";
/// One statement for both, because each one costs more than what it looks up.
const ACCOUNT: &str = "
SELECT (SELECT rev FROM accounts WHERE did = ?1), EXISTS (SELECT 1 FROM tombstones WHERE did = ?1)";
const SET_FLOOR: &str = "
INSERT INTO accounts (did, rev) VALUES (?1, ?2)
ON CONFLICT DO UPDATE SET rev = excluded.rev WHERE excluded.rev > rev";
/// A status that comes again changes nothing: a deletion would remove what came after it.
const SET_STATUS: &str = "
INSERT INTO accounts (did, active, status, time_us) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET active = excluded.active, status = excluded.status,
  time_us = excluded.time_us WHERE excluded.time_us > time_us";
const SET_HANDLE: &str = "
INSERT INTO accounts (did, handle, handle_time_us) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET handle = excluded.handle, handle_time_us = excluded.handle_time_us
WHERE excluded.handle_time_us >= handle_time_us";
const SET_SYNCED: &str = "UPDATE accounts SET synced_time_us = ?2 WHERE did = ?1";

/// The tables, with the statements that change them.
pub struct Fold<'c> {
    connection: &'c Connection,
    options: &'c Options,
    upsert: CachedStatement<'c>,
    remove: CachedStatement<'c>,
    bury: CachedStatement<'c>,
    buried: CachedStatement<'c>,
    account: CachedStatement<'c>,
    log: Option<EventLog<'c>>,
    /// Outputs of `--jq` that SQLite does not accept as JSON.
    pub refused: u64,
}

/// The account whose events are applied.
struct Account<'a> {
    did: &'a str,
    /// The revision before which records don't count.
    floor: String,
    /// Whether one of its records may have a tombstone.
    has_buried: bool,
}

impl<'c> Fold<'c> {
    /// Prepares the statements.
    pub fn new(connection: &'c Connection, options: &'c Options) -> rusqlite::Result<Self> {
        let record = if options.jsonb { "jsonb(?8)" } else { "?8" };
        Ok(Self {
            connection,
            options,
            upsert: connection.prepare_cached(&UPSERT.replace("RECORD", record))?,
            remove: connection.prepare_cached(REMOVE)?,
            bury: connection.prepare_cached(BURY)?,
            buried: connection.prepare_cached(BURIED)?,
            account: connection.prepare_cached(ACCOUNT)?,
            log: EventLog::new(connection, options.history)?,
            refused: 0,
        })
    }

    /// Appends all events to the table `events`, if there is one.
    pub fn log(&mut self, pending: &Pending) -> rusqlite::Result<()> {
        self.log.as_mut().map_or(Ok(()), |log| log.append(pending))
    }

    /// Applies the events at these places of their order.
    pub fn apply(&mut self, pending: &Pending, places: Range<usize>) -> rusqlite::Result<()> {
        let events = pending.by_account(places);
        for group in events.chunk_by(|a, b| a.0 == b.0) {
            let Some((did, _)) = group.first() else { continue };
            let (floor, has_buried): (Option<String>, bool) =
                self.account.query_row([did], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut account = Account { did, floor: floor.unwrap_or_default(), has_buried };
            for (_, entry) in group {
                self.apply_event(&mut account, entry, pending)?;
            }
        }
        Ok(())
    }

    fn apply_event(
        &mut self,
        account: &mut Account<'_>,
        entry: &Entry,
        pending: &Pending,
    ) -> rusqlite::Result<()> {
        let line = pending.line(entry);
        let header = entry.header.header(line);
        if let Some(commit) = &header.commit {
            return self.apply_commit(account, commit, entry, pending);
        }
        if !matches!(header.kind, Kind::Account | Kind::Identity | Kind::Sync) {
            return Ok(());
        }
        let marker = Marker::parse(line);
        match (header.kind, &marker) {
            (Kind::Account, Marker { account: Some(body), .. }) => {
                self.apply_status(account, body, entry, pending)
            }
            (Kind::Identity, Marker { identity: Some(body), .. }) => {
                let Some(handle) = &body.handle else { return Ok(()) };
                let at = body.at_us(header.time_us, entry.clock_us).cast_signed();
                let mut set = self.connection.prepare_cached(SET_HANDLE)?;
                set.execute((account.did, handle, at)).map(drop)
            }
            (Kind::Sync, _) => {
                let rev = marker.sync.as_ref().and_then(|sync| sync.rev.as_deref());
                self.apply_sync(account, rev.unwrap_or_default(), entry)
            }
            _ => Ok(()),
        }
    }

    fn apply_commit(
        &mut self,
        account: &mut Account<'_>,
        commit: &Commit<'_>,
        entry: &Entry,
        pending: &Pending,
    ) -> rusqlite::Result<()> {
        let Commit { rev, collection, rkey, .. } = commit;
        if **rev < *account.floor {
            return Ok(());
        }
        match commit.operation {
            Operation::Other => Ok(()),
            Operation::Delete => {
                self.remove.execute((account.did, collection, rkey, rev))?;
                self.bury(account, commit, entry)?;
                match &mut self.log {
                    Some(log) => log.forget_record(account.did, collection, rkey, entry, pending),
                    None => Ok(()),
                }
            }
            _ if self.is_buried(account, commit, entry)? => Ok(()),
            operation => {
                let line = pending.line(entry);
                let found = record::find_with_cid(line);
                let text = match (entry.record, found) {
                    (RecordText::Own, Some((text, _))) => Some(text),
                    (RecordText::Rendered { .. }, Some(_)) => pending.rendered(entry),
                    _ => None,
                };
                let Some(text) = text else {
                    let removed = self.remove.execute((account.did, collection, rkey, rev))?;
                    // A late create of an earlier revision must not bring the record back. Before a
                    // create there was none, so that it needs no tombstone.
                    return match removed > 0 || operation == Operation::Update {
                        true => self.bury(account, commit, entry),
                        false => Ok(()),
                    };
                };
                if entry.record != RecordText::Own && !self.is_json(text)? {
                    self.refused += 1;
                    return Ok(());
                }
                // The archive and each kind of server escape other characters.
                let text = shortest_escapes(text);
                let cid = found.and_then(|(_, cid)| cid);
                let seq = entry.header.cursor().map(u64::cast_signed);
                let time = entry.header.time_us.cast_signed();
                let row = (account.did, collection, rkey, cid, rev, seq, time, &*text);
                self.upsert.execute(row).map(drop)
            }
        }
    }

    /// Remembers that a record is gone, so that an earlier event does not bring it back.
    fn bury(
        &mut self,
        account: &mut Account<'_>,
        commit: &Commit<'_>,
        entry: &Entry,
    ) -> rusqlite::Result<()> {
        let Commit { rev, collection, rkey, .. } = commit;
        account.has_buried = true;
        let at = entry.clock_us.cast_signed();
        self.bury.execute((account.did, collection, rkey, rev, at)).map(drop)
    }

    /// Returns whether a tombstone says that the record is gone. Removes a tombstone that no longer
    /// counts.
    fn is_buried(
        &mut self,
        account: &Account<'_>,
        commit: &Commit<'_>,
        entry: &Entry,
    ) -> rusqlite::Result<bool> {
        if !account.has_buried {
            return Ok(false);
        }
        let Commit { rev, collection, rkey, .. } = commit;
        let key = (account.did, &**collection, &**rkey);
        let mut rows = self.buried.query(key)?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let (buried, at): (String, i64) = (row.get(0)?, row.get(1)?);
        drop(rows);
        let ends = at.cast_unsigned().saturating_add(self.options.tombstones_us);
        if *buried >= **rev && ends >= entry.clock_us {
            return Ok(true);
        }
        self.connection.prepare_cached(DIG_UP)?.execute(key)?;
        Ok(false)
    }

    fn apply_status(
        &mut self,
        account: &mut Account<'_>,
        body: &Body<'_>,
        entry: &Entry,
        pending: &Pending,
    ) -> rusqlite::Result<()> {
        let Some(active) = body.active else { return Ok(()) };
        let at = body.at_us(entry.header.time_us, entry.clock_us);
        let row = (account.did, active, &body.status, at.cast_signed());
        let is_newer = self.connection.prepare_cached(SET_STATUS)?.execute(row)? > 0;
        // mutant: keeps-the-rows-of-a-deleted-account
        if !is_newer || !body.is_deletion() {
            return Ok(());
        }
        let newest = marker::after(&self.newest_rev(account)?);
        self.raise_floor(account, &newest.max(marker::first_rev_at(at)))?;
        match &mut self.log {
            Some(log) => log.forget_account(account.did, entry, pending),
            None => Ok(()),
        }
    }

    /// Removes what a repaired repository no longer has. The server then sends its records again,
    /// with the revision of the repair or a later one.
    fn apply_sync(
        &mut self,
        account: &mut Account<'_>,
        rev: &str,
        entry: &Entry,
    ) -> rusqlite::Result<()> {
        let rev = match rev {
            "" => self.newest_rev(account)?.max(account.floor.clone()),
            rev => rev.to_owned(),
        };
        if rev < account.floor {
            return Ok(());
        }
        self.raise_floor(account, &rev)?;
        let at = entry.clock_us.cast_signed();
        self.connection.prepare_cached(SET_SYNCED)?.execute((account.did, at)).map(drop)
    }

    /// Removes all records before a revision, and lets none of them return.
    fn raise_floor(&self, account: &mut Account<'_>, floor: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(SET_FLOOR)?.execute((account.did, floor))?;
        if *floor <= *account.floor {
            return Ok(());
        }
        self.connection.prepare_cached(REMOVE_EARLIER)?.execute((account.did, floor))?;
        self.connection.prepare_cached(DIG_UP_EARLIER)?.execute((account.did, floor))?;
        floor.clone_into(&mut account.floor);
        Ok(())
    }

    /// Returns the newest revision that is known of an account's records.
    fn newest_rev(&self, account: &Account<'_>) -> rusqlite::Result<String> {
        let mut statement = self.connection.prepare_cached(NEWEST_REV)?;
        statement.query_row([account.did], |row| row.get(0))
    }

    /// Returns whether SQLite accepts what `--jq` made: it refuses more than 1,000 levels. Events
    /// have fewer, and the dedup stage has checked their grammar.
    fn is_json(&self, text: &str) -> rusqlite::Result<bool> {
        let mut valid = self.connection.prepare_cached("SELECT json_valid(?1)")?;
        valid.query_row([text], |row| row.get(0))
    }
}
