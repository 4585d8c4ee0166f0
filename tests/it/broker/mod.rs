//! What `skytail tail --to` promises: each event reaches the broker once and in order, whatever
//! kills whom. Read back from the broker, and held against the recording.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "nats")]
mod nats;
mod refusals;
#[cfg(feature = "nats")]
mod server;
#[cfg(feature = "nats")]
mod wire;
