//! `skytail tail --output FILE`: however a run ends, the files together are the stream byte for
//! byte, and the state file describes them correctly.

mod colours;
mod failures;
pub mod fixture;
mod foreign_bytes;
mod jq;
mod kills;
#[cfg(unix)]
mod pipeline;
mod refusals;
mod rendered;
mod stops;
mod terminal;
