//! The position and the dedup keys in a database: the same values that the state file keeps, in one
//! row, so that they are committed with the rows that they prove.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::position::{Resume, Seq, StartPosition, TimeUs};
use crate::sink::position_row::{Checked, column, identity_bytes, integer, resume};

const SAVE: &str = "
INSERT OR REPLACE INTO skytail_position (one, server, server_kind, newest_time_us, newest_seq,
  rewind_time_us, rewind_seq, latest_time_us, identities, stream)
VALUES (1, :server, :kind, :newest_time, :newest_seq, :rewind_time, :rewind_seq, :max_time,
  :identities, :stream)";

const START: &str = "
INSERT OR IGNORE INTO skytail_position (one, start_time_us, start_seq, server)
VALUES (1, ?1, ?2, ?3)";

/// Where a database says that the next run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// After the last committed event.
    Position(Resume),
    /// Where a run began that committed nothing; a sequence number with the label of its server.
    Start(StartPosition, Option<Arc<str>>),
}

/// Replaces the position.
pub fn save(connection: &Connection, resume: &Resume) -> rusqlite::Result<()> {
    let position = &resume.position;
    let saved = connection.prepare_cached(SAVE)?.execute(named_params! {
        ":server": &*position.origin.server,
        ":kind": position.origin.kind.as_str(),
        ":newest_time": position.newest.time.0.cast_signed(),
        ":newest_seq": position.newest.seq.map(|seq| seq.0.cast_signed()),
        ":rewind_time": position.rewind_to.time.0.cast_signed(),
        ":rewind_seq": position.rewind_to.seq.map(|seq| seq.0.cast_signed()),
        ":max_time": position.max_time.0.cast_signed(),
        ":identities": identity_bytes(&resume.identities),
        ":stream": position.origin.filter_fingerprint.cast_signed(),
    });
    saved.map(drop)
}

/// Records where a run begins, unless a position is saved.
pub fn save_start(
    connection: &Connection,
    start: &StartPosition,
    server: Option<&str>,
) -> rusqlite::Result<()> {
    let (time, seq) = match start {
        StartPosition::Time(time) => (Some(time.0.cast_signed()), None),
        StartPosition::Seq(seq) => (None, Some(seq.0.cast_signed())),
        _ => return Ok(()),
    };
    connection.execute(START, (time, seq, server)).map(drop)
}

/// Reads what is saved.
///
/// # Errors
/// The error of SQLite, or in the inner result the damaged column.
pub fn load(connection: &Connection) -> rusqlite::Result<Checked<Option<Saved>>> {
    let row = connection.query_row("SELECT * FROM skytail_position", [], |row| Ok(saved(row)));
    Ok(row.optional()?.transpose().map(Option::flatten))
}

fn saved(row: &Row<'_>) -> Checked<Option<Saved>> {
    let server: Option<String> = column(row, "server")?;
    if column::<String>(row, "server_kind")?.is_some() {
        let resume = resume(row, server.unwrap_or_default())?;
        return Ok(Some(Saved::Position(resume)));
    }
    let server = server.map(Arc::from);
    Ok(match (integer(row, "start_time_us")?, integer(row, "start_seq")?) {
        (_, Some(seq)) => Some(Saved::Start(StartPosition::Seq(Seq(seq)), server)),
        (Some(time), None) => Some(Saved::Start(StartPosition::Time(TimeUs(time)), None)),
        (None, None) => None,
    })
}
