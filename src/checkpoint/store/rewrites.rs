//! Files that `skytail scrub` replaces. From before the rename until after it, the state file holds
//! the ends of both versions, so that a crash leaves a file that the next start accepts.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Row, named_params};

use super::{Store, StoreError};
use crate::paths;
use crate::sink::file::open::end_of;
use crate::sink::output_record::{FileEnd, OutputRecord};

const BEGIN: &str = "
INSERT OR REPLACE INTO rewrites
  (path, old_length_bytes, old_tail_hash, new_length_bytes, new_tail_hash)
VALUES (:path, :old_length, :old_hash, :new_length, :new_hash)";

/// Rows of consumers that say something else of the file stay as they are.
const REPLACE: &str = "
UPDATE outputs SET length_bytes = rewrites.new_length_bytes, tail_hash = rewrites.new_tail_hash
FROM rewrites
WHERE outputs.path = ?1 AND rewrites.path = ?1
  AND outputs.length_bytes = rewrites.old_length_bytes
  AND outputs.tail_hash = rewrites.old_tail_hash";

const FORGET: &str = "DELETE FROM rewrites WHERE path = ?1";

/// A file that a scrub began to replace.
struct Rewrite {
    path: PathBuf,
    new: FileEnd,
}

impl Store {
    /// Returns the consumers that own the file at an absolute path, and their records of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn owners(&self, path: &Path) -> Result<Vec<(String, OutputRecord)>, StoreError> {
        let sql = "SELECT consumer FROM outputs WHERE path = ?1 ORDER BY consumer";
        let names: Vec<String> = self.rows_with(sql, [path.to_string_lossy()], |row| row.get(0))?;
        let mut owners = Vec::with_capacity(names.len());
        for name in names {
            let records = self.outputs(&name)?.into_iter().filter(|record| record.path == path);
            owners.extend(records.map(|record| (name.clone(), record)));
        }
        Ok(owners)
    }

    /// Records durably that a file is about to be replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_rewrite(
        &mut self,
        path: &Path,
        old: FileEnd,
        new: FileEnd,
    ) -> Result<(), StoreError> {
        self.make_durable()?;
        let params = named_params! {
            ":path": path.to_string_lossy(),
            ":old_length": old.length_bytes.cast_signed(),
            ":old_hash": old.tail_hash.cast_signed(),
            ":new_length": new.length_bytes.cast_signed(),
            ":new_hash": new.tail_hash.cast_signed(),
        };
        let done = self.connection.execute(BEGIN, params);
        done.map(drop).map_err(|error| self.store_error(&error))
    }

    /// Records that the file was replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn finish_rewrite(&mut self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_string_lossy();
        self.in_transaction(|connection| {
            connection.execute(REPLACE, [&path])?;
            connection.execute(FORGET, [&path])
        })
        .map(drop)
    }

    /// Finishes what a scrub began before it was killed: compares each file with both versions.
    /// Leaves files alone that a scrub has locked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settle_rewrites(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT path, new_length_bytes, new_tail_hash FROM rewrites";
        for Rewrite { path, new } in self.rows(sql, rewrite)? {
            match found_end(&path) {
                Some(end) if end == Some(new) => self.finish_rewrite(&path)?,
                // It is the old version, and its rows are true.
                Some(_) => {
                    let done = self.connection.execute(FORGET, [path.to_string_lossy()]);
                    done.map_err(|error| self.store_error(&error))?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn rewrite(row: &Row<'_>) -> rusqlite::Result<Rewrite> {
    let unsigned = |name| row.get::<_, i64>(name).map(i64::cast_unsigned);
    let new = FileEnd {
        length_bytes: unsigned("new_length_bytes")?,
        tail_hash: unsigned("new_tail_hash")?,
    };
    Ok(Rewrite { path: PathBuf::from(row.get::<_, String>("path")?), new })
}

/// Returns the end of a file, or `Some(None)` if there is no file that can be read; `None` while
/// another process has locked it.
fn found_end(path: &Path) -> Option<Option<FileEnd>> {
    let Ok(file) = paths::open_without_link(File::options().read(true), path) else {
        return Some(None);
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        _ => Some(end_of(&file).ok()),
    }
}
