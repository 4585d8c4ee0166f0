//! How the reader of the witness hands its channel to the writer.

use std::sync::{Mutex, PoisonError};

use super::WitnessStream;

/// A message from the reader of the witness to the writer.
#[derive(Debug)]
pub enum Change {
    /// This stream is the witness from now on.
    Stream(Box<WitnessStream>),
    /// There is no witness for the time being.
    Nothing,
}

/// A place for the next stream of the witness.
#[derive(Debug, Default)]
pub struct WitnessLink(Mutex<Option<Change>>);

impl WitnessLink {
    /// Replaces the witness's stream; `None` if no server can be the witness.
    pub fn offer(&self, stream: Option<WitnessStream>) {
        let change = stream.map_or(Change::Nothing, |stream| Change::Stream(Box::new(stream)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
    }

    /// Takes the latest change.
    pub(super) fn take(&self) -> Option<Change> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
