//! What `skytail tail` promises in front of a server that breaks every rule: each fault has
//! its own message and exit code, and nothing is lost that could be kept. The server here
//! only sends bytes written down in these files; it shares no code with `skytail serve`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod filters;
mod frames;
mod liveness;
mod output;
mod resume;
mod zstd;
