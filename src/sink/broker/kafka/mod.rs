//! Kafka: librdkafka's idempotent producer, which keeps the order of each partition and repeats
//! nothing for as long as it lives. What an earlier run published after its last checkpoint is read
//! back from the partitions, and not published again.
//!
//! librdkafka has threads of its own, and waits and retries by itself: a broker that is away is
//! no error here, only a queue that does not move.

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

/// The record's header with the event's identity.
const ID: &str = "skytail-id";
/// Time for one answer about the topic.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Tries before a broker that has never answered is given up.
const FIRST_TRIES: u32 = 4;
/// How often a full queue of librdkafka's is tried again.
const RECHECK: Duration = Duration::from_millis(10);

/// A producer for one topic. Dropping it forgets what is still out.
pub struct KafkaClient {
    target: Target,
    producer: ThreadedProducer<Context>,
    /// There already, from an earlier run.
    stored: AlreadyPublished,
}

impl std::fmt::Debug for KafkaClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaClient").field("target", &self.target).finish_non_exhaustive()
    }
}

impl KafkaClient {
    /// Connects. `known` says up to where an earlier run is sure to have come in each
    /// partition. Returns how far they have come.
    ///
    /// # Errors
    /// [`BrokerError`] if no broker answers for some seconds, or if it refuses.
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
        let ends = first_look(&producer, &target)?;
        let stored = match known.is_empty() {
            true => AlreadyPublished::default(),
            false => {
                AlreadyPublished::new(readback::stored_since(settings, known, &ends)?, &in_flight)
            }
        };
        Ok((Self { target, producer, stored }, ends))
    }

    /// Hands messages to librdkafka, waiting for room where too many are out.
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
            // What was counted and not handed over ends the run.
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

/// How far each partition has come. Tries for some seconds.
fn first_look(
    producer: &ThreadedProducer<Context>,
    target: &Target,
) -> Result<Offsets, BrokerError> {
    let mut retry = Retry::new(target.to_string());
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match look(producer, target) {
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

fn look(producer: &ThreadedProducer<Context>, target: &Target) -> Result<Offsets, KafkaError> {
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
