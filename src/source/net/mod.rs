//! Byte streams to servers: DNS, TCP, proxies and TLS.
//!
//! [`dial()`] does all of it for one endpoint. Nothing here retries.

mod connect;
pub mod dial;
pub mod error;
mod phase_timer;
mod plain_text_probe;
pub mod proxy;
pub mod tls;
pub mod transport;

pub use dial::dial;
pub use error::{DialError, DialProblem};
pub use phase_timer::{Phase, PhaseTimeout};
