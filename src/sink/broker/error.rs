//! Why a broker can't be used, or can't be used any more. A broker that is down, slow or full is
//! not an error: the run waits for it.

/// Why a broker accepts no more messages. Every text says what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// No server has ever answered.
    #[error(
        "can't reach {broker} ({cause}), after {tries} tries: check the address, that it runs there, and whether it speaks TLS"
    )]
    Unreachable {
        /// The target.
        broker: String,
        /// The error of the last try.
        cause: String,
        /// The number of tries.
        tries: u32,
    },
    /// The broker rejected the credentials, or requires some.
    #[error(
        "{broker} rejects the credentials ({cause}): give or correct them with --to-config FILE"
    )]
    Denied {
        /// The target.
        broker: String,
        /// Its words.
        cause: String,
    },
    /// The user has no permission.
    #[error("{broker} does not permit this ({cause}): let this user {needs}")]
    Forbidden {
        /// The target.
        broker: String,
        /// Its words.
        cause: String,
        /// The permissions that are needed.
        needs: String,
    },
    /// The NATS server has no JetStream.
    #[error(
        "{broker} has no JetStream ({cause}): start nats-server with -js, or enable it for this account"
    )]
    NoJetStream {
        /// The target.
        broker: String,
        /// Its words.
        cause: String,
    },
    /// No stream takes the subject.
    #[error("{broker} has no stream that takes the subject {subject:?}: {remedy}")]
    NoStream {
        /// The target.
        broker: String,
        /// The subject.
        subject: String,
        /// The remedy.
        remedy: String,
    },
    /// The topic does not exist.
    #[error(
        "{broker} has no such topic ({cause}): make it (kafka-topics.sh --create --topic {topic}), or name another"
    )]
    NoTopic {
        /// The target.
        broker: String,
        /// The topic.
        topic: String,
        /// Its words.
        cause: String,
    },
    /// An event is larger than the broker allows.
    #[error(
        "an event of {bytes} bytes is too large for {broker} ({cause}): raise {limit}, or leave such events out with --max-message-size"
    )]
    TooLarge {
        /// The target.
        broker: String,
        /// The size of the event.
        bytes: usize,
        /// Its words.
        cause: String,
        /// The broker's setting for the limit.
        limit: &'static str,
    },
    /// A setting of `--to-config` is unknown or invalid.
    #[error("--to-config: {key}: {problem}")]
    Setting {
        /// The key.
        key: String,
        /// The fault and the remedy, without the value.
        problem: String,
    },
    /// The broker has fewer messages than it acknowledged.
    #[error(
        "{broker} has lost {messages} events that it had acknowledged: run it again with --cursor auto, which publishes those again that came after the last checkpoint"
    )]
    Lost {
        /// The target.
        broker: String,
        /// The number of lost messages, at least.
        messages: u64,
    },
    /// The messages after the last checkpoint can't be read back.
    #[error(
        "can't read back what was published to {broker} after the saved position ({cause}), so it would be repeated: let this user read there, or accept that with another --consumer"
    )]
    Unread {
        /// The target.
        broker: String,
        /// The error.
        cause: String,
    },
    /// The client can't keep the order or the uniqueness of messages any more.
    #[error(
        "the client of {broker} can't continue without losing or repeating events ({cause}): run it again with --cursor auto"
    )]
    Broken {
        /// The target.
        broker: String,
        /// The client's error.
        cause: String,
    },
    /// A call of the system failed.
    #[error("can't {what}: {cause}")]
    System {
        /// The action that failed.
        what: &'static str,
        /// The error of the system.
        cause: String,
    },
}

impl BrokerError {
    /// Returns whether the user must change the command or the configuration.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}
