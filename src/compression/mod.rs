//! zstd as Jetstream uses it: dictionaries, and decompression that can't be made to eat memory.
//! Knows neither sockets nor events.

pub mod cache;
pub mod dictionary;
pub mod inflate;
pub mod sniff;
