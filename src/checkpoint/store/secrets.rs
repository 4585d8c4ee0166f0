//! Reads the secrets of dedup keys from the table `meta`.

use rusqlite::OptionalExtension as _;

use super::{Store, StoreError};
use crate::checkpoint::transfer;
use crate::event::event_id::{EventIdKey, EventIdSecrets};

impl Store {
    /// Reads a number of `digits` hexadecimal digits from the table `meta`.
    pub(super) fn hexadecimal(&self, key: &str, digits: usize) -> Result<Option<u128>, StoreError> {
        let found: Option<String> = self
            .connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|error| self.store_error(&error))?;
        let Some(text) = found else { return Ok(None) };
        let is_hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| is_hex);
        let damaged = || StoreError::Damaged {
            path: self.path.clone(),
            cause: format!("{key} in the table meta is not {digits} hexadecimal digits"),
        };
        number.map(Some).ok_or_else(damaged)
    }

    pub(super) fn no_seed(&self) -> StoreError {
        let cause = "identity_seed is missing in the table meta".to_owned();
        StoreError::Damaged { path: self.path.clone(), cause }
    }

    /// Returns what the identities of a consumer are made with: the secrets of the file, unless
    /// the consumer brought its own along with an import.
    ///
    /// # Errors
    /// [`StoreError`] if the file holds no key: 0.1.0 wrote it, and it was opened to be read.
    pub fn identity_secrets(&self, consumer: &str) -> Result<EventIdSecrets, StoreError> {
        let own = |key: &str, digits| self.hexadecimal(&transfer::own_key(key, consumer), digits);
        let (key, seed) = self.secrets;
        let key = own("identity_key", 32)?.map(EventIdKey::new).or(key);
        let seed = own("identity_seed", 16)?.map_or(seed, |seed| seed as u64);
        let cause = "identity_key is missing in the table meta".to_owned();
        let damaged = || StoreError::Damaged { path: self.path.clone(), cause };
        Ok(EventIdSecrets { key: key.ok_or_else(damaged)?, legacy_seed: Some(seed) })
    }
}
