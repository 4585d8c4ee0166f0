//! The primitives that the hand-off waits with. The crate in `loom/` compiles the hand-off
//! with loom's in their place.

pub use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub use tokio::sync::Notify;
