//! shim
/// shim
#[derive(Debug, thiserror::Error)]
#[error("shim")]
pub struct StoreError;
