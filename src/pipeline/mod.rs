//! The one place that wires threads and tasks: reader → channel → writer.

pub mod channel;
pub mod sieve;
pub mod stop;
