//! Opens a database after checking that it is one that skytail may write, and sets how SQLite
//! writes it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::DatabaseError;
use super::schema;
use crate::sqlite::{BUSY_TIMEOUT, MAGIC, read_head, switch_to_wal};
use crate::{paths, platform};

/// The largest file that is checked as a whole when it is opened, in bytes. A larger one takes too
/// long; SQLite then reports damage when it reads the damaged page.
const CHECKED_BYTES: u64 = 16 * 1024 * 1024;
/// Statements that stay prepared: all that [`super::apply`] has.
const STATEMENTS: usize = 64;

/// Each setting of the connection, with its reason.
const PRAGMAS: [(&str, &str); 6] = [
    // A commit does not wait for the disk. A power cut can lose the newest commits, and with them
    // the position that they saved, so that the next run reads their events again. It can't damage
    // the file: SQLite syncs the log before it copies it into the file.
    ("synchronous", "NORMAL"),
    // On macOS, fsync(2) leaves the bytes in the cache of the disk, and F_FULLFSYNC does not.
    ("checkpoint_fullfsync", "ON"),
    // 64 MiB of pages. A commit applies its events sorted by account, so that it comes to each page
    // of the index once and gains little from a larger cache.
    ("cache_size", "-65536"),
    // This program copies the log into the file after a commit, when the log is long enough, and
    // then knows whether a reader keeps it from being emptied.
    ("wal_autocheckpoint", "0"),
    // The log's file shrinks when SQLite writes it from its start again, so that its length says
    // how much is to be copied.
    ("journal_size_limit", "0"),
    // Deleted records are overwritten with zeros where that costs no further write.
    ("secure_delete", "FAST"),
];

/// Opens the file for reading and writing, and creates it if it does not exist.
///
/// # Errors
/// [`DatabaseError`]; an existing file that is not ours or not sound stays unchanged.
pub fn writable(path: &Path) -> Result<(Connection, schema::Found), DatabaseError> {
    check_owner(path)?;
    create(path).map_err(|error| cant_open(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite_error = |error: rusqlite::Error| DatabaseError::from_sqlite(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite_error)?;
    if connection.is_readonly("main").map_err(sqlite_error)? {
        return Err(DatabaseError::ReadOnly { path: path.to_owned() });
    }
    let found = schema::examine(&connection, path)?;
    check_integrity(&connection, path)?;
    configure(&connection).map_err(sqlite_error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok((connection, found))
}

/// Opens an existing database for reading; `None` if the file is not a database of skytail.
///
/// # Errors
/// [`DatabaseError`] if it is one and can't be read.
pub fn readable(path: &Path) -> Result<Option<Connection>, DatabaseError> {
    if !read_head(path).is_ok_and(|head| head == MAGIC) {
        return Ok(None);
    }
    let sqlite_error = |error: rusqlite::Error| DatabaseError::from_sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite_error)?;
    match schema::examine(&connection, path).map_err(for_reading)? {
        schema::Found::Empty => Ok(None),
        schema::Found::Database => {
            connection.pragma_update(None, "query_only", true).map_err(sqlite_error)?;
            Ok(Some(connection))
        }
    }
}

/// Returns the error about a file that is only read.
fn for_reading(error: DatabaseError) -> DatabaseError {
    match error {
        DatabaseError::Foreign { owner, .. } => DatabaseError::NoRecording { owner },
        DatabaseError::Damaged { cause, .. } => DatabaseError::Unreadable { cause },
        other => other,
    }
}

/// Returns the absolute path of the database, however it is reached.
///
/// # Errors
/// [`DatabaseError::Open`] if its directory does not exist.
pub fn absolute(path: &Path) -> Result<PathBuf, DatabaseError> {
    if let Ok(found) = path.canonicalize() {
        return match fs::metadata(&found) {
            Ok(there) if there.is_dir() => {
                let cause = "it is a directory: name a file in it".to_owned();
                Err(DatabaseError::NoFile { path: found, cause })
            }
            Ok(there) if !there.is_file() => {
                let what = platform::special_kind(&there.file_type());
                let cause = format!("it is {what}, and a database is a file");
                Err(DatabaseError::NoFile { path: found, cause })
            }
            _ => Ok(found),
        };
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let found = directory.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => DatabaseError::NoFile {
            path: path.to_owned(),
            cause: format!("the directory {} does not exist: make it first", directory.display()),
        },
        _ => cant_open(path, &error),
    })?;
    platform::check_writable_directory(&found)
        .map_err(|_| DatabaseError::ReadOnly { path: path.to_owned() })?;
    Ok(path.file_name().map_or(found.clone(), |name| found.join(name)))
}

fn check_owner(path: &Path) -> Result<(), DatabaseError> {
    let cause = match paths::planting_owner(path) {
        _ if paths::is_planted_link(path) => {
            "it is a symbolic link that another user may have put there".to_owned()
        }
        Some(owner) => format!(
            "it belongs to another user (uid {owner}), and every user may put files into its directory"
        ),
        None => return Ok(()),
    };
    Err(DatabaseError::Open { path: path.to_owned(), cause })
}

/// Creates the empty file before SQLite opens it, so that only its owner can read it: it holds the
/// key of the dedup keys. SQLite gives the files beside it the same permissions.
fn create(path: &Path) -> io::Result<()> {
    if let Some(target) = paths::dangling_target(path) {
        return Err(io::Error::other(format!(
            "it is a symbolic link to {}, which does not exist",
            target.display()
        )));
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    match platform::owner_only(&mut options).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            if path.exists() {
                Ok(())
            } else {
                Err(error)
            }
        }
        _ if path.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Ok(()),
    }
}

fn check_integrity(connection: &Connection, path: &Path) -> Result<(), DatabaseError> {
    if fs::metadata(path).is_ok_and(|found| found.len() > CHECKED_BYTES) {
        return Ok(());
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| DatabaseError::from_sqlite(path, &error))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(DatabaseError::Damaged { path: path.to_owned(), cause: verdict }),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Readers and the writer don't wait for each other.
    let mode = switch_to_wal(connection)?;
    for (name, value) in PRAGMAS {
        // A file system without shared memory keeps the old journal, which is safe only with FULL.
        let value = if name == "synchronous" && mode != "wal" { "FULL" } else { value };
        // Some pragmas return the new value as a row, and others return none.
        connection.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(|error| {
            match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()),
                other => Err(other),
            }
        })?;
    }
    Ok(())
}

fn cant_open(path: &Path, error: &io::Error) -> DatabaseError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::StorageFull => DatabaseError::Full { path },
        _ => DatabaseError::Open { path, cause: error.to_string() },
    }
}
