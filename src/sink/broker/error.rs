//! Why a broker can't be used, or can't be used any more. What passes (a broker that is down,
//! slow, or full) is no error: that is waited for.

/// Why a broker took no more. Every message says what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// No server answered, from the very first try on.
    #[error(
        "can't reach {broker} ({cause}), after {tries} tries: check the address, that it runs there, and whether it speaks TLS"
    )]
    Unreachable {
        /// The target.
        broker: String,
        /// What the last try came to.
        cause: String,
        /// How many there were.
        tries: u32,
    },
    /// It does not know us, or wants a secret.
    #[error(
        "{broker} refuses us ({cause}): give it credentials with --to-config FILE, or correct them"
    )]
    Denied {
        /// The target.
        broker: String,
        /// Its words.
        cause: String,
    },
    /// It knows us, and does not let us.
    #[error("{broker} does not permit this ({cause}): let this user {needs}")]
    Forbidden {
        /// The target.
        broker: String,
        /// Its words.
        cause: String,
        /// What we need.
        needs: String,
    },
    /// A NATS server without JetStream.
    #[error(
        "{broker} has no JetStream ({cause}): start nats-server with -js, or enable it for this account"
    )]
    NoJetStream {
        /// The target.
        broker: String,
        /// Its words.
        cause: String,
    },
    /// Nothing there takes what we have.
    #[error("{broker} has no stream that takes the subject {subject:?}: {remedy}")]
    NoStream {
        /// The target.
        broker: String,
        /// The subject.
        subject: String,
        /// What to do.
        remedy: String,
    },
    /// There is no such topic.
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
    /// An event that is larger than the broker takes.
    #[error(
        "an event of {bytes} bytes is too large for {broker} ({cause}): raise {limit}, or leave such events out with --max-message-size"
    )]
    TooLarge {
        /// The target.
        broker: String,
        /// How large.
        bytes: usize,
        /// Its words.
        cause: String,
        /// The setting of the broker.
        limit: &'static str,
    },
    /// A setting of `--to-config` that means nothing, or nothing sound.
    #[error("--to-config: {key}: {problem}")]
    Setting {
        /// The key.
        key: String,
        /// What is wrong, and what to do. Never the value.
        problem: String,
    },
    /// A broker that has less than it acknowledged.
    #[error(
        "{broker} has lost {messages} events that it had acknowledged: run it again with --cursor auto, which publishes them anew where they came after the last save"
    )]
    Lost {
        /// The target.
        broker: String,
        /// How many, at least.
        messages: u64,
    },
    /// What lies there can't be read.
    #[error(
        "what was published to {broker} behind the saved position can't be read back ({cause}), and would be repeated: let this user read there, or accept that with another --consumer"
    )]
    Unread {
        /// The target.
        broker: String,
        /// Why not.
        cause: String,
    },
    /// The client can't promise any more what it promised.
    #[error(
        "{broker} can't go on without losing or repeating events ({cause}): run it again with --cursor auto"
    )]
    Broken {
        /// The target.
        broker: String,
        /// The client's words.
        cause: String,
    },
    /// The system refused something.
    #[error("can't {what}: {cause}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the system said.
        cause: String,
    },
}

impl BrokerError {
    /// Whether the person has to write something differently.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}
