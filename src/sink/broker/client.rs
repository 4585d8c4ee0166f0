//! The broker of a build that has a client: publishes messages, waits for acknowledgements, and
//! collects the offsets of a checkpoint from them.

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
use crate::event::event_id::{EventIdHasher, EventIdKey};
use crate::sink::output_record::{OutputRecord, OutputState};
use crate::sink::{Output, SinkError, WriteContext, WriteRequest};

/// A connected broker.
#[derive(Debug)]
pub struct Broker {
    name: String,
    client: Client,
    in_flight: Arc<InFlight>,
    identities: EventIdHasher,
    /// The end offsets when the run began, until they are saved: if the run is killed before its
    /// first checkpoint, everything that it published comes after them. `None` if the offsets of
    /// an earlier run still apply.
    begins: Option<Offsets>,
}

#[derive(Debug)]
enum Client {
    #[cfg(feature = "kafka")]
    Kafka(kafka::KafkaClient),
    /// Dropping it ends the thread, which takes messages from the queue.
    #[cfg(feature = "nats")]
    Nats(#[allow(dead_code)] nats::NatsClient),
}

impl Broker {
    /// Connects, and reads back what earlier runs published after their last checkpoint, which
    /// `known` records. Blocks, and retries for some seconds if no server answers.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(settings: &BrokerSettings, known: &[OutputRecord]) -> Result<Self, BrokerError> {
        let name = settings.target.to_string();
        let rows: Vec<_> = known.iter().filter(|record| record.pattern == name).collect();
        // A run that ended cleanly published nothing after its last checkpoint.
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
            identities: EventIdHasher::new(EventIdKey::new(0)),
            begins,
        })
    }

    /// Publishes all lines. Returns before they are acknowledged.
    pub(in crate::sink) fn write(
        &mut self,
        request: &WriteRequest<'_>,
        context: &mut WriteContext<'_>,
    ) -> Result<(), SinkError> {
        if request.lines.is_empty() {
            return Ok(());
        }
        for (partition, end) in self.begins.take().unwrap_or_default() {
            let record = OutputRecord::partition(&self.name, partition, end);
            (context.persist)(&record)
                .map_err(|cause| SinkError::FileNotSaved { path: record.path.clone(), cause })?;
        }
        let messages = messages(request.lines, request.shape, &mut self.identities);
        match &mut self.client {
            #[cfg(feature = "kafka")]
            Client::Kafka(client) => client.publish(messages, &self.in_flight, &context.deadline),
            #[cfg(feature = "nats")]
            Client::Nats(_) => self.in_flight.put(messages, &context.deadline),
        }
    }

    /// Waits until everything is acknowledged.
    pub(in crate::sink) fn checkpoint(
        &mut self,
        deadline: impl Fn() -> Option<Instant>,
    ) -> Result<Vec<Output>, SinkError> {
        let ends = self.in_flight.wait_acknowledged(&deadline)?;
        let records = ends
            .into_iter()
            .map(|(partition, end)| OutputRecord::partition(&self.name, partition, end));
        Ok(records.map(|record| Output { file: None, record, waiting: None }).collect())
    }

    /// Returns whether the broker has no message of ours after the last checkpoint.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.in_flight.offsets_withheld()
    }

    /// Returns the target as text.
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
