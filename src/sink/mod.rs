//! Where lines go. A sink knows nothing of WebSockets.

pub mod stdout;

use std::io;

/// Proof that a sink accepted what it says it did: what a checkpoint is made from. Only sinks
/// make it.
#[derive(Debug)]
pub struct Delivered(());

/// Why a sink did not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Whoever reads the output has gone.
    #[error("the output was closed")]
    Closed,
    /// The time to write was over.
    #[error("the output took nothing more in time")]
    TimedOut,
    /// The output failed.
    #[error("can't write to standard output: {0}")]
    Failed(#[source] io::Error),
}

/// A batch that was not taken whole.
#[derive(Debug)]
pub struct Refused {
    /// How many bytes of it were taken all the same.
    pub accepted_bytes: usize,
    /// Proof of those bytes.
    pub delivered: Delivered,
    /// Why no more.
    pub refusal: Refusal,
}

impl Refusal {
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}
