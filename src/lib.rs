//! skytail tails the AT Protocol firehose through Jetstream.
//!
//! A module imports only modules of the rows below its own:
//!
//! ```text
//! cli
//! top
//! pipeline     telemetry    serve        stats       scrub
//! checkpoint   settings
//! source       sink         render
//! parquet
//! archive      filter
//! compression  position     display      paths       sqlite
//! event        metrics      platform
//! ```
//!
//! A run is a `pipeline`: lines from a `source`, through `filter` and `position`, to a `sink`, with
//! the proof of delivery in a `checkpoint`. `stats` counts the events of a recording. `top` counts
//! the events of a running pipeline and draws them; `cli` passes it to the pipeline in place of a
//! sink. Only `cli` imports `telemetry`, which exports the counters over HTTP and to a service
//! manager. `serve` is a Jetstream server, which shares no parsing of messages with `source`.
//! `docs/internals/architecture.md` has the rest.

pub mod archive;
pub mod checkpoint;
pub mod cli;
pub mod compression;
pub mod display;
pub mod event;
pub mod filter;
pub mod metrics;
pub mod parquet;
pub mod paths;
pub mod pipeline;
pub mod platform;
pub mod position;
pub mod render;
pub mod scrub;
pub mod serve;
pub mod settings;
pub mod sink;
pub mod source;
pub mod sqlite;
pub mod stats;
pub mod telemetry;
pub mod top;
