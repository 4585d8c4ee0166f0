//! A saved cursor that gets another name, because a later release derives another one.

use rusqlite::Connection;

use super::{Store, StoreError};
use crate::checkpoint::transfer;

impl Store {
    /// Saves the cursor of `former` under `name`, under which nothing is saved, too. If `former`
    /// owns no outputs, it is gone afterwards. The caller holds the leases on both names.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is then changed.
    pub fn take_over(&mut self, former: &str, name: &str) -> Result<(), StoreError> {
        let keeps = !self.outputs(former)?.is_empty();
        self.move_rows(former, name, keeps)
    }

    /// Moves everything that is saved under `former` to `name`, under which nothing is saved. The
    /// caller holds the leases on both names.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is then changed.
    pub fn rename(&mut self, former: &str, name: &str) -> Result<(), StoreError> {
        self.move_rows(former, name, false)
    }

    fn move_rows(&mut self, former: &str, name: &str, keeps: bool) -> Result<(), StoreError> {
        self.in_transaction(|connection| {
            copy(connection, "consumers", "name", former, name)?;
            copy_secrets(connection, former, name)?;
            if keeps {
                return Ok(());
            }
            for (table, key) in transfer::tables_of(connection)? {
                if table != "consumers" {
                    let sql = format!("UPDATE {table} SET {key} = ?2 WHERE {key} = ?1");
                    connection.execute(&sql, [former, name])?;
                }
            }
            transfer::remove_rows(connection, former).map(drop)
        })
    }
}

fn copy(
    connection: &Connection,
    table: &str,
    key: &str,
    former: &str,
    name: &str,
) -> rusqlite::Result<()> {
    let columns = transfer::columns_of(connection, table)?;
    let others: Vec<&str> = columns.keys().map(String::as_str).filter(|c| *c != key).collect();
    let others = others.join(", ");
    // The names are those of the schema.
    let sql = format!(
        "INSERT INTO {table} ({key}, {others}) SELECT ?2, {others} FROM {table} WHERE {key} = ?1"
    );
    connection.execute(&sql, [former, name]).map(drop)
}

/// Copies the secrets of an imported cursor, which are stored under its name.
fn copy_secrets(connection: &Connection, former: &str, name: &str) -> rusqlite::Result<()> {
    let sql = "
INSERT OR REPLACE INTO meta (key, value)
SELECT substr(key, 1, instr(key, '/')) || ?2, value FROM meta
WHERE instr(key, '/') > 0 AND substr(key, instr(key, '/') + 1) = ?1";
    connection.execute(sql, [former, name]).map(drop)
}
