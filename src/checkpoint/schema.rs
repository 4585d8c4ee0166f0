//! The tables of the state file, and the migrations that bring an older file to the current
//! version. This module is SQL only; `row` and `store` give the columns their meaning, and
//! `docs/reference/state-file.md` describes them for other programs.

use rusqlite::{Connection, TransactionBehavior};

/// SQLite's `application_id` of a state file: the bytes "Skyt".
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Skyt");

/// The schema version that this program writes, as SQLite's `user_version`.
pub const VERSION: i32 = 9;

/// One entry per version, oldest first; the first makes an empty file version 1. A released entry
/// is never edited: a change is a new entry.
///
/// Integers are signed in SQLite and unsigned in the program. A time after the year 292,000, which
/// only a server with a false clock sends, is stored as a negative number and read back unchanged.
const MIGRATIONS: [&str; VERSION as usize] = [
    "
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Makes the identities of this file unpredictable to servers; 16 hexadecimal digits.
INSERT INTO meta (key, value) VALUES ('identity_seed', lower(hex(randomblob(8))));

CREATE TABLE consumers (
  name TEXT PRIMARY KEY,
  updated_at_us INTEGER NOT NULL,   -- all times: microseconds since 1970
  -- Where a tail stopped. All NULL while a cursor set by hand waits for its tail.
  server TEXT,
  server_kind TEXT,                 -- 'legacy' or 'v2'
  newest_time_us INTEGER,           -- the newest event that was dealt with
  newest_seq INTEGER,               -- NULL on a legacy server
  rewind_time_us INTEGER,           -- where a replay can be told apart from what is new
  rewind_seq INTEGER,
  latest_time_us INTEGER,           -- the highest time seen
  identities BLOB,                  -- of what was written since the rewind mark: unsigned
                                    -- 64-bit little-endian hashes, oldest first
  -- What `skytail cursors set` asked for: one of the two numbers.
  set_time_us INTEGER,
  set_seq INTEGER,
  set_server TEXT,                  -- NULL for any
  -- The place that a set, or a run with a start of its own, replaced last.
  previous_server TEXT,
  previous_time_us INTEGER,
  previous_seq INTEGER,
  previous_updated_at_us INTEGER
) STRICT, WITHOUT ROWID;

-- Events that could not be had.
CREATE TABLE gaps (
  consumer TEXT NOT NULL,
  seen_at_us INTEGER NOT NULL,
  from_us INTEGER,
  to_us INTEGER,
  from_seq INTEGER,
  to_seq INTEGER,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX gaps_by_consumer ON gaps (consumer, seen_at_us);
",
    "
-- A fingerprint of the filter that the position was made with; NULL where not known.
ALTER TABLE consumers ADD COLUMN stream INTEGER;
",
    "
-- The files that consumers write.
CREATE TABLE outputs (
  consumer TEXT NOT NULL,
  path TEXT NOT NULL,               -- absolute
  ordinal INTEGER NOT NULL,         -- the order in which a consumer began them
  pattern TEXT NOT NULL,            -- the name as given, made absolute
  rotation TEXT,                    -- 'hourly', 'daily' or 'size'; NULL for a single file
  state TEXT NOT NULL,              -- 'open', 'done' or 'clean'
  length_bytes INTEGER NOT NULL,    -- at the saved position
  tail_hash INTEGER NOT NULL,       -- xxh3 of the last 64 KiB before that length
  period_start_us INTEGER,          -- the instant in its name
  number INTEGER NOT NULL,          -- the number in its name; 0 for none
  PRIMARY KEY (consumer, path)
) STRICT, WITHOUT ROWID;
",
    "
-- How many gaps a row stands for.
ALTER TABLE gaps ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
",
    "
-- The cursors that a set, a restore, or a run with a start of its own replaced. The columns are
-- those of consumers.
CREATE TABLE earlier_positions (
  consumer TEXT NOT NULL,
  replaced_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  server TEXT,
  server_kind TEXT,
  newest_time_us INTEGER,
  newest_seq INTEGER,
  rewind_time_us INTEGER,
  rewind_seq INTEGER,
  latest_time_us INTEGER,
  identities BLOB,
  stream INTEGER,
  set_time_us INTEGER,
  set_seq INTEGER,
  set_server TEXT
) STRICT;
CREATE INDEX earlier_positions_by_consumer ON earlier_positions (consumer, replaced_at_us);

-- 1 if a run that was asked to save wrote the position, 0 if not; NULL if not known.
ALTER TABLE consumers ADD COLUMN is_asked_for INTEGER;
",
    "
-- How far the saved position covers each partition of a broker's stream.
CREATE TABLE broker_offsets (
  consumer TEXT NOT NULL,
  target TEXT NOT NULL,             -- the broker's URL, without secrets
  partition INTEGER NOT NULL,       -- of a Kafka topic; 0 for NATS
  ordinal INTEGER NOT NULL,         -- the order in which a consumer began its outputs, files too
  state TEXT NOT NULL,              -- 'open' or 'clean'
  next_offset INTEGER NOT NULL,     -- the offset after the last message that is covered
  PRIMARY KEY (consumer, target, partition)
) STRICT, WITHOUT ROWID;

-- Before, they were rows of outputs. The path of a file is absolute and never begins like this.
INSERT INTO broker_offsets (consumer, target, partition, ordinal, state, next_offset)
SELECT consumer, pattern, number, ordinal, state, length_bytes FROM outputs
WHERE pattern GLOB 'kafka://*' OR pattern GLOB 'nats://*';
DELETE FROM outputs WHERE pattern GLOB 'kafka://*' OR pattern GLOB 'nats://*';
",
    "
-- Files that `skytail scrub` is replacing. A file is one of the two versions.
CREATE TABLE rewrites (
  path TEXT PRIMARY KEY,            -- as in outputs
  old_length_bytes INTEGER NOT NULL,
  old_tail_hash INTEGER NOT NULL,
  new_length_bytes INTEGER NOT NULL,
  new_tail_hash INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
",
    "
-- The filter in force at the position, and where it replaced another one while a run was active:
-- events up to there passed the other filter. NULL where not known.
ALTER TABLE consumers ADD COLUMN filter_fingerprint INTEGER;
ALTER TABLE consumers ADD COLUMN filter_since_server TEXT;
ALTER TABLE consumers ADD COLUMN filter_since_kind TEXT;
ALTER TABLE consumers ADD COLUMN filter_since_time_us INTEGER;
ALTER TABLE consumers ADD COLUMN filter_since_seq INTEGER;
",
    "
-- The accounts and collections of a consumer's lists, for --backfill-new.
CREATE TABLE filter_entries (
  consumer TEXT NOT NULL,
  list TEXT NOT NULL,               -- 'collection' or 'did'
  value TEXT NOT NULL,
  addition INTEGER,                 -- what waits for its history; NULL for a live entry
  PRIMARY KEY (consumer, list, value)
) STRICT, WITHOUT ROWID;

-- How far the history of what was added is delivered.
CREATE TABLE filter_additions (
  consumer TEXT NOT NULL,
  number INTEGER NOT NULL,
  server TEXT,                      -- NULL before the first part of it is delivered
  seq INTEGER,
  PRIMARY KEY (consumer, number)
) STRICT, WITHOUT ROWID;
",
];

/// Returns the schema version of an open file; 0 for an empty file.
///
/// # Errors
/// The error of SQLite.
pub fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns whether the file has no table yet.
///
/// # Errors
/// The error of SQLite.
pub fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Migrates an empty or older file to [`VERSION`]. Each step is one transaction that reads the
/// version itself, so two programs can migrate the same file at the same time.
///
/// # Errors
/// The error of SQLite; the steps before the failed one stay.
pub fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(connection, VERSION)
}

/// Migrates an empty or older file to version `to`, as [`migrate`] does.
///
/// # Errors
/// The error of SQLite.
pub fn migrate_to(connection: &mut Connection, to: i32) -> rusqlite::Result<()> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let from = version(&transaction)?;
        let step = usize::try_from(from).ok().and_then(|from| MIGRATIONS.get(from));
        let Some(step) = step.filter(|_| from < to) else { return Ok(()) };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", from + 1)?;
        transaction.commit()?;
    }
}

#[cfg(test)]
mod tests;
