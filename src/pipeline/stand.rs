//! Where the output stands, told by the writer to the reader: what a reconnect starts from.

use std::sync::{Mutex, PoisonError};

use crate::position::Position;

/// The newest position that was dealt with.
#[derive(Debug, Default)]
pub struct Stand(Mutex<Option<Position>>);

impl Stand {
    /// A stand that begins at a saved position.
    #[must_use]
    pub fn new(position: Option<Position>) -> Self {
        Self(Mutex::new(position))
    }

    /// Replaces it.
    pub fn set(&self, position: Option<&Position>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = position.cloned();
    }

    /// The position now.
    #[must_use]
    pub fn get(&self) -> Option<Position> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
