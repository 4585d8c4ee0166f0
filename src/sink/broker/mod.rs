//! Publishes events to a message broker: in order, with several in flight, and counted as written
//! only after the broker has acknowledged them.
//!
//! A checkpoint saves the end offset of the stream (or of each partition of the topic), as it saves
//! the length of a file. Unlike a file, a stream can't be truncated to it: after a run that did not
//! end cleanly, the next one reads back the messages after that offset and does not publish them
//! again.
//!
//! The clients are large, so only the cargo features `kafka` and `nats` build them in. Without
//! either, [`Broker`] has no values and costs nothing.

#[cfg(any(feature = "kafka", feature = "nats"))]
mod already_published;
#[cfg(any(feature = "kafka", feature = "nats"))]
mod client;
pub mod config;
#[cfg(not(any(feature = "kafka", feature = "nats")))]
mod disabled;
pub mod error;
#[cfg(any(feature = "kafka", feature = "nats"))]
mod in_flight;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(any(feature = "kafka", feature = "nats"))]
mod message;
#[cfg(feature = "nats")]
mod nats;
#[cfg(any(feature = "kafka", feature = "nats"))]
mod offsets;
#[cfg(any(feature = "kafka", feature = "nats"))]
mod retry;
pub mod target;

#[cfg(any(feature = "kafka", feature = "nats"))]
pub use client::Broker;
#[cfg(not(any(feature = "kafka", feature = "nats")))]
pub use disabled::Broker;

use config::Config;
use target::Target;

/// The values of `--to` and `--to-config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// The broker, and the topic or subject.
    pub target: Target,
    /// Further settings of its client.
    pub config: Config,
}
