//! What `skytail tail --output FILE` promises: whatever ends a run, the files together are
//! the stream, byte for byte, and what the state file says of them is true.

mod failures;
mod fixture;
mod jq;
mod kills;
mod refusals;
mod rendered;
mod stops;
mod terminal;
