//! The table `skytail_gaps`: events that the database lacks.

use rusqlite::Connection;

use crate::position::TimeUs;
use crate::position::gap::Gap;

/// Most rows of the table; the oldest are deleted. A server that is unreachable every minute makes
/// as many in a week.
const MOST: u32 = 10_000;

/// How long the restored records of a repaired repository may take to arrive, in microseconds.
const RESTORE_US: u64 = 600_000_000;

const RECORD: &str = "
INSERT INTO skytail_gaps (seen_at_us, from_us, to_us, from_seq, to_seq, reason)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INCOMPLETE: &str = "
INSERT INTO skytail_gaps (did, seen_at_us, from_us, to_us, reason)
SELECT did, ?1, synced_time_us, ?1, 'the server changed while it restored a repaired repository'
FROM accounts WHERE synced_time_us >= ?2";
const FORGET: &str = "
DELETE FROM skytail_gaps WHERE rowid <= (SELECT max(rowid) FROM skytail_gaps) - ?1";

/// A change of server between two waiting events.
#[derive(Clone, Copy, Debug)]
pub struct ServerChange {
    /// The place of the first event of the new server.
    pub place: usize,
    /// The time of the stream.
    pub at: TimeUs,
}

/// Adds gaps.
pub fn record(connection: &Connection, gaps: &[Gap]) -> rusqlite::Result<()> {
    for gap in gaps {
        let time = |time: Option<TimeUs>| time.map(|time| time.0.cast_signed());
        let row = (
            gap.seen_at.0.cast_signed(),
            time(gap.from_time),
            time(gap.to_time),
            gap.from_seq.map(|seq| seq.0.cast_signed()),
            gap.to_seq.map(|seq| seq.0.cast_signed()),
            &gap.reason,
        );
        connection.execute(RECORD, row)?;
    }
    if gaps.is_empty() { Ok(()) } else { forget(connection) }
}

/// Adds the accounts that the former server was restoring: another server does not send their
/// records. The events before the change are applied.
pub fn record_change(connection: &Connection, change: ServerChange) -> rusqlite::Result<()> {
    let since = change.at.0.saturating_sub(RESTORE_US);
    connection.execute(INCOMPLETE, (change.at.0.cast_signed(), since.cast_signed()))?;
    forget(connection)
}

fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(FORGET, [MOST]).map(drop)
}
