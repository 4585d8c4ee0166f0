//! The callbacks of librdkafka: deliveries, temporary errors, and fatal errors.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::display::printable::printable;
use crate::sink::broker::error::BrokerError;
use crate::sink::broker::in_flight::InFlight;
use crate::sink::broker::retry::Retry;
use crate::sink::broker::target::Target;

/// The state of the callbacks.
pub struct Context {
    target: Target,
    in_flight: Arc<InFlight>,
    state: Mutex<State>,
}

struct State {
    retry: Retry,
    /// Whether anything was delivered. Before that, the code that connects logs errors.
    is_open: bool,
    /// The text of the last error, from librdkafka.
    words: Option<String>,
    failure: Option<BrokerError>,
}

impl Context {
    /// Returns the state before the first callback.
    pub fn new(target: Target, in_flight: Arc<InFlight>) -> Self {
        let retry = Retry::new(target.to_string());
        let state = Mutex::new(State { retry, is_open: false, words: None, failure: None });
        Self { target, in_flight, state }
    }

    /// Returns the text of the last error.
    pub fn words(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).words.clone()
    }

    /// Returns the fatal error, if there is one.
    pub fn failure(&self) -> Option<BrokerError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }

    fn fail(&self, error: BrokerError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failure.get_or_insert_with(|| error.clone());
        self.in_flight.fail(error);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        let words = printable(words.as_bytes(), 300);
        let level = format!("{level:?}").to_ascii_lowercase();
        tracing::debug!("librdkafka ({level}): {facility}: {words}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code.is_some_and(|code| code == RDKafkaErrorCode::Fatal || is_denial(code)) {
            let broker = self.target.to_string();
            let cause = printable(reason.as_bytes(), 300);
            return self.fail(match code {
                Some(RDKafkaErrorCode::Fatal) => BrokerError::Broken { broker, cause },
                _ => BrokerError::Denied { broker, cause },
            });
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let words = printable(reason.as_bytes(), 300);
        if state.is_open {
            state.retry.warn(&words);
        }
        // "All brokers down" follows the errors of the single brokers, and says less than they do.
        if code != Some(RDKafkaErrorCode::AllBrokersDown) || state.words.is_none() {
            state.words = Some(words);
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, bytes: Self::DeliveryOpaque) {
        match result {
            Ok(message) => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.is_open = true;
                state.retry.succeeded();
                drop(state);
                let partition = message.partition().cast_unsigned();
                let end = message.offset().saturating_add(1).max(0).cast_unsigned();
                self.in_flight.acknowledge(1, *bytes, Some((partition, end)));
            }
            Err((error, message)) => {
                let bytes = message.payload().map_or(0, <[u8]>::len);
                self.fail(final_error(&self.target, error, bytes));
            }
        }
    }
}

/// Returns whether the broker rejected our credentials.
pub fn is_denial(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
            | RDKafkaErrorCode::IllegalSASLState
    )
}

/// Returns the error to report for a failure that no retry can fix.
pub fn final_error(target: &Target, error: &KafkaError, bytes: usize) -> BrokerError {
    let broker = target.to_string();
    let cause = printable(error.to_string().as_bytes(), 300);
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            BrokerError::TooLarge {
                broker,
                bytes,
                cause,
                limit: "the topic's max.message.bytes (and message.max.bytes in --to-config)",
            }
        }
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            BrokerError::NoTopic { broker, topic: target.channel.clone(), cause }
        }
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => {
            let needs = format!(
                "describe, read and write the topic {}, and write idempotently",
                target.channel
            );
            BrokerError::Forbidden { broker, cause, needs }
        }
        Some(code) if is_denial(code) => BrokerError::Denied { broker, cause },
        _ => BrokerError::Broken { broker, cause },
    }
}
