//! What is counted, and how it is told: of recordings (`skytail stats`), and of what happens now
//! (`skytail top`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod recordings;
#[path = "../support/mod.rs"]
mod support;
mod top;
