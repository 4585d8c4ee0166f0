//! Events to a message broker: published in order, several under way at a time, and counted as
//! written only once the broker has acknowledged them.
//!
//! What a broker holds at a checkpoint is remembered as a file's length is: the number up to
//! which its stream (or each partition of its topic) had come. The next run can't cut off what
//! lies behind that, as it would with a file; where a run did not end cleanly the next one reads
//! it back, and leaves out what is there.
//!
//! The clients are large, and built in by the cargo features `kafka` and `nats` alone. Without
//! them a [`Broker`] is a thing that there can't be, and costs nothing.

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

/// `--to` and `--to-config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Where events go.
    pub target: Target,
    /// What else its client is told.
    pub config: Config,
}
