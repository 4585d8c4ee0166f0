//! Jetstream v1: what is asked of `/subscribe`.
//!
//! Source: protocol/jetstream-v1.md. How its messages become lines is `stream`'s work.

pub mod request;

/// Where it is served, below an endpoint's base path.
pub const PATH: &str = "/subscribe";
