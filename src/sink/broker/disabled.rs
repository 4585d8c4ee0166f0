//! The broker of a build that can speak to none: nobody can make one.

use std::time::Instant;

use super::BrokerSettings;
use super::error::BrokerError;
use crate::event::batch::Lines;
use crate::event::shape::Shape;
use crate::sink::output_record::OutputRecord;
use crate::sink::{Output, PersistOutput, SinkError};

/// A broker; there is none.
#[derive(Debug)]
pub enum Broker {}

impl Broker {
    /// Never succeeds: `cli` has refused the address before.
    ///
    /// # Errors
    /// Always.
    pub fn open(settings: &BrokerSettings, _known: &[OutputRecord]) -> Result<Self, BrokerError> {
        let problem = "this build has no client for any broker".to_owned();
        Err(BrokerError::Setting { key: settings.target.to_string(), problem })
    }

    pub(in crate::sink) fn write(
        &mut self,
        _lines: &Lines,
        _shape: Shape,
        _deadline: impl Fn() -> Option<Instant>,
        _announce: &mut PersistOutput<'_>,
    ) -> Result<(), SinkError> {
        match *self {}
    }

    pub(in crate::sink) fn checkpoint(
        &mut self,
        _deadline: impl Fn() -> Option<Instant>,
    ) -> Result<Vec<Output>, SinkError> {
        match *self {}
    }

    /// Whether nothing lies in the broker that the last checkpoint does not know of.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        match *self {}
    }

    /// Where events went, in words.
    #[must_use]
    pub fn destination(&self) -> String {
        match *self {}
    }
}
