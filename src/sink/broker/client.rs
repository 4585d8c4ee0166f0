//! The broker of a build that has a client: hands messages over, waits for acknowledgements,
//! and turns them into what a checkpoint remembers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::BrokerSettings;
use super::error::BrokerError;
use super::in_flight::InFlight;
#[cfg(feature = "kafka")]
use super::kafka;
use super::message::messages;
#[cfg(feature = "nats")]
use super::nats;
use super::offsets::Offsets;
use super::target::Kind;
use crate::event::batch::Lines;
use crate::event::identity::{Identities, IdentityKey};
use crate::event::shape::Shape;
use crate::sink::output_record::{OutputRecord, OutputState};
use crate::sink::{Output, PersistOutput, SinkError};

/// A broker that is connected.
#[derive(Debug)]
pub struct Broker {
    name: String,
    client: Client,
    in_flight: Arc<InFlight>,
    identities: Identities,
    /// How far it had come when the run began, until that is remembered: what a run that is
    /// killed before its first checkpoint has published lies behind it. `None` where an earlier
    /// run's ends still stand.
    begins: Option<Offsets>,
}

#[derive(Debug)]
enum Client {
    #[cfg(feature = "kafka")]
    Kafka(kafka::KafkaClient),
    /// Held for its end: the thread takes from the in_flight by itself.
    #[cfg(feature = "nats")]
    Nats(#[allow(dead_code)] nats::NatsClient),
}

impl Broker {
    /// Connects, and reads back what earlier runs published behind their last checkpoint, as
    /// `known` tells of it. Blocks; tries for some seconds where nobody answers.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(settings: &BrokerSettings, known: &[OutputRecord]) -> Result<Self, BrokerError> {
        let name = settings.target.to_string();
        let rows: Vec<_> = known.iter().filter(|record| record.pattern == name).collect();
        // After a run that ended cleanly, nothing of it lies behind its last checkpoint.
        let is_clean = rows.iter().all(|record| record.state == OutputState::Clean);
        let known: Offsets = match is_clean {
            true => Offsets::new(),
            false => rows.iter().map(|row| (row.number, row.length_bytes)).collect(),
        };
        let in_flight = Arc::new(InFlight::default());
        let (client, ends) = connect(settings, &known, &in_flight)?;
        let begins = known.is_empty().then_some(ends);
        Ok(Self {
            name,
            client,
            in_flight,
            identities: Identities::new(IdentityKey::new(0)),
            begins,
        })
    }

    /// Hands all lines over; returns before they are acknowledged.
    pub(in crate::sink) fn write(
        &mut self,
        lines: &Lines,
        shape: Shape,
        deadline: impl Fn() -> Option<Instant>,
        persist: &mut PersistOutput<'_>,
    ) -> Result<(), SinkError> {
        if lines.is_empty() {
            return Ok(());
        }
        for (partition, end) in self.begins.take().unwrap_or_default() {
            let record = record(&self.name, partition, end);
            persist(&record)
                .map_err(|cause| SinkError::FileNotSaved { path: record.path.clone(), cause })?;
        }
        let messages = messages(lines, shape, &mut self.identities);
        match &mut self.client {
            #[cfg(feature = "kafka")]
            Client::Kafka(client) => client.publish(messages, &self.in_flight, &deadline),
            #[cfg(feature = "nats")]
            Client::Nats(_) => self.in_flight.put(messages, &deadline),
        }
    }

    /// Waits until everything is acknowledged.
    pub(in crate::sink) fn checkpoint(
        &mut self,
        deadline: impl Fn() -> Option<Instant>,
    ) -> Result<Vec<Output>, SinkError> {
        let ends = self.in_flight.wait_acknowledged(&deadline)?;
        let records = ends.into_iter().map(|(partition, end)| record(&self.name, partition, end));
        Ok(records.map(|record| Output { file: None, record }).collect())
    }

    /// Whether nothing lies in the broker that the last checkpoint does not know of.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.in_flight.offsets_withheld()
    }

    /// Where events went, in words.
    #[must_use]
    pub fn destination(&self) -> String {
        self.name.clone()
    }
}

fn connect(
    settings: &BrokerSettings,
    known: &Offsets,
    in_flight: &Arc<InFlight>,
) -> Result<(Client, Offsets), BrokerError> {
    match settings.target.kind {
        #[cfg(feature = "kafka")]
        Kind::Kafka => {
            let (client, ends) =
                kafka::KafkaClient::connect(settings, known, Arc::clone(in_flight))?;
            Ok((Client::Kafka(client), ends))
        }
        #[cfg(feature = "nats")]
        Kind::Nats => {
            let (client, ends) = nats::NatsClient::connect(settings, known, Arc::clone(in_flight))?;
            Ok((Client::Nats(client), ends))
        }
        #[allow(unreachable_patterns)]
        kind => {
            let problem = format!("this build has no client for {}", kind.scheme());
            Err(BrokerError::Setting { key: settings.target.to_string(), problem })
        }
    }
}

/// What is remembered of one partition while a run publishes.
fn record(name: &str, partition: u32, end: u64) -> OutputRecord {
    OutputRecord {
        path: PathBuf::from(format!("{name}#{partition}")),
        pattern: name.to_owned(),
        rotation: None,
        state: OutputState::Open,
        length_bytes: end,
        tail_hash: 0,
        period_start: None,
        number: partition,
    }
}
