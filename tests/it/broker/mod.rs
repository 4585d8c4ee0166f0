//! What `skytail tail --to` promises: each event reaches the broker once and in order, whatever
//! kills whom. Read back from the broker, and held against the recording.

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
