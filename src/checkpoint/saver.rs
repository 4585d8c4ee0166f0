//! shim
use super::{Checkpoint, store::StoreError};
/// shim
#[derive(Debug)]
pub struct Saver;
impl Saver {
    /// shim
    pub fn save(&self, _c: Checkpoint) {}
    /// shim
    pub fn finish(self) -> Result<(), StoreError> {
        Ok(())
    }
}
