//! Monitoring of a run: metrics and health over HTTP, and messages to a service manager. This
//! module only reads the counters.

pub mod health;
pub mod http_server;
mod process;
pub mod prometheus;
pub mod systemd;
