//! Saves which entries of a consumer's lists are live, which wait for their history, and how far
//! that was read (`--backfill-new`).

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::{Store, StoreError};
use crate::checkpoint::row::BadColumn;
use crate::filter::additions::{Addition, Additions, AdditionsCheckpoint, List, Reached};
use crate::position::Seq;

const ENTRY: &str = "
INSERT INTO filter_entries (consumer, list, value, addition) VALUES (?1, ?2, ?3, ?4)";

const ADDITION: &str = "
INSERT INTO filter_additions (consumer, number, server, seq) VALUES (?1, ?2, ?3, ?4)";

const REACHED: &str = "
UPDATE filter_additions SET server = ?3, seq = ?4 WHERE consumer = ?1 AND number = ?2";

const ENTRIES: &str = "
SELECT list, value, addition FROM filter_entries WHERE consumer = ?1 ORDER BY list, value";

const ADDITIONS: &str = "
SELECT number, server, seq FROM filter_additions WHERE consumer = ?1 ORDER BY number";

impl Store {
    /// Returns the state of a consumer's lists; `None` if no run with `--backfill-new` saved one.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Row`] if a row is not valid.
    pub fn additions(&self, consumer: &str) -> Result<Option<Additions>, StoreError> {
        let bad = |bad| self.bad_row(consumer, bad);
        let entries = self.rows_with(ENTRIES, [consumer], entry)?;
        if entries.is_empty() {
            return Ok(None);
        }
        let reached = self.rows_with(ADDITIONS, [consumer], reached)?;
        let entries: Result<Vec<_>, _> = entries.into_iter().collect();
        let reached: Result<Vec<_>, _> = reached.into_iter().collect();
        let reached = reached.map_err(bad)?.into_iter();
        let reached = reached.filter_map(|(number, reached)| Some((number, reached?)));
        let state = Additions::from_entries(entries.map_err(bad)?, reached);
        let state =
            state.map_err(|number| bad(problem("addition", format!("{number} has two lists"))))?;
        Ok(Some(state))
    }

    /// Saves the state of a consumer's lists.
    ///
    /// # Errors
    /// [`StoreError`]; what was saved before is then unchanged.
    pub fn save_additions(
        &mut self,
        consumer: &str,
        state: &Arc<Additions>,
    ) -> Result<(), StoreError> {
        self.in_transaction(|connection| replace(connection, consumer, state))?;
        self.saved_additions = Some(Arc::clone(state));
        Ok(())
    }

    /// Forgets the state of a consumer's lists. Returns how many entries waited for their history.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is then changed.
    pub fn forget_additions(&mut self, consumer: &str) -> Result<u32, StoreError> {
        let waited =
            "SELECT count(*) FROM filter_entries WHERE consumer = ?1 AND addition NOT NULL";
        let waiting = self.connection.query_row(waited, [consumer], |row| row.get(0));
        let waiting = waiting.map_err(|error| self.store_error(&error))?;
        self.in_transaction(|connection| clear(connection, consumer))?;
        self.saved_additions = None;
        Ok(waiting)
    }
}

/// Saves the lists with a checkpoint, in its transaction. `saved` is the state that the file has.
pub(super) fn save(
    connection: &Connection,
    consumer: &str,
    checkpoint: &AdditionsCheckpoint,
    saved: Option<&Arc<Additions>>,
) -> rusqlite::Result<()> {
    if saved.is_none_or(|saved| !Arc::ptr_eq(saved, &checkpoint.state)) {
        replace(connection, consumer, &checkpoint.state)?;
    }
    let Some((number, reached)) = &checkpoint.reached else { return Ok(()) };
    let params = (consumer, number, &reached.server, reached.seq.cast_signed());
    connection.prepare_cached(REACHED)?.execute(params).map(drop)
}

/// Forgets the lists of a consumer.
pub(super) fn clear(connection: &Connection, consumer: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM filter_entries WHERE consumer = ?1", [consumer])?;
    connection.execute("DELETE FROM filter_additions WHERE consumer = ?1", [consumer]).map(drop)
}

fn replace(connection: &Connection, consumer: &str, state: &Additions) -> rusqlite::Result<()> {
    clear(connection, consumer)?;
    let mut entry = connection.prepare_cached(ENTRY)?;
    for (list, value, number) in state.entries() {
        entry.execute((consumer, list.as_str(), value, number))?;
    }
    let mut addition = connection.prepare_cached(ADDITION)?;
    for Addition { number, reached, .. } in &state.pending {
        let (server, seq) = match reached {
            Some(Reached { server, seq }) => (Some(server), Some(seq.cast_signed())),
            None => (None, None),
        };
        addition.execute((consumer, number, server, seq))?;
    }
    Ok(())
}

type Checked<T> = Result<T, BadColumn>;

fn problem(column: &'static str, problem: String) -> BadColumn {
    BadColumn { column, problem }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Checked<(List, String, Option<u32>)>> {
    let (word, value): (String, String) = (row.get("list")?, row.get("value")?);
    let number: Option<u32> = row.get("addition")?;
    let Some(list) = List::of_word(&word) else {
        return Ok(Err(problem("list", format!("is {word:?}, neither collection nor did"))));
    };
    Ok(match list.check(&value) {
        Ok(()) => Ok((list, value, number)),
        Err(error) => Err(problem("value", format!("is not valid: {error}"))),
    })
}

fn reached(row: &Row<'_>) -> rusqlite::Result<Checked<(u32, Option<Reached>)>> {
    let number = row.get("number")?;
    let (server, seq): (Option<String>, Option<i64>) = (row.get("server")?, row.get("seq")?);
    let (Some(server), Some(seq)) = (server, seq) else { return Ok(Ok((number, None))) };
    let seq = seq.cast_unsigned();
    if seq >= Seq::LIMIT {
        return Ok(Err(problem("seq", format!("is {seq}, which is not a sequence number"))));
    }
    Ok(Ok((number, Some(Reached { server, seq }))))
}
