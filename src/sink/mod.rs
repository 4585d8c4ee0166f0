//! Where lines go. A sink knows nothing of WebSockets.

/// Proof that a sink accepted every byte up to a position: what a checkpoint is made from.
#[derive(Debug)]
pub struct Delivered(());
