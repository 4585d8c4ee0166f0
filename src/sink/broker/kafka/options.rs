//! The properties of librdkafka: those that exactly-once delivery needs, and those of
//! `--to-config`, which have librdkafka's names.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::display::printable::printable;
use crate::sink::broker::BrokerSettings;
use crate::sink::broker::error::BrokerError;

/// Exactly-once delivery in order depends on these, so the user can't change them.
const OURS: [(&str, &str); 4] = [
    ("enable.idempotence", "true"),
    // If a message can't be stored, later ones are not stored either, so that events of an account
    // keep their order.
    ("enable.gapless.guarantee", "true"),
    ("acks", "all"),
    // A message never expires, because the run waits for a broker that is down.
    ("message.timeout.ms", "0"),
];

/// Defaults that the user may change.
const DEFAULTS: [(&str, &str); 4] = [
    ("client.id", "skytail"),
    // Other clients choose the same partition for the same key.
    ("partitioner", "murmur2_random"),
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.keepalive.enable", "true"),
];

/// Returns the properties of a producer.
///
/// # Errors
/// [`BrokerError::Setting`] if the user sets a property that skytail sets.
pub fn producer(settings: &BrokerSettings) -> Result<ClientConfig, BrokerError> {
    let mut config = ClientConfig::new();
    for (key, value) in DEFAULTS {
        config.set(key, value);
    }
    add(&mut config, settings)?;
    for (key, value) in OURS {
        config.set(key, value);
    }
    Ok(config)
}

/// Returns the properties of a consumer that reads partitions back.
///
/// # Errors
/// As [`producer`].
pub fn consumer(settings: &BrokerSettings) -> Result<ClientConfig, BrokerError> {
    let mut config = ClientConfig::new();
    config.set("client.id", "skytail");
    add(&mut config, settings)?;
    config
        .set("group.id", "skytail")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    Ok(config)
}

fn add(config: &mut ClientConfig, settings: &BrokerSettings) -> Result<(), BrokerError> {
    for (key, value) in settings.config.iter() {
        let is_ours = OURS.iter().any(|(ours, _)| *ours == key);
        if is_ours || matches!(key, "bootstrap.servers" | "metadata.broker.list") {
            let problem = "skytail sets this itself: leave it out".to_owned();
            return Err(BrokerError::Setting { key: key.to_owned(), problem });
        }
        config.set(key, value);
    }
    config.set("bootstrap.servers", settings.target.servers.join(","));
    Ok(())
}

/// Returns the error for a client that librdkafka did not create. librdkafka's text may repeat a
/// value, so secrets are removed from it.
pub fn refused(error: &KafkaError, settings: &BrokerSettings) -> BrokerError {
    let (key, mut problem) = match error {
        KafkaError::ClientConfig(_, words, key, _) => (key.clone(), words.clone()),
        KafkaError::ClientCreation(words) => ("librdkafka".to_owned(), words.clone()),
        other => ("librdkafka".to_owned(), other.to_string()),
    };
    let is_secret = |key: &str| {
        ["password", "secret", "key", "token", "jaas"].iter().any(|word| key.contains(word))
    };
    for (key, value) in settings.config.iter() {
        if is_secret(key) && !value.is_empty() {
            problem = problem.replace(value, "…");
        }
    }
    BrokerError::Setting { key, problem: printable(problem.as_bytes(), 300) }
}
