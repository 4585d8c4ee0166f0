//! The broker of a build without any client: no value of this type exists.

use std::time::Instant;

use super::BrokerSettings;
use super::error::BrokerError;
use crate::sink::output_record::OutputRecord;
use crate::sink::{Output, SinkError, WriteContext, WriteRequest};

/// A broker that no build without a client can connect to.
#[derive(Debug)]
pub enum Broker {}

impl Broker {
    /// Always fails: `cli` has rejected the address before.
    ///
    /// # Errors
    /// [`BrokerError::Setting`].
    pub fn open(settings: &BrokerSettings, _known: &[OutputRecord]) -> Result<Self, BrokerError> {
        let problem = "this build has no client for any broker".to_owned();
        Err(BrokerError::Setting { key: settings.target.to_string(), problem })
    }

    pub(in crate::sink) fn write(
        &mut self,
        _request: &WriteRequest<'_>,
        _context: &mut WriteContext<'_>,
    ) -> Result<(), SinkError> {
        match *self {}
    }

    pub(in crate::sink) fn checkpoint(
        &mut self,
        _deadline: impl Fn() -> Option<Instant>,
    ) -> Result<Vec<Output>, SinkError> {
        match *self {}
    }

    /// Returns whether the broker has no message of ours after the last checkpoint.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        match *self {}
    }

    /// Returns the target as text.
    #[must_use]
    pub fn destination(&self) -> String {
        match *self {}
    }
}
