//! The tables of a database. `docs/guide/sqlite.md` describes them for people.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _};

use super::error::DatabaseError;
use super::fields::{self, Column};
use super::target::{History, Options};

/// SQLite's `application_id` of a database: the bytes "Skyd".
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Skyd");

/// The `application_id` of a state file, for a better message.
const STATE_FILE_ID: i32 = i32::from_be_bytes(*b"Skyt");

/// The schema version that this program writes, as SQLite's `user_version`.
pub const VERSION: i32 = 1;

/// Columns of a position are those of the table `consumers` in the state file. Integers are signed
/// in SQLite and unsigned in the program.
const TABLES: &str = "
CREATE TABLE accounts (
  did TEXT PRIMARY KEY,
  active INTEGER NOT NULL DEFAULT 1,
  status TEXT,
  handle TEXT,
  rev TEXT NOT NULL DEFAULT '',     -- records of an earlier revision no longer count
  time_us INTEGER NOT NULL DEFAULT 0,
  handle_time_us INTEGER NOT NULL DEFAULT 0,
  synced_time_us INTEGER            -- when the repository was last repaired
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_by_sync ON accounts (synced_time_us) WHERE synced_time_us IS NOT NULL;

CREATE TABLE tombstones (
  did TEXT NOT NULL,
  collection TEXT NOT NULL,
  rkey TEXT NOT NULL,
  rev TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  PRIMARY KEY (did, collection, rkey)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_time ON tombstones (time_us);

CREATE TABLE skytail_gaps (
  did TEXT,                         -- the only account that the gap concerns
  seen_at_us INTEGER NOT NULL,
  from_us INTEGER,
  to_us INTEGER,
  from_seq INTEGER,
  to_seq INTEGER,
  reason TEXT NOT NULL
) STRICT;

CREATE TABLE skytail_meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
INSERT INTO skytail_meta VALUES ('identity_key', lower(hex(randomblob(16))));

CREATE TABLE skytail_position (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  server TEXT,
  server_kind TEXT,
  newest_time_us INTEGER,
  newest_seq INTEGER,
  rewind_time_us INTEGER,
  rewind_seq INTEGER,
  latest_time_us INTEGER,
  identities BLOB,
  stream INTEGER,
  start_time_us INTEGER,            -- where a run began that has not saved a position yet
  start_seq INTEGER
) STRICT;
";

/// Columns are listed by name, because those of `--fields` may follow.
const LIVE: &str = "
CREATE VIEW live_records AS
SELECT 'at://' || did || '/' || collection || '/' || rkey AS uri, r.* FROM records AS r
WHERE NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.did = r.did AND a.active = 0);
";

const EVENTS: &str = "
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  did TEXT NOT NULL,
  kind TEXT NOT NULL,
  operation TEXT,
  collection TEXT,
  rkey TEXT,
  rev TEXT,
  seq INTEGER,
  time_us INTEGER NOT NULL,
  event TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_record ON events (did, collection, rkey);
";

/// What the tables of a database are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The options of its address.
    pub options: Options,
    /// The fields of `--fields`.
    pub fields: Vec<String>,
}

impl Layout {
    /// Returns the generated columns: of the fields, and of the full-text index.
    ///
    /// # Errors
    /// The field that makes no column, and why.
    pub fn columns(&self) -> Result<Vec<Column>, String> {
        let mut columns: Vec<Column> = Vec::new();
        let indexed = self.fields.iter().map(|field| (field, true));
        for (field, is_indexed) in indexed.chain(self.options.fts.iter().map(|f| (f, false))) {
            let column = fields::column(field, is_indexed);
            let column = column.map_err(|problem| format!("{field:?} {problem}"))?;
            match columns.iter().find(|known| known.name.eq_ignore_ascii_case(&column.name)) {
                None => columns.push(column),
                Some(known) if known.definition() == column.definition() => {}
                Some(known) => {
                    return Err(format!(
                        "{field:?} and another field would both be the column {}",
                        known.name
                    ));
                }
            }
        }
        Ok(columns)
    }

    /// Returns the words under which the tables know what they were made with. They are stored, so
    /// they must never change.
    fn words(&self) -> String {
        let mut words =
            vec![if self.options.jsonb { "json=jsonb" } else { "json=text" }.to_owned()];
        words.extend(self.options.fts.iter().map(|field| format!("fts={field}")));
        match self.options.history {
            History::Off => {}
            History::On => words.push("history".to_owned()),
            History::Scrubbed => words.push("history=scrubbed".to_owned()),
        }
        if !self.fields.is_empty() {
            words.push(format!("--fields {}", self.fields.join(",")));
        }
        words.join(" ")
    }

    /// Returns the statements that make the tables.
    fn tables(&self) -> Result<String, String> {
        let columns = self.columns()?;
        let kind = if self.options.jsonb { "BLOB" } else { "TEXT" };
        let generated: String =
            columns.iter().map(|column| format!(",\n  {}", column.definition())).collect();
        let mut sql = format!(
            "CREATE TABLE records (
  id INTEGER PRIMARY KEY,
  did TEXT NOT NULL,
  collection TEXT NOT NULL,
  rkey TEXT NOT NULL,
  cid TEXT,
  rev TEXT NOT NULL,
  seq INTEGER,
  time_us INTEGER NOT NULL,
  record {kind} NOT NULL{generated},
  UNIQUE (did, collection, rkey)
) STRICT;{TABLES}{LIVE}"
        );
        if self.options.history != History::Off {
            sql.push_str(EVENTS);
        }
        if let Some(field) = &self.options.fts
            && let Ok(column) = fields::column(field, false)
        {
            sql.push_str(&full_text(&column.name));
        }
        Ok(sql)
    }
}

/// Returns the statements for a full-text index on a column of `records`. Triggers maintain it,
/// so that it stays right if another program changes the table.
fn full_text(column: &str) -> String {
    let add = format!(
        "INSERT INTO records_fts (rowid, \"{column}\") SELECT new.id, new.\"{column}\"
  WHERE new.\"{column}\" IS NOT NULL;"
    );
    let drop = format!(
        "INSERT INTO records_fts (records_fts, rowid, \"{column}\") SELECT 'delete', old.id, old.\"{column}\"
  WHERE old.\"{column}\" IS NOT NULL;"
    );
    // One trigger for both steps of an update, because SQLite runs several in any order.
    format!(
        "CREATE VIRTUAL TABLE records_fts USING fts5(\"{column}\", content = 'records', content_rowid = 'id');
CREATE TRIGGER records_fts_insert AFTER INSERT ON records BEGIN {add} END;
CREATE TRIGGER records_fts_delete AFTER DELETE ON records BEGIN {drop} END;
CREATE TRIGGER records_fts_update AFTER UPDATE ON records BEGIN {drop} {add} END;
"
    )
}

/// Returns the statements that make the indices that a backfill does without.
pub fn indices(layout: &Layout) -> String {
    let columns = layout.columns().unwrap_or_default();
    let mut sql =
        "CREATE INDEX IF NOT EXISTS records_by_time ON records (collection, time_us);\n".to_owned();
    sql.extend(columns.iter().filter_map(Column::index));
    sql
}

/// What an existing file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has no table yet.
    Empty,
    /// A database of this version.
    Database,
}

/// Checks whose file it is, and its version.
///
/// # Errors
/// [`DatabaseError`] if it is not ours or of a newer version.
pub fn examine(connection: &Connection, path: &Path) -> Result<Found, DatabaseError> {
    let (found, owner, is_empty) =
        labels(connection).map_err(|error| DatabaseError::from_sqlite(path, &error))?;
    let path = path.to_owned();
    match owner {
        0 if found == 0 && is_empty => Ok(Found::Empty),
        STATE_FILE_ID => Err(DatabaseError::Foreign { path, owner: "the state file of skytail" }),
        APPLICATION_ID if found > VERSION => {
            Err(DatabaseError::Newer { path, found, known: VERSION })
        }
        APPLICATION_ID if found == VERSION => Ok(Found::Database),
        APPLICATION_ID => {
            Err(DatabaseError::Damaged { path, cause: format!("its format can't be {found}") })
        }
        _ => Err(DatabaseError::Foreign { path, owner: "the database of another program" }),
    }
}

/// Returns the version, the application id, and whether there is no table: read in one
/// transaction, because another program may be making them.
fn labels(connection: &Connection) -> rusqlite::Result<(i32, i32, bool)> {
    let _one_view = connection.unchecked_transaction()?;
    let owner = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_empty =
        connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((found, owner, is_empty))
}

/// Makes the tables of an empty file, in one transaction.
///
/// # Errors
/// [`DatabaseError`]; the file then stays empty.
pub fn create(
    connection: &mut Connection,
    path: &Path,
    layout: &Layout,
    stream: &str,
) -> Result<(), DatabaseError> {
    let sql =
        layout.tables().map_err(|cause| DatabaseError::Failed { path: path.to_owned(), cause })?;
    let made = connection.transaction().and_then(|transaction| {
        transaction.execute_batch(&sql)?;
        let now = "INSERT INTO skytail_meta VALUES ('version', ?1), ('options', ?2), ('filters', ?3), ('server', NULL)";
        let version = env!("CARGO_PKG_VERSION");
        transaction.execute(now, (version, layout.words(), stream))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    });
    made.map_err(|error| DatabaseError::from_sqlite(path, &error))
}

/// Compares what a database was made for with what this run is for. `accepts_stream` says whether
/// the run may change the filters, because it reads again what they leave out. Returns whether it
/// changes them.
///
/// # Errors
/// [`DatabaseError::Other`] if they differ.
pub fn check_purpose(
    connection: &Connection,
    path: &Path,
    layout: &Layout,
    stream: &str,
    accepts_stream: bool,
) -> Result<bool, DatabaseError> {
    let path = PathBuf::from(path);
    let failed = |error: rusqlite::Error| DatabaseError::from_sqlite(&path, &error);
    let made = meta(connection, "options").map_err(failed)?.unwrap_or_default();
    let given = layout.words();
    if made != given {
        let (made, given) = (format!("with {made:?}"), format!("with {given:?}"));
        return Err(DatabaseError::Other { path, made, given, remedy: "" });
    }
    let made = meta(connection, "filters").map_err(failed)?.unwrap_or_default();
    if made == stream || accepts_stream {
        return Ok(made != stream);
    }
    let (made, given) = (format!("for {made:?}"), format!("for {stream:?}"));
    let remedy = ", or read all of it again with --cursor oldest";
    Err(DatabaseError::Other { path, made, given, remedy })
}

/// Returns a text of the table `skytail_meta`.
///
/// # Errors
/// The error of SQLite.
pub fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT CAST(value AS TEXT) FROM skytail_meta WHERE key = ?1";
    connection.query_row(sql, [key], |row| row.get(0)).optional().map(Option::flatten)
}

/// Writes a value of the table `skytail_meta`.
///
/// # Errors
/// The error of SQLite.
pub fn put_meta(
    connection: &Connection,
    key: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO skytail_meta (key, value) VALUES (?1, ?2)";
    connection.prepare_cached(sql)?.execute((key, value)).map(drop)
}
