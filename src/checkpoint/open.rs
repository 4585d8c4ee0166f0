//! Opens a SQLite file after checking that it is a sound state file of skytail that only its owner
//! can read. The contents of the tables are not this module's business.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::schema;
use crate::sqlite::{BUSY_TIMEOUT, switch_to_wal};
use crate::{paths, platform};

/// Opens the file for reading and writing. Creates it, and the directories above it, if it does not
/// exist.
///
/// # Errors
/// [`StoreError`]; an existing file that is not ours or not sound stays unchanged.
pub fn writable(path: &Path) -> Result<Connection, StoreError> {
    check_owner(path)?;
    create(path).map_err(|error| cant_open(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sqlite_error = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite_error)?;
    if connection.is_readonly("main").map_err(sqlite_error)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    examine(&connection, path)?;
    durability(&connection).map_err(sqlite_error)?;
    schema::migrate(&mut connection).map_err(sqlite_error)?;
    // Again, because another program may have created or changed it during the wait for the lock.
    examine(&connection, path)?;
    Ok(connection)
}

/// Opens an existing file for reading; `None` if there is no file, or an empty one. Creates nothing
/// and changes no table, unless the file must first be migrated.
///
/// # Errors
/// As [`writable`].
pub fn readable(path: &Path) -> Result<Option<Connection>, StoreError> {
    match fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => return Ok(None),
        Err(error) => return Err(cant_open(path, &error)),
    }
    let sqlite_error = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    // Opened for writing if that is allowed, because a reader of a WAL file shares an index with
    // the writers, and the last program that closes it removes it. Otherwise SQLite opens it for
    // reading.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite_error)?;
    let (connection, version) = match examine(&connection, path) {
        Err(error) if error.is_about_files_beside() => {
            if has_log(path) {
                return Err(error.with_log());
            }
            let connection = unchanging(path).map_err(sqlite_error)?;
            let version = examine(&connection, path)?;
            (connection, version)
        }
        examined => (connection, examined?),
    };
    match version {
        0 => Ok(None),
        schema::VERSION => {
            connection.pragma_update(None, "query_only", true).map_err(sqlite_error)?;
            Ok(Some(connection))
        }
        _ => {
            drop(connection);
            writable(path).map(Some)
        }
    }
}

/// Returns whether a log beside the file may hold what the file does not.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|found| found.len() > 0)
}

/// Refuses a file that another user may have planted in a directory that every user may write to:
/// it names files that a run then cuts or writes to.
fn check_owner(path: &Path) -> Result<(), StoreError> {
    let cause = match paths::planting_owner(path) {
        _ if paths::is_planted_link(path) => {
            "it is a symbolic link that another user may have put there".to_owned()
        }
        Some(owner) => format!(
            "it belongs to another user (uid {owner}), and every user may put files into its directory"
        ),
        None => return Ok(()),
    };
    Err(StoreError::Open { path: path.to_owned(), cause })
}

/// Opens a file that no program can be writing, because neither it nor its directory is writable
/// and there is no log. SQLite could not create the index that readers share there.
fn unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let url = url::Url::from_file_path(&absolute)
        .map_err(|()| rusqlite::Error::InvalidPath(absolute.clone()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("{url}?immutable=1"), flags)
}

/// Checks a copy that no program has open. Leaves no file beside it.
///
/// # Errors
/// [`StoreError`] if it is not a sound state file.
pub fn check_copy(path: &Path) -> Result<(), StoreError> {
    let connection = unchanging(path).map_err(|error| StoreError::from_sqlite(path, &error))?;
    examine(&connection, path).map(drop)
}

/// Creates the empty file before SQLite opens it, so that only its owner can read it from the first
/// byte on. SQLite gives the `-wal` and `-shm` files beside it the same permissions.
///
/// Processes may race to make the same file; threads of one process may not, because closing
/// the handle drops the POSIX locks that SQLite holds on the file in other threads.
fn create(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        let made = platform::owner_only_directory(&mut builder).create(directory);
        made.map_err(|error| match error.kind() {
            // The system's error, "File exists", would not say what to do.
            ErrorKind::AlreadyExists => ErrorKind::NotADirectory.into(),
            _ => error,
        })?;
    }
    if let Some(target) = paths::dangling_target(path) {
        return Err(dangling(&target));
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    match platform::owner_only(&mut options).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            // If nothing may be created there, an existing file gets SQLite's more exact error.
            if path.exists() { Ok(()) } else { Err(error) }
        }
        _ if path.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => Ok(()),
    }
}

/// Checks the owner of the file, its format, and its integrity. Returns its schema version, 0 for
/// an empty file.
fn examine(connection: &Connection, path: &Path) -> Result<i32, StoreError> {
    let sqlite_error = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let (found, owner, is_empty) = labels(connection).map_err(sqlite_error)?;
    if owner == 0 && found == 0 && is_empty {
        return Ok(0);
    }
    if owner != schema::APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found > schema::VERSION {
        let known = schema::VERSION;
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    let damaged = |cause: String| StoreError::Damaged { path: path.to_owned(), cause };
    if found < 1 {
        return Err(damaged(format!("its format can't be {found}")));
    }
    // The file has a few rows, so a check of all of it costs less than the fsync of one save.
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(sqlite_error)?;
    if verdict == "ok" { Ok(found) } else { Err(damaged(verdict)) }
}

/// Returns the schema version, the application id, and whether the file is empty: read in one
/// transaction, because another program may be filling it.
fn labels(connection: &Connection) -> rusqlite::Result<(i32, i32, bool)> {
    let _one_view = connection.unchecked_transaction()?;
    let owner = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok((schema::version(connection)?, owner, schema::is_empty(connection)?))
}

/// Sets the journal mode.
///
/// WAL lets `skytail cursors` read while a tail saves. With it, NORMAL syncs at checkpoints of
/// the log and not at each commit: a power cut can lose the newest commits, never the file. A
/// lost commit leaves an older cursor, and an older cursor repeats events and loses none. A
/// killed process loses nothing, because the system has the bytes.
fn durability(connection: &Connection) -> rusqlite::Result<()> {
    let mode = switch_to_wal(connection)?;
    // A file system without shared memory keeps the old journal, which is safe only with FULL.
    let level = if mode == "wal" { "NORMAL" } else { "FULL" };
    connection.pragma_update(None, "synchronous", level)?;
    // Only macOS makes a difference: there, fsync(2) leaves the bytes in the cache of the disk, and
    // F_FULLFSYNC does not. Other systems ignore it.
    connection.pragma_update(None, "checkpoint_fullfsync", true)
}

fn cant_open(path: &Path, error: &io::Error) -> StoreError {
    let path = path.to_owned();
    match paths::dangling_target(&path) {
        Some(target) => StoreError::Open { path, cause: dangling(&target).to_string() },
        None if error.kind() == ErrorKind::StorageFull => StoreError::Full { path },
        None => StoreError::Open { path, cause: error.to_string() },
    }
}

/// Returns the error for a path that is a link to a missing file. No new state file is made there,
/// because the target may be on a disk that is not mounted now and has the saved cursors.
fn dangling(target: &Path) -> io::Error {
    io::Error::other(format!("it is a symbolic link to {}, which does not exist", target.display()))
}
