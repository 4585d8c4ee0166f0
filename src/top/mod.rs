//! `skytail top`: counts of the last minute by collection, kind, operation, language and account,
//! in bounded memory for any stream, and the screen that shows them. Independent of flags and of
//! the event source.

pub mod aggregate;
pub mod current_server;
pub mod heavy_hitters;
pub mod latest;
pub mod log_buffer;
pub mod screen;
pub mod tap;
pub mod time_series;
