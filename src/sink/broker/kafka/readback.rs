//! Reads back the messages that an earlier run published after its last checkpoint, for their ids.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::{ID, options};
use crate::display::printable::printable;
use crate::sink::broker::BrokerSettings;
use crate::sink::broker::error::BrokerError;
use crate::sink::broker::message::MessageId;
use crate::sink::broker::offsets::Offsets;

/// Longest pause between two messages while a partition has more.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of messages that are read back: those of a run of hours after one checkpoint.
const MOST_READ_BACK: usize = 2_000_000;

/// Returns the ids of the messages from `known` to `ends`.
///
/// # Errors
/// [`BrokerError`] if they can't be read, because the run would publish them again.
pub fn stored_since(
    settings: &BrokerSettings,
    known: &Offsets,
    ends: &Offsets,
) -> Result<HashSet<MessageId>, BrokerError> {
    let broker = settings.target.to_string();
    let topic = &settings.target.channel;
    let failed = |cause: String| BrokerError::Unread { broker: broker.clone(), cause };
    let mut list = TopicPartitionList::new();
    let mut ids = HashSet::new();
    for (partition, end) in ends {
        // A partition that was added to the topic later has no known offset.
        let from = known.get(partition).copied().unwrap_or(0);
        if from > *end {
            tracing::warn!(
                "{broker}: partition {partition} ends {} messages before the saved position: the topic was created again, or has lost them",
                from - end
            );
        }
        if from < *end {
            let from = Offset::Offset(from.cast_signed());
            list.add_partition_offset(topic, partition.cast_signed(), from)
                .map_err(|error| failed(error.to_string()))?;
        }
    }
    let mut left: HashSet<i32> = list.elements().iter().map(|e| e.partition()).collect();
    if left.is_empty() {
        return Ok(ids);
    }
    let consumer: BaseConsumer = options::consumer(settings)?
        .create()
        .map_err(|error| options::refused(&error, settings))?;
    consumer.assign(&list).map_err(|error| failed(error.to_string()))?;
    let mut patience = Instant::now() + READ_TIMEOUT;
    while !left.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                patience = Instant::now() + READ_TIMEOUT;
                ids.extend(id(&message));
                let next = message.offset().saturating_add(1).max(0).cast_unsigned();
                let partition = message.partition();
                if ends.get(&partition.cast_unsigned()).is_none_or(|end| next >= *end) {
                    left.remove(&partition);
                }
                if ids.len() > MOST_READ_BACK {
                    return Err(failed(format!("there are more than {MOST_READ_BACK} messages")));
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                left.remove(&partition);
            }
            Some(Err(error)) if Instant::now() >= patience => {
                return Err(failed(printable(error.to_string().as_bytes(), 300)));
            }
            None if Instant::now() >= patience => return Err(failed("no answer".to_owned())),
            Some(Err(_)) | None => {}
        }
    }
    Ok(ids)
}

fn id(message: &BorrowedMessage<'_>) -> Option<MessageId> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == ID)?.value.and_then(MessageId::parse)
}
