//! The tables of the state file and how an older file becomes a current one. Knows SQL, and
//! nothing of positions.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a SQLite file as ours: the bytes "Skyt".
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Skyt");

/// The schema that this program writes.
pub const VERSION: i32 = 5;

/// One entry a version, oldest first; the first makes an empty file version 1. An entry that
/// was released is never edited: a change is a new entry.
///
/// Integers are signed in SQLite and unsigned here: a time beyond the year 292,000, which only
/// a lying server sends, shows as a negative number and reads back as what it was.
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
];

/// The schema version of an open file; 0 for an empty one.
///
/// # Errors
/// As SQLite reports.
pub fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether nobody has put anything into the file yet.
///
/// # Errors
/// As SQLite reports.
pub fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Brings an empty or older file to [`VERSION`]. Each step is one transaction and reads the
/// version inside it, so that two programs may arrive at the same time.
///
/// # Errors
/// As SQLite reports; the file is then as the last whole step left it.
pub fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(connection, VERSION)
}

/// Brings an empty or older file to the version `to`, as [`migrate`] does.
///
/// # Errors
/// As SQLite reports.
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
