//! The properties of librdkafka: those that our guarantees need, and those of `--to-config`, which
//! are its own.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::display::printable::printable;
use crate::sink::broker::BrokerSettings;
use crate::sink::broker::error::BrokerError;

/// Exactly-once delivery in order depends on these, so the user can't change them.
const OURS: [(&str, &str); 4] = [
    ("enable.idempotence", "true"),
    // What can't be stored stops what follows it, so that no account's order breaks.
    ("enable.gapless.guarantee", "true"),
    ("acks", "all"),
    // Never given up: a broker that is away is waited for.
    ("message.timeout.ms", "0"),
];

/// Defaults that the user may change.
const DEFAULTS: [(&str, &str); 4] = [
    ("client.id", "skytail"),
    // The partition that other clients choose for the same key.
    ("partitioner", "murmur2_random"),
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.keepalive.enable", "true"),
];

/// The properties of a producer.
///
/// # Errors
/// [`BrokerError::Setting`] for those that are ours.
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

/// The properties of a consumer that reads partitions back.
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
            let problem = "skytail sets this by itself: leave it out".to_owned();
            return Err(BrokerError::Setting { key: key.to_owned(), problem });
        }
        config.set(key, value);
    }
    config.set("bootstrap.servers", settings.target.servers.join(","));
    Ok(())
}

/// What it means that librdkafka makes no client. Its words may repeat a value; those that are
/// secrets are taken out.
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
