//! skytail tails the AT Protocol firehose through Jetstream.
//!
//! Data flows one way, and no room looks back up it:
//!
//! ```text
//! cli → pipeline → source | sink | checkpoint → filter, archive, position, compression → event
//! ```
//!
//! `stats` counts what a recording holds, from `event` alone.
//! `metrics` and `display` are used from many rooms and use none of them; `operate` shows the
//! counters to machines, and is used by `cli` alone; `serve` is a Jetstream server of its own,
//! which shares only the rooms at the end of that line.

pub mod archive;
pub mod checkpoint;
pub mod cli;
pub mod compression;
pub mod display;
pub mod event;
pub mod filter;
pub mod metrics;
pub mod operate;
pub mod pipeline;
pub mod position;
pub mod render;
pub mod serve;
pub mod settings;
pub mod sink;
pub mod source;
pub mod stats;
