//! zstd as Jetstream uses it: dictionaries, and decompression with a memory cap.
//! Independent of sockets and events.

pub mod cache;
pub mod dictionary;
pub mod inflate;
pub mod sniff;
