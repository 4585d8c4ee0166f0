//! What machines see that look after a run: the counters and the health over HTTP, and the
//! messages to a service manager. Reads the counters; knows nothing of how they come about,
//! and changes nothing.

pub mod exposition;
pub mod health;
pub mod listen;
#[cfg(unix)]
pub mod notify;
mod process;
