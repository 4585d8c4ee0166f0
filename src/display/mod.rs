//! What a person sees on stderr: log lines, the progress line, the summary; tables on stdout;
//! and the words for numbers in them. Reads the counters and plain numbers, and knows no other
//! room.

pub mod colour;
pub mod log;
pub mod log_throttle;
pub mod printable;
pub mod progress;
pub mod secrets;
pub mod status;
mod status_line;
pub mod summary;
pub mod table;
pub mod terminal;
pub mod units;
