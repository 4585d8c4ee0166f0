//! Terminal output for people: log lines, the progress line and the summary on stderr, tables on
//! stdout, and number formats. Depends on the counters and settings only.

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
