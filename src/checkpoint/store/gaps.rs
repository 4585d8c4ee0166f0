//! The gaps of consumers, as rows. A server can make a gap at each connection, so the rows are
//! bounded: gaps that touch become one row with a count, and so do the oldest of very many.

use rusqlite::{Connection, Row, named_params};

use super::{Store, StoreError};
use crate::display::secrets;
use crate::position::gap::Gap;
use crate::position::{Seq, TimeUs};

/// Most rows of one consumer: far more than a person reads, and 100 KB of the file.
const MOST_ROWS: u32 = 1_000;

/// The reason of a row that stands for gaps with different reasons.
const SEVERAL: &str = "several reasons";

const NEWEST: &str = "
SELECT rowid, * FROM gaps WHERE consumer = ?1 ORDER BY seen_at_us DESC, rowid DESC LIMIT ?2";

const OLDEST: &str = "
SELECT rowid, * FROM gaps WHERE consumer = ?1 ORDER BY seen_at_us, rowid LIMIT ?2";

const INSERT: &str = "
INSERT INTO gaps (consumer, seen_at_us, from_us, to_us, from_seq, to_seq, reason, count)
VALUES (:name, :seen_at, :from_us, :to_us, :from_seq, :to_seq, :reason, :count)";

/// A gap as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedGap {
    /// The gap; the ends of the first and of the last one if there are several.
    pub gap: Gap,
    /// How many gaps it stands for: between two of them at least one event was received.
    pub count: u64,
}

impl Store {
    /// Saves events that could not be had. A gap that is met again, because the run was killed
    /// before the position had passed it, is saved once. One that begins where the latest one
    /// ends is merged with it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn record_gap(&mut self, consumer: &str, gap: &Gap) -> Result<(), StoreError> {
        self.in_transaction(|connection| {
            let latest = select(connection, NEWEST, consumer, 1)?.pop();
            match latest {
                Some((_, latest)) if latest.gap.covers(gap) => Ok(()),
                Some((row, latest)) if latest.gap.is_followed_by(gap) => {
                    let gap = latest.gap.joined_with(gap, &gap.reason);
                    replace(connection, consumer, row, &SavedGap { gap, count: latest.count + 1 })
                }
                _ => {
                    insert(connection, consumer, &SavedGap { gap: gap.clone(), count: 1 })?;
                    merge_oldest(connection, consumer)
                }
            }
        })
    }

    /// Returns the newest gaps of a consumer, newest first, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`] if the table can't be read.
    pub fn gaps(&self, consumer: &str, most: u32) -> Result<Vec<SavedGap>, StoreError> {
        let rows = select(&self.connection, NEWEST, consumer, most);
        rows.map(|rows| rows.into_iter().map(|(_, gap)| gap).collect())
            .map_err(|error| self.store_error(&error))
    }
}

/// Merges the oldest rows as long as there are too many.
fn merge_oldest(connection: &Connection, consumer: &str) -> rusqlite::Result<()> {
    let sql = "SELECT count(*) FROM gaps WHERE consumer = ?1";
    let mut rows: u32 = connection.query_row(sql, [consumer], |row| row.get(0))?;
    while rows > MOST_ROWS {
        let oldest = select(connection, OLDEST, consumer, 2)?;
        let [(first_row, first), (second_row, second)] = oldest.as_slice() else { break };
        let reason =
            if first.gap.reason == second.gap.reason { &second.gap.reason } else { SEVERAL };
        let gap = first.gap.joined_with(&second.gap, reason);
        let count = first.count.saturating_add(second.count);
        connection.execute("DELETE FROM gaps WHERE rowid = ?1", [first_row])?;
        replace(connection, consumer, *second_row, &SavedGap { gap, count })?;
        rows -= 1;
    }
    Ok(())
}

fn replace(
    connection: &Connection,
    consumer: &str,
    row: i64,
    saved: &SavedGap,
) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM gaps WHERE rowid = ?1", [row])?;
    insert(connection, consumer, saved)
}

fn insert(connection: &Connection, consumer: &str, saved: &SavedGap) -> rusqlite::Result<()> {
    let SavedGap { gap, count } = saved;
    let time = |time: Option<TimeUs>| time.map(|time| time.0.cast_signed());
    let seq = |seq: Option<Seq>| seq.map(|seq| seq.0.cast_signed());
    connection
        .prepare_cached(INSERT)?
        .execute(named_params! {
            ":name": consumer,
            ":seen_at": gap.seen_at.0.cast_signed(),
            ":from_us": time(gap.from_time),
            ":to_us": time(gap.to_time),
            ":from_seq": seq(gap.from_seq),
            ":to_seq": seq(gap.to_seq),
            // The reason may hold words of a server.
            ":reason": secrets::redact(&gap.reason),
            ":count": i64::try_from(*count).unwrap_or(i64::MAX),
        })
        .map(drop)
}

/// Returns rows with their numbers.
fn select(
    connection: &Connection,
    sql: &str,
    consumer: &str,
    most: u32,
) -> rusqlite::Result<Vec<(i64, SavedGap)>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map((consumer, most), |row| Ok((row.get("rowid")?, saved(row)?)))?.collect()
}

fn saved(row: &Row<'_>) -> rusqlite::Result<SavedGap> {
    let time =
        |name| row.get::<_, Option<i64>>(name).map(|us| us.map(|us| TimeUs(us.cast_unsigned())));
    let seq =
        |name| row.get::<_, Option<i64>>(name).map(|seq| seq.map(|seq| Seq(seq.cast_unsigned())));
    Ok(SavedGap {
        gap: Gap {
            seen_at: TimeUs(row.get::<_, i64>("seen_at_us")?.cast_unsigned()),
            from_time: time("from_us")?,
            to_time: time("to_us")?,
            from_seq: seq("from_seq")?,
            to_seq: seq("to_seq")?,
            reason: row.get("reason")?,
        },
        count: row.get::<_, i64>("count")?.cast_unsigned(),
    })
}
