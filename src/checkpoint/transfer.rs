//! Converts one consumer's rows into JSON and back, for `skytail cursors export` and `import`.
//!
//! An export has every column of every row of the consumer, the version of the schema, and the
//! secrets of the consumer's dedup keys. It does not interpret the columns. An import puts the rows
//! into an empty database of that version in memory, migrates it, reads all of it as a run would,
//! and only then copies the rows.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::row::BadColumn;
use super::schema;
use super::store::{Store, StoreError};
use crate::position::TimeUs;

/// The version of the format.
const FORMAT: u32 = 1;

/// The start of the names of the secrets in the table `meta`.
const SECRETS: &str = "identity_";

/// Larger integers are written as text, because many programs read numbers as 64-bit floats.
const LARGEST_EXACT: u64 = 1 << 53;

/// Maximum number of rows of one table: more than any consumer has.
const MOST_ROWS: usize = 100_000;

/// One consumer's rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// The version of the format.
    skytail_cursor: u32,
    /// The version of the schema of the tables.
    schema: i32,
    /// The consumer's name.
    pub name: String,
    /// The secrets with which the dedup keys were computed.
    secrets: BTreeMap<String, String>,
    /// The rows of each table, each with its columns.
    tables: BTreeMap<String, Vec<BTreeMap<String, Value>>>,
}

/// Why an export can't be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The export has another version of the format.
    #[error("{name:?} has format {found}, and this skytail knows format {FORMAT}: update skytail")]
    Format {
        /// The consumer's name.
        name: String,
        /// Its format.
        found: u32,
    },
    /// The export has a later version of the schema.
    #[error(
        "{name:?} was exported by a newer skytail (schema {found}, and this one knows schemas up to {}): update skytail",
        schema::VERSION
    )]
    Newer {
        /// The consumer's name.
        name: String,
        /// Its schema.
        found: i32,
    },
    /// The export has a value that skytail never writes.
    #[error("{name:?} is damaged: {problem}; export it again")]
    Damaged {
        /// The consumer's name.
        name: String,
        /// The fault, and its place.
        problem: String,
    },
    /// The name exists already.
    #[error("{0:?} exists already: give --force to replace what is saved under it")]
    Exists(String),
    /// The state file can't be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Returns all rows of a consumer; `None` if it has none. All rows are from the same
    /// transaction, also while a run saves.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Row`] if a row has an invalid value.
    pub fn export(&self, consumer: &str) -> Result<Option<Export>, StoreError> {
        if self.entry(consumer)?.is_none() {
            return Ok(None);
        }
        let exported = self.connection.unchecked_transaction().and_then(|view| {
            let mut tables = BTreeMap::new();
            for (table, key) in tables_of(&view)? {
                tables.insert(table.clone(), rows(&view, &table, &key, consumer)?);
            }
            Ok(Export {
                skytail_cursor: FORMAT,
                schema: schema::version(&view)?,
                name: consumer.to_owned(),
                secrets: secrets_of(&view, consumer)?,
                tables,
            })
        });
        exported.map(Some).map_err(|error| self.store_error(&error))
    }

    /// Saves all of these exports, or none of them. The caller holds the leases on their names.
    /// `replaces` says whether names that exist are replaced.
    ///
    /// # Errors
    /// [`ImportError`]; nothing is then changed.
    pub fn import(&mut self, exports: &[Export], replaces: bool) -> Result<(), ImportError> {
        let names = self.names()?;
        let mut checked = Vec::with_capacity(exports.len());
        for export in exports {
            if names.contains(&export.name) && !replaces {
                return Err(ImportError::Exists(export.name.clone()));
            }
            checked.push((export, export.check()?));
        }
        self.in_transaction(|connection| {
            for (export, scratch) in &checked {
                let consumer = &*export.name;
                remove_rows(connection, consumer)?;
                for (table, key) in tables_of(&scratch.connection)? {
                    for row in rows(&scratch.connection, &table, &key, consumer)? {
                        insert(connection, &table, &columns_of(connection, &table)?, &row)
                            .map_err(|problem| {
                                rusqlite::Error::ToSqlConversionFailure(problem.into())
                            })?;
                    }
                }
                let ours = secrets_of(connection, consumer)?;
                for (key, value) in &export.secrets {
                    if ours.get(key) != Some(value) {
                        let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
                        connection.execute(sql, (own_key(key, consumer), value))?;
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Export {
    /// Returns a store in memory with these rows, after it has read all of them.
    fn check(&self) -> Result<Store, ImportError> {
        let name = self.name.clone();
        if self.skytail_cursor != FORMAT {
            return Err(ImportError::Format { name, found: self.skytail_cursor });
        }
        if self.schema > schema::VERSION {
            return Err(ImportError::Newer { name, found: self.schema });
        }
        let damaged = |problem: String| ImportError::Damaged { name: name.clone(), problem };
        self.check_secrets().map_err(damaged)?;
        let mut connection =
            Connection::open_in_memory().map_err(|error| damaged(error.to_string()))?;
        self.fill(&mut connection).map_err(damaged)?;
        schema::migrate(&mut connection).map_err(|error| damaged(error.to_string()))?;
        let store = Store::in_memory(connection)?;
        store.read_all(&self.name).map_err(|error| match error {
            StoreError::Row { column, problem, .. } => {
                damaged(format!("column {column} {problem}"))
            }
            other => damaged(other.to_string()),
        })?;
        Ok(store)
    }

    fn check_secrets(&self) -> Result<(), String> {
        if self.secrets.is_empty() {
            return Err("it has no secrets".to_owned());
        }
        for (key, value) in &self.secrets {
            let digits = match key.as_str() {
                "identity_key" => 32,
                "identity_seed" => 16,
                other => return Err(format!("there is no secret {other:?}")),
            };
            if value.len() != digits || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!("the secret {key} is not {digits} hexadecimal digits"));
            }
        }
        Ok(())
    }

    /// Puts the rows into the tables of their schema.
    fn fill(&self, connection: &mut Connection) -> Result<(), String> {
        let sqlite_error = |error: rusqlite::Error| error.to_string();
        if self.schema < 1 {
            return Err(format!("its schema can't be {}", self.schema));
        }
        schema::migrate_to(connection, self.schema).map_err(sqlite_error)?;
        let known: BTreeMap<String, String> =
            tables_of(connection).map_err(sqlite_error)?.into_iter().collect();
        if self.tables.get("consumers").map(Vec::len) != Some(1) {
            return Err("the table consumers must have exactly one row".to_owned());
        }
        for (table, rows) in &self.tables {
            let Some(key) = known.get(table) else {
                return Err(format!("there is no table {table:?} in schema {}", self.schema));
            };
            if rows.len() > MOST_ROWS {
                return Err(format!("the table {table} has more than {MOST_ROWS} rows"));
            }
            let columns = columns_of(connection, table).map_err(sqlite_error)?;
            for row in rows {
                if row.get(key).and_then(Value::as_str) != Some(&self.name) {
                    return Err(format!("a row of the table {table} is of another consumer"));
                }
                insert(connection, table, &columns, row)?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Reads every row of a consumer as a run and `cursors show` do.
    fn read_all(&self, consumer: &str) -> Result<(), StoreError> {
        let bad = |column, problem: String| self.bad_row(consumer, BadColumn { column, problem });
        self.entry(consumer)?;
        for output in self.outputs(consumer)? {
            if !output.is_broker() && !output.path.is_absolute() {
                let path = output.path.display().to_string();
                return Err(bad("path", format!("is {path:?}, which is not absolute")));
            }
        }
        self.earlier(consumer, TimeUs(0))?;
        self.additions(consumer)?;
        for saved in self.gaps(consumer, u32::MAX)? {
            if saved.count == 0 {
                return Err(bad("count", "is 0".to_owned()));
            }
        }
        Ok(())
    }
}

/// Deletes all rows of a consumer, and the secrets that its import saved. Returns the number of
/// deleted consumers, 0 or 1.
pub(super) fn remove_rows(connection: &Connection, consumer: &str) -> rusqlite::Result<usize> {
    let mut names = 0;
    for (table, key) in tables_of(connection)? {
        let rows =
            connection.execute(&format!("DELETE FROM {table} WHERE {key} = ?1"), [consumer])?;
        if table == "consumers" {
            names = rows;
        }
    }
    let sql =
        "DELETE FROM meta WHERE instr(key, '/') > 0 AND substr(key, instr(key, '/') + 1) = ?1";
    connection.execute(sql, [consumer])?;
    Ok(names)
}

/// Returns the name in the table `meta` of a secret that was imported with a consumer.
pub(super) fn own_key(key: &str, consumer: &str) -> String {
    format!("{key}/{consumer}")
}

/// Returns the secrets of a consumer: its own, or else those of the file.
fn secrets_of(
    connection: &Connection,
    consumer: &str,
) -> rusqlite::Result<BTreeMap<String, String>> {
    let sql = "SELECT key, value FROM meta WHERE substr(key, 1, length(?1)) = ?1";
    let mut statement = connection.prepare(sql)?;
    let all: BTreeMap<String, String> = statement
        .query_map([SECRETS], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let of_file = all.iter().filter(|(key, _)| !key.contains('/'));
    Ok(of_file
        .map(|(key, value)| {
            let own = all.get(&own_key(key, consumer)).unwrap_or(value);
            (key.clone(), own.clone())
        })
        .collect())
}

/// Returns the tables that hold rows of consumers, each with the column of their name.
pub(super) fn tables_of(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "
SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
WHERE m.type = 'table' AND (c.name = 'consumer' OR m.name = 'consumers' AND c.name = 'name')
ORDER BY m.name";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Returns the columns of a table with their types.
pub(super) fn columns_of(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn rows(
    connection: &Connection,
    table: &str,
    key: &str,
    consumer: &str,
) -> rusqlite::Result<Vec<BTreeMap<String, Value>>> {
    // The names are those of the schema.
    let mut statement = connection.prepare(&format!("SELECT * FROM {table} WHERE {key} = ?1"))?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        let value = |(i, column): (usize, &String)| {
            row.get_ref(i).map(|value| (column.clone(), to_json(value)))
        };
        columns.iter().enumerate().map(value).collect()
    };
    statement.query_map([consumer], read)?.collect()
}

fn insert(
    connection: &Connection,
    table: &str,
    columns: &BTreeMap<String, String>,
    row: &BTreeMap<String, Value>,
) -> Result<(), String> {
    let mut values = Vec::with_capacity(row.len());
    for (column, value) in row {
        let Some(kind) = columns.get(column) else {
            return Err(format!("the table {table} has no column {column:?}"));
        };
        let value = from_json(kind, value);
        values.push(value.ok_or_else(|| format!("column {column} of {table} is not {kind}"))?);
    }
    // The names are those of the schema.
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
    connection
        .execute(&sql, params_from_iter(values))
        .map(drop)
        .map_err(|error| format!("a row of the table {table} can't be inserted: {error}"))
}

/// Returns a value as JSON: integers that a 64-bit float can't hold are text, and bytes are
/// hexadecimal digits.
fn to_json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) if number.unsigned_abs() <= LARGEST_EXACT => number.into(),
        ValueRef::Integer(number) => number.to_string().into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => HEX.encode(bytes).into(),
    }
}

/// Returns a value of the type of its column; `None` if it has another type.
fn from_json(kind: &str, value: &Value) -> Option<SqlValue> {
    Some(match (kind, value) {
        (_, Value::Null) => SqlValue::Null,
        ("INTEGER", Value::Number(number)) => SqlValue::Integer(number.as_i64()?),
        ("INTEGER", Value::String(digits)) => SqlValue::Integer(digits.parse().ok()?),
        ("TEXT", Value::String(text)) => SqlValue::Text(text.clone()),
        ("BLOB", Value::String(digits)) => SqlValue::Blob(HEX.decode(digits.as_bytes()).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
