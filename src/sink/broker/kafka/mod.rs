//! Kafka: librdkafka's idempotent producer keeps the order of each partition and never stores a
//! message twice. Messages that an earlier run published after its last checkpoint are read back
//! from the partitions, and not published again.
//!
//! librdkafka has threads of its own, which wait and retry. If a broker is down, messages stay in
//! the queue, and no call returns an error.

mod context;
mod options;
mod readback;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::BrokerSettings;
use super::already_published::AlreadyPublished;
use super::error::BrokerError;
use super::in_flight::InFlight;
use super::message::Message;
use super::offsets::Offsets;
use super::retry::Retry;
use super::target::Target;
use crate::sink::SinkError;

use context::Context;

/// The record's header with the event id.
const ID: &str = "skytail-id";
/// Timeout of one request for the topic's metadata.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of tries before the run fails because no broker has ever answered.
const FIRST_TRIES: u32 = 4;
/// How often a message is offered again if librdkafka's queue is full.
const RECHECK: Duration = Duration::from_millis(10);

/// A producer for one topic. Dropping it forgets unacknowledged messages.
pub struct KafkaClient {
    target: Target,
    producer: ThreadedProducer<Context>,
    /// Messages that an earlier run stored.
    stored: AlreadyPublished,
}

impl std::fmt::Debug for KafkaClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaClient").field("target", &self.target).finish_non_exhaustive()
    }
}

impl KafkaClient {
    /// Connects. `known` has the end offset of each partition at an earlier run's checkpoint.
    /// Returns the current end offsets.
    ///
    /// # Errors
    /// [`BrokerError`] if no broker answers for some seconds, or if a broker refuses.
    pub fn connect(
        settings: &BrokerSettings,
        known: &Offsets,
        in_flight: Arc<InFlight>,
    ) -> Result<(Self, Offsets), BrokerError> {
        let target = settings.target.clone();
        let context = Context::new(target.clone(), Arc::clone(&in_flight));
        let config = options::producer(settings)?;
        let producer: ThreadedProducer<Context> = config
            .create_with_context(context)
            .map_err(|error| options::refused(&error, settings))?;
        let ends = find_ends(&producer, &target)?;
        let stored = match known.is_empty() {
            true => AlreadyPublished::default(),
            false => {
                AlreadyPublished::new(readback::stored_since(settings, known, &ends)?, &in_flight)
            }
        };
        Ok((Self { target, producer, stored }, ends))
    }

    /// Queues messages at librdkafka. Blocks while too many are unacknowledged.
    pub fn publish(
        &mut self,
        messages: impl Iterator<Item = Message>,
        in_flight: &InFlight,
        deadline: &impl Fn() -> Option<Instant>,
    ) -> Result<(), SinkError> {
        for message in messages {
            if self.stored.remove(message.id, in_flight) {
                continue;
            }
            in_flight.admit(message.bytes(), deadline)?;
            let sent = self.send(&message, deadline);
            // The error ends the run; the message must not stay counted.
            sent.inspect_err(|_| in_flight.acknowledge(1, message.bytes(), None))?;
        }
        Ok(())
    }

    fn send(
        &self,
        message: &Message,
        deadline: &impl Fn() -> Option<Instant>,
    ) -> Result<(), SinkError> {
        let id = message.id.to_string();
        let headers = OwnedHeaders::new_with_capacity(1);
        let headers = headers.insert(Header { key: ID, value: Some(&*id) });
        let opaque = Box::new(message.bytes());
        let mut record: BaseRecord<'_, str, [u8], Box<usize>> =
            BaseRecord::with_opaque_to(&self.target.channel, opaque)
                .payload(&*message.payload)
                .headers(headers);
        if !message.did.is_empty() {
            record = record.key(&message.did);
        }
        loop {
            let (error, again) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => {}
                _ => {
                    let bytes = message.payload.len();
                    return Err(context::final_error(&self.target, &error, bytes).into());
                }
            }
            if deadline().is_some_and(|at| Instant::now() >= at) {
                return Err(SinkError::TimedOut);
            }
            std::thread::sleep(RECHECK);
            record = again;
        }
    }
}

/// Returns the end offset of each partition. Retries for some seconds.
fn find_ends(
    producer: &ThreadedProducer<Context>,
    target: &Target,
) -> Result<Offsets, BrokerError> {
    let mut retry = Retry::new(target.to_string());
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match fetch_ends(producer, target) {
            Ok(ends) => {
                retry.succeeded();
                return Ok(ends);
            }
            Err(error) => error,
        };
        if let Some(failure) = producer.context().failure() {
            return Err(failure);
        }
        let cause = producer.context().words().unwrap_or_else(|| error.to_string());
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition)
                if tries >= FIRST_TRIES / 2 =>
            {
                return Err(context::final_error(target, &error, 0));
            }
            Some(code) if context::is_denial(code) => {
                return Err(context::final_error(target, &error, 0));
            }
            _ if tries >= FIRST_TRIES => {
                let broker = target.to_string();
                return Err(BrokerError::Unreachable { broker, cause, tries });
            }
            _ => std::thread::sleep(retry.backoff(&cause)),
        }
    }
}

fn fetch_ends(
    producer: &ThreadedProducer<Context>,
    target: &Target,
) -> Result<Offsets, KafkaError> {
    let client = producer.client();
    let metadata = client.fetch_metadata(Some(&target.channel), ANSWER_TIMEOUT)?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == target.channel);
    let topic = topic.ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic))?;
    if let Some(error) = topic.error() {
        return Err(KafkaError::MetadataFetch(error.into()));
    }
    let mut ends = Offsets::new();
    for partition in topic.partitions() {
        let number = partition.id();
        let (_, high) = client.fetch_watermarks(&target.channel, number, ANSWER_TIMEOUT)?;
        ends.insert(number.cast_unsigned(), high.max(0).cast_unsigned());
    }
    match ends.is_empty() {
        true => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic)),
        false => Ok(ends),
    }
}
