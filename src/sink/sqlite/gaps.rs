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
FROM accounts WHERE synced_time_us BETWEEN ?2 AND ?1";
const FORGET: &str = "
DELETE FROM skytail_gaps WHERE rowid <= (SELECT max(rowid) FROM skytail_gaps) - ?1";

/// What a commit adds to the table.
#[derive(Clone, Debug)]
pub enum GapRow {
    /// Events that were not available.
    Missing(Gap),
    /// The server changed at this time of the stream. Another server does not send the records that
    /// the former one was restoring.
    ServerChanged(TimeUs),
}

impl GapRow {
    /// Returns the row of a gap.
    pub fn of(gap: &Gap) -> Self {
        Self::Missing(gap.clone())
    }

    /// Returns the rows of a change of server.
    pub fn server_changed(at: TimeUs) -> Self {
        Self::ServerChanged(at)
    }
}

/// Adds rows. Called after the events before a change of server were applied.
pub fn record(connection: &Connection, rows: &[GapRow]) -> rusqlite::Result<()> {
    for row in rows {
        match row {
            GapRow::Missing(gap) => {
                let time = |time: Option<TimeUs>| time.map(|time| time.0.cast_signed());
                connection.execute(
                    RECORD,
                    (
                        gap.seen_at.0.cast_signed(),
                        time(gap.from_time),
                        time(gap.to_time),
                        gap.from_seq.map(|seq| seq.0.cast_signed()),
                        gap.to_seq.map(|seq| seq.0.cast_signed()),
                        &gap.reason,
                    ),
                )?;
            }
            GapRow::ServerChanged(at) => {
                let since = at.0.saturating_sub(RESTORE_US);
                connection.execute(INCOMPLETE, (at.0.cast_signed(), since.cast_signed()))?;
            }
        }
    }
    if !rows.is_empty() {
        connection.execute(FORGET, [MOST])?;
    }
    Ok(())
}
