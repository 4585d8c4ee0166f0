//! skytail tails the AT Protocol firehose through Jetstream.
//!
//! Data flows in one direction, and imports point down only:
//!
//! ```text
//! cli → pipeline → source | sink | checkpoint → filter, archive, position, compression → event
//! ```
//!
//! `stats` counts the events of a recording and imports only `event`. `top` counts the events of a
//! running pipeline and draws them; `cli` passes it to the pipeline in place of a sink. Many
//! modules import `metrics`, `display` and `paths`, which import no other module. Only `cli`
//! imports `telemetry`, which exports the counters over HTTP and to a service manager. `serve` is a
//! Jetstream server; it shares with the client only `filter`, `archive`, `position`, `compression`
//! and `event`.

pub mod archive;
pub mod checkpoint;
pub mod cli;
pub mod compression;
pub mod display;
pub mod event;
pub mod filter;
pub mod metrics;
pub mod paths;
pub mod pipeline;
pub mod position;
pub mod render;
pub mod serve;
pub mod settings;
pub mod sink;
pub mod source;
pub mod stats;
pub mod telemetry;
pub mod top;
