//! Jetstream v1, `/subscribe`: its request and its decoder.
//!
//! Source: protocol/jetstream-v1.md.

pub mod decoder;
pub mod request;
