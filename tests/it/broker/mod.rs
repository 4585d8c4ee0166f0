//! `skytail tail --to`: each event reaches the broker once and in order, also when runs or brokers
//! are killed. The tests read the broker and compare with the recording.

mod fixture;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
mod refusals;
#[cfg(feature = "nats")]
mod server;
#[cfg(feature = "nats")]
mod wire;
