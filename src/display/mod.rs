//! What a person sees on stderr: log lines, the progress line, the summary; tables on stdout;
//! and the words for numbers in them. Reads the counters and plain numbers, and knows no other
//! room.

pub mod colour;
pub mod log;
pub mod printable;
pub mod progress;
pub mod secrets;
pub mod seldom;
pub mod status;
pub mod summary;
pub mod table;
pub mod terminal;
pub mod throttle;
pub mod units;
mod words;
