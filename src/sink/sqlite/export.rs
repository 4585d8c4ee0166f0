//! Reads a database as a recording: with `?history` its events, otherwise one create for each row,
//! and the status of each account that is not active, by time.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::Connection;

use super::error::DatabaseError;
use super::open;

/// Bytes of lines that are passed on at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that may wait for the reader.
const CHUNKS: usize = 4;

const EVENTS: &str = "SELECT event FROM events ORDER BY id";

/// `cursor` is left out, because rows of several servers have no common order of numbers.
const ROWS: &str = r#"
SELECT '{"did":' || json_quote(did) || ',"time_us":' || time_us || ',"kind":"commit","commit":{"rev":'
  || json_quote(rev) || ',"operation":"create","collection":' || json_quote(collection)
  || ',"rkey":' || json_quote(rkey) || ',"record":' || json(record)
  || iif(cid IS NULL, '', ',"cid":' || json_quote(cid)) || '}}' AS line, time_us, id
FROM records WHERE time_us > 0
UNION ALL
SELECT '{"did":' || json_quote(did) || ',"time_us":' || time_us
  || ',"kind":"account","account":{"active":false,"did":' || json_quote(did)
  || iif(status IS NULL, '', ',"status":' || json_quote(status)) || '}}', time_us, 0
FROM accounts WHERE active = 0 AND time_us > 0
ORDER BY time_us, id"#;

/// What a database knows of deletes: each record with its rev but without its content, the tombstones
/// of deleted records, the accounts that are not active, and the revs of repaired repositories.
const MARKERS: &str = r#"
SELECT '{"did":' || json_quote(did) || ',"time_us":' || time_us || ',"kind":"commit","commit":{"rev":'
  || json_quote(rev) || ',"operation":"create","collection":' || json_quote(collection)
  || ',"rkey":' || json_quote(rkey) || '}}' FROM records
UNION ALL
SELECT '{"did":' || json_quote(did) || ',"time_us":' || time_us || ',"kind":"commit","commit":{"rev":'
  || json_quote(rev) || ',"operation":"delete","collection":' || json_quote(collection)
  || ',"rkey":' || json_quote(rkey) || '}}' FROM tombstones
UNION ALL
SELECT '{"did":' || json_quote(did) || ',"time_us":' || time_us
  || ',"kind":"account","account":{"active":false,"did":' || json_quote(did)
  || iif(status IS NULL, '', ',"status":' || json_quote(status)) || '}}'
FROM accounts WHERE active = 0
UNION ALL
SELECT '{"did":' || json_quote(did) || ',"time_us":' || time_us
  || ',"kind":"sync","sync":{"did":' || json_quote(did) || ',"rev":' || json_quote(rev) || '}}'
FROM accounts WHERE rev <> ''"#;

/// The lines of a database, as bytes. A thread of its own reads them.
#[derive(Debug)]
pub struct DatabaseLines {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

/// Opens the file at `path` as a recording, if it is a database of skytail; otherwise `None`.
///
/// # Errors
/// [`DatabaseError`] if it is one and can't be read.
pub fn open_recording(path: &Path) -> Result<Option<DatabaseLines>, DatabaseError> {
    open_lines(path, None)
}

/// Opens the file at `path` for what it knows of deletes, if it is a database of skytail; otherwise
/// `None`. Deletes of records are known for as long as the database keeps tombstones.
///
/// # Errors
/// [`DatabaseError`] if it is one and can't be read.
pub fn open_markers(path: &Path) -> Result<Option<DatabaseLines>, DatabaseError> {
    open_lines(path, Some(MARKERS))
}

fn open_lines(
    path: &Path,
    select: Option<&'static str>,
) -> Result<Option<DatabaseLines>, DatabaseError> {
    let Some(connection) = open::readable(path)? else { return Ok(None) };
    let (sender, chunks) = sync_channel(CHUNKS);
    let path = PathBuf::from(path);
    let work = move || {
        if let Err(error) = send(&connection, select, &sender) {
            let error = DatabaseError::from_sqlite(&path, &error);
            // The reader may have gone.
            let _ = sender.send(Err(io::Error::other(error)));
        }
    };
    // It ends with its reader: a chunk that can't be sent ends it.
    let started = thread::Builder::new().name("database".to_owned()).spawn(work);
    match started {
        Ok(_) => Ok(Some(DatabaseLines { chunks, chunk: Vec::new(), at: 0 })),
        Err(error) => Err(DatabaseError::Open { path: PathBuf::new(), cause: error.to_string() }),
    }
}

/// Sends the lines of `select`, or those of a recording.
fn send(
    connection: &Connection,
    select: Option<&str>,
    to: &SyncSender<io::Result<Vec<u8>>>,
) -> rusqlite::Result<()> {
    let has_events = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'events')";
    let sql = match select {
        Some(select) => select,
        None if connection.query_row(has_events, [], |row| row.get(0))? => EVENTS,
        None => ROWS,
    };
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    while let Some(row) = rows.next()? {
        if let Some(line) = row.get_ref(0)?.as_bytes_or_null()? {
            chunk.extend_from_slice(line);
            chunk.push(b'\n');
        }
        if chunk.len() >= CHUNK_BYTES && to.send(Ok(std::mem::take(&mut chunk))).is_err() {
            return Ok(());
        }
    }
    // The reader may have gone.
    let _ = to.send(Ok(chunk));
    Ok(())
}

impl Read for DatabaseLines {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            // The thread ends by dropping its end of the channel.
            let Ok(chunk) = self.chunks.recv() else { return Ok(0) };
            (self.chunk, self.at) = (chunk?, 0);
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}
