//! The position and the dedup keys in a database: the same values that the state file keeps, in one
//! row, so that they are committed with the rows that they prove.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::position::{
    EventPosition, Origin, Position, Resume, Seq, ServerKind, StartPosition, TimeUs,
};

/// Maximum number of dedup keys that are read, as in the state file.
const MOST_IDENTITIES: usize = 1 << 20;

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
    let identities: Vec<u8> = resume.identities.iter().flat_map(|id| id.to_le_bytes()).collect();
    let saved = connection.prepare_cached(SAVE)?.execute(named_params! {
        ":server": &*position.origin.server,
        ":kind": position.origin.kind.as_str(),
        ":newest_time": position.newest.time.0.cast_signed(),
        ":newest_seq": position.newest.seq.map(|seq| seq.0.cast_signed()),
        ":rewind_time": position.rewind_to.time.0.cast_signed(),
        ":rewind_seq": position.rewind_to.seq.map(|seq| seq.0.cast_signed()),
        ":max_time": position.max_time.0.cast_signed(),
        ":identities": identities,
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
pub fn load(connection: &Connection) -> rusqlite::Result<Result<Option<Saved>, String>> {
    let row =
        connection.query_row("SELECT * FROM skytail_position", [], saved).optional()?.transpose();
    Ok(row.map(Option::flatten))
}

fn saved(row: &Row<'_>) -> rusqlite::Result<Result<Option<Saved>, String>> {
    let unsigned =
        |name: &str| row.get::<_, Option<i64>>(name).map(|value| value.map(i64::cast_unsigned));
    let server: Option<String> = row.get("server")?;
    let kind: Option<String> = row.get("server_kind")?;
    let Some(kind) = kind else {
        let server = server.map(Arc::from);
        return Ok(Ok(match (unsigned("start_time_us")?, unsigned("start_seq")?) {
            (_, Some(seq)) => Some(Saved::Start(StartPosition::Seq(Seq(seq)), server)),
            (Some(time), None) => Some(Saved::Start(StartPosition::Time(TimeUs(time)), None)),
            (None, None) => None,
        }));
    };
    let kind = match kind.as_str() {
        "legacy" => ServerKind::Legacy,
        "v2" => ServerKind::V2,
        other => return Ok(Err(format!("server_kind is {other:?}"))),
    };
    let at = |time: &str, seq: &str| {
        let time = TimeUs(unsigned(time)?.unwrap_or(0));
        Ok::<_, rusqlite::Error>(EventPosition { time, seq: unsigned(seq)?.map(Seq) })
    };
    let blob: Option<Vec<u8>> = row.get("identities")?;
    let blob = blob.unwrap_or_default();
    let (keys, rest) = blob.as_chunks::<8>();
    if !rest.is_empty() || keys.len() > MOST_IDENTITIES {
        return Ok(Err(format!("identities has {} bytes", blob.len())));
    }
    let position = Position {
        origin: Origin {
            server: Arc::from(server.unwrap_or_default()),
            kind,
            filter_fingerprint: unsigned("stream")?.unwrap_or(0),
        },
        newest: at("newest_time_us", "newest_seq")?,
        rewind_to: at("rewind_time_us", "rewind_seq")?,
        max_time: TimeUs(unsigned("latest_time_us")?.unwrap_or(0)),
    };
    let identities = keys.iter().map(|key| u64::from_le_bytes(*key)).collect();
    Ok(Ok(Some(Saved::Position(Resume { position, identities }))))
}
